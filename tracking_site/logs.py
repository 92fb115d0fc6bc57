"""Log what happened and where, and never who sent which request.

gunicorn and Django quote requests in their log lines: addresses, paths, hosts, methods, headers and
the texts of exceptions. In a worker, every line passes through `RedactingFilter`.
"""

import logging
import sys
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from gunicorn.errors import HaltServer
from gunicorn.glogging import Logger

import collector
from tracking_site.options import refusal

OUR_LOGGERS = ("collector", "tracking_site")  # our own messages quote nothing
PERIOD = 60  # seconds between two lines with the same text
OUR_CODE = Path(collector.__file__).parent


class RedactingFilter(logging.Filter):
    """Replaces the text of every line that is not ours, and prints each text once in a PERIOD."""

    def __init__(self) -> None:
        super().__init__()
        self.printed: dict[str, float] = {}  # by text: when it was printed, by the monotonic clock

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to print the line."""
        if record.name.split(".")[0] in OUR_LOGGERS and not record.exc_info:
            return True
        text = redacted(record)
        record.msg, record.args = text, ()
        record.exc_info = record.exc_text = record.stack_info = None
        now = time.monotonic()
        if now - self.printed.get(text, -PERIOD) < PERIOD:
            return False
        self.printed[text] = now
        return True


def redacted(record: logging.LogRecord) -> str:
    """Return a line with the logger, the exception and the place of a record."""
    kind, _, trace = record.exc_info or (None, None, None)
    place = location(trace) or f"{record.filename}:{record.lineno}"
    what = f"{kind.__name__} at {place}" if kind else place
    if status := getattr(record, "status_code", None):  # Django logs responses with errors
        what = f"status {status}, {what}"
    return f"{record.name}: {what}; the text is withheld"


def location(trace: TracebackType | None) -> str:
    """Return the file and line of an exception: the last one in our code, or else the last one."""
    frames = traceback.extract_tb(trace)
    in_our_code = [frame for frame in frames if Path(frame.filename).is_relative_to(OUR_CODE)]
    last = (in_our_code or frames)[-1:]
    return "".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in last)


redacting_filter = RedactingFilter()


def handler() -> logging.Handler:
    """Return a handler that redacts Django's log records and formats them as gunicorn does."""
    stream = logging.StreamHandler()
    stream.setFormatter(logging.Formatter(Logger.error_fmt, Logger.datefmt))
    stream.addFilter(redacting_filter)
    return stream


class RedactingLogger(Logger):  # type: ignore[misc]  # gunicorn is not typed
    """gunicorn's logger. It refuses options that break a promise before it opens any file.

    Its access lines have only the time, status, size and duration.
    """

    access_atoms = ("t", "s", "b", "B", "T", "D", "M", "L", "p")

    def __init__(self, cfg: Any) -> None:
        if problem := refusal(cfg):
            raise RuntimeError(problem)  # gunicorn prints it and exits
        super().__init__(cfg)

    def setup(self, cfg: Any) -> None:
        if problem := refusal(cfg):
            raise HaltServer(problem, 1)  # at a reload, SIGHUP
        super().setup(cfg)

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
