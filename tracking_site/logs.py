"""What the server prints: what happened and how often, never who asked, or for what.

gunicorn and Django quote requests in their log lines: addresses, paths, hosts, methods, headers,
and whatever an exception says. In a process that serves, every line passes `Discreet`, which lets
through only sentences of which it is known that they quote nothing, and counts all others by kind.
"""

import logging
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any

from gunicorn.glogging import Logger

import collector

OURS = ("collector", "tracking_site")  # loggers whose sentences are our own
PERIOD = 60  # seconds between two lines of a kind
OUR_CODE = Path(collector.__file__).parent

# Beginnings of gunicorn's own sentences, and what they come down to; None: they quote nothing.
KNOWN = {
    "Booting worker": None,
    "Worker exiting": None,
    "Worker graceful timeout": None,
    "Parent changed": None,
    "Autorestarting worker": None,
    "Reloader is on": None,
    "Exception while loading the application": None,
    "Invalid request from": "malformed requests refused",
    "Error handling request": "requests failed in the server",
    "Socket error": "connections failed",
    "%s: %s": "requests failed in the application",  # Django: the reason and the path
    "Ignor": "connections closed by the client",
    "Closing connection": "connections closed",
}


class Discreet(logging.Filter):
    """Replaces what may quote a request by its kind and how often it came; one for a process."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self.told: dict[str, tuple[float, int]] = {}  # by kind: when, and how many by then

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to print the line now; at most one of a kind in a PERIOD."""
        if getattr(record, "is_discreet", False):
            return bool(record.msg)  # another handler had it first
        record.is_discreet = True
        kind = kind_of(record)
        if kind is None:
            return True
        record.msg, record.args = self._count(kind, record.created), ()
        record.exc_info = record.exc_text = record.stack_info = None
        return bool(record.msg)

    def untold(self) -> list[str]:
        """A line for each kind that came again after its last line."""
        kinds = [kind for kind, (_, told) in self.told.items() if self.seen[kind] > told]
        return [self._tell(kind, time.time()) for kind in kinds]

    def _count(self, kind: str, now: float) -> str:
        self.seen[kind] += 1
        told_at, _ = self.told.get(kind, (0.0, 0))
        return self._tell(kind, now) if abs(now - told_at) >= PERIOD else ""

    def _tell(self, kind: str, now: float) -> str:
        self.told[kind] = (now, self.seen[kind])
        return f"{kind}: {self.seen[kind]} since the start"


def kind_of(record: logging.LogRecord) -> str | None:
    """What a line comes down to; None: it quotes nothing and may be printed as it is."""
    if record.name.split(".")[0] in OURS and not record.exc_info:
        return None
    if getattr(record, "status_code", None) == 503:  # Django's own line of an answer
        return "requests refused: the server is full, or its store is away"
    beginning = next(filter(str(record.msg).startswith, KNOWN), None)
    if beginning is None:
        kind: str | None = f"{record.levelname.lower()} lines of {record.name}, withheld"
    else:
        kind = KNOWN[beginning]
    if kind and record.exc_info and record.exc_info[0]:
        return f"{kind}, {record.exc_info[0].__name__} at {place(record.exc_info[2])}"
    return kind


def place(trace: TracebackType | None) -> str:
    """Where in the code an exception came from: the last line of ours, else the last line."""
    frames = traceback.extract_tb(trace)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(OUR_CODE)]
    if not frames:
        return "an unknown place"
    frame = (ours or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


discreet = Discreet()


def handler() -> logging.Handler:
    """Django's way to standard error: through the same filter, in gunicorn's form."""
    stream = logging.StreamHandler()
    stream.setFormatter(logging.Formatter(Logger.error_fmt, Logger.datefmt))
    stream.addFilter(discreet)
    return stream


class DiscreetLogger(Logger):  # type: ignore[misc]  # gunicorn is not typed
    """gunicorn's logger, whose access lines tell time, status, size and duration only."""

    told = ("t", "s", "b", "B", "T", "D", "M", "L", "p")

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        atoms = super().atoms(resp, req, environ, request_time)
        return {name: atoms[name] for name in self.told}

    def hush(self) -> None:
        """Let no request be quoted from now on, in this process."""
        for printer in self.error_log.handlers:
            printer.addFilter(discreet)
        # Python would print the object that failed: a socket, with the address at its other end.
        sys.unraisablehook = lambda failure: note_failure(
            None, failure.exc_type, failure.exc_value, failure.exc_traceback
        )


def note_failure(context: Any, kind: Any, value: Any, trace: Any) -> None:
    """Log what failed outside every request, without its context: that is a client's address."""
    del context
    logging.getLogger("gevent").error("A greenlet failed", exc_info=(kind, value, trace))


def tell_untold() -> None:
    """Print how often things happened since their last line."""
    for line in discreet.untold():
        logging.getLogger(__name__).warning(line)
