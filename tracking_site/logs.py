"""Log what happened and how often, and never who sent which request.

gunicorn and Django quote requests in their log lines: addresses, paths, hosts, methods, headers and
the texts of exceptions. In a worker, every line passes through `RedactingFilter`. It lets through
only the messages that are known to quote nothing, and replaces all others by a count of their kind.
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

OUR_LOGGERS = ("collector", "tracking_site")  # our own messages quote nothing
PERIOD = 60  # seconds between two lines of the same kind
OUR_CODE = Path(collector.__file__).parent

# Maps the beginning of each known message to the kind that replaces the message in the log. None
# means that the message quotes nothing and is logged unchanged.
KINDS = {
    "Booting worker": None,
    "Worker exiting": None,
    "Worker graceful timeout": None,
    "Parent changed": None,
    "Autorestarting worker": None,
    "Reloader is on": None,
    "Exception while loading the application": None,
    "Housekeeping failed": "housekeeping failed",
    "Invalid request from": "malformed requests refused",
    "Error handling request": "requests failed in the server",
    "Socket error": "connections failed",
    "%s: %s": "requests failed in the application",  # Django: the reason and the path
    "Ignor": "connections closed by the client",
    "Closing connection": "connections closed",
}


class RedactingFilter(logging.Filter):
    """Replaces a line that may quote a request with its kind and the number of such lines."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.reports: dict[str, tuple[float, int]] = {}  # by kind: when, and the count at that time

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to print the line now: at most one line of a kind in each PERIOD."""
        if getattr(record, "is_redacted", False):
            return bool(record.msg)  # another handler's filter has processed this record
        record.is_redacted = True
        kind = kind_of(record)
        if kind is None:
            return True
        record.msg, record.args = self._count(kind, record.created), ()
        record.exc_info = record.exc_text = record.stack_info = None
        return bool(record.msg)

    def suppressed(self) -> list[str]:
        """Return a line for each kind that has occurred since its last line was logged."""
        kinds = [kind for kind, (_, count) in self.reports.items() if self.counts[kind] > count]
        return [self._line(kind, time.time()) for kind in kinds]

    def _count(self, kind: str, now: float) -> str:
        self.counts[kind] += 1
        reported_at, _ = self.reports.get(kind, (0.0, 0))
        return self._line(kind, now) if abs(now - reported_at) >= PERIOD else ""

    def _line(self, kind: str, now: float) -> str:
        self.reports[kind] = (now, self.counts[kind])
        return f"{kind}: {self.counts[kind]} since startup"


def kind_of(record: logging.LogRecord) -> str | None:
    """Return the kind that replaces a line, or None if the line quotes nothing."""
    if record.name.split(".")[0] in OUR_LOGGERS and not record.exc_info:
        return None
    if getattr(record, "status_code", None) == 503:  # Django logs this response itself
        return "requests refused because the server is full or its store is unavailable"
    beginning = next(filter(str(record.msg).startswith, KINDS), None)
    if beginning is None:
        kind: str | None = f"{record.levelname.lower()} lines from {record.name}, withheld"
    else:
        kind = KINDS[beginning]
    if kind and record.exc_info and record.exc_info[0]:
        return f"{kind}, {record.exc_info[0].__name__} at {location(record.exc_info[2])}"
    return kind


def location(trace: TracebackType | None) -> str:
    """Return the file and line of an exception: the last one in our code, or else the last one."""
    frames = traceback.extract_tb(trace)
    if not frames:
        return "an unknown location"
    in_our_code = [frame for frame in frames if Path(frame.filename).is_relative_to(OUR_CODE)]
    frame = (in_our_code or frames)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


redacting_filter = RedactingFilter()


def handler() -> logging.Handler:
    """Return a handler that redacts Django's log records and formats them as gunicorn does."""
    stream = logging.StreamHandler()
    stream.setFormatter(logging.Formatter(Logger.error_fmt, Logger.datefmt))
    stream.addFilter(redacting_filter)
    return stream


class RedactingLogger(Logger):  # type: ignore[misc]  # gunicorn is not typed
    """gunicorn's logger. Its access lines have only the time, status, size and duration."""

    access_atoms = ("t", "s", "b", "B", "T", "D", "M", "L", "p")

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        atoms = super().atoms(resp, req, environ, request_time)
        return {name: atoms[name] for name in self.access_atoms}

    def redact(self) -> None:
        """Redact all further lines of this process."""
        for handler in self.error_log.handlers:
            handler.addFilter(redacting_filter)
        # Python would print the object that failed: a socket, with the address of its peer.
        sys.unraisablehook = lambda failure: log_failure(
            None, failure.exc_type, failure.exc_value, failure.exc_traceback
        )


def log_failure(context: Any, kind: Any, value: Any, trace: Any) -> None:
    """Log a failure outside all requests, without its context, which is a client's address."""
    del context
    if issubclass(kind, SystemExit):
        return  # Ctrl-C in a terminal reaches the worker too, and ends it during a greenlet
    logging.getLogger("gevent").error("A greenlet failed", exc_info=(kind, value, trace))


def report_suppressed() -> None:
    """Log how often suppressed lines occurred since the last line of their kind."""
    for line in redacting_filter.suppressed():
        logging.getLogger(__name__).warning(line)
