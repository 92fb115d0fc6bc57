import logging
import sys
from unittest.mock import Mock

import pytest

from tests.servers import ID
from tracking_site import logs
from tracking_site.logs import PERIOD, RedactingFilter, RedactingLogger, log_failure


def line(message, *args, name="gunicorn.error", error=None, **attributes):
    trace = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord(name, logging.WARNING, "/lib/file.py", 7, message, args, trace)
    vars(record).update(attributes)
    return record


@pytest.fixture
def redacting():
    return RedactingFilter()


def printed(redacting, *records):
    return [record.getMessage() for record in records if redacting.filter(record)]


def failure():
    try:
        raise ValueError(ID)
    except ValueError as error:
        return error


def test_a_line_of_our_own_is_printed_unchanged(redacting):
    ours = line("%s workers are refused", 2, name="collector.views")
    assert printed(redacting, ours) == ["2 workers are refused"]


@pytest.mark.parametrize(
    ("record", "beginning"),
    [
        (line(f"Invalid request from ip=127.0.0.77: {ID}"), "gunicorn.error: file.py:7;"),
        (line("Strange %s", ID, name="some.library"), "some.library: file.py:7;"),
        (line("%s", ID, name="collector2"), "collector2: file.py:7;"),
        (
            line("%s: %s", "No", f"/{ID}", name="django.request", status_code=503),
            "django.request: status 503, file.py:7;",
        ),
        (
            line("Failed", name="collector", error=ValueError(ID)),
            "collector: ValueError at file.py:7;",
        ),
        (
            line("Error handling request %s", f"/{ID}", error=failure(), stack_info=ID),
            "gunicorn.error: ValueError at test_logs.py:",
        ),
    ],
)
def test_any_other_line_is_replaced_by_its_logger_its_exception_and_its_place(
    redacting, record, beginning
):
    (text,) = printed(redacting, record)
    assert text.startswith(beginning)
    assert ID not in logging.Formatter().format(record)


def test_a_line_is_printed_once_in_a_period_and_other_lines_are_not_affected(
    redacting, monkeypatch
):
    clock = Mock(return_value=1000.0)
    monkeypatch.setattr(logs.time, "monotonic", clock)
    assert len(printed(redacting, line("x"), line("y"), line("x", name="other"))) == 2
    clock.return_value += PERIOD - 1
    assert printed(redacting, line("x")) == []
    clock.return_value += 1
    assert len(printed(redacting, line("x"))) == 1


@pytest.mark.parametrize(("error", "lines"), [(SystemExit(0), 0), (RuntimeError("no"), 1)])
def test_a_failed_greenlet_is_logged_and_the_end_of_a_worker_is_not(caplog, error, lines):
    log_failure(None, type(error), error, None)
    assert len(caplog.records) == lines


def test_an_exception_that_no_one_can_catch_is_logged_without_its_object(caplog, monkeypatch):
    monkeypatch.setattr("sys.unraisablehook", None)
    RedactingLogger.redact(Mock(error_log=logging.getLogger("some.library")))
    sys.unraisablehook(Mock(exc_type=ValueError, exc_value=ValueError(), exc_traceback=None))
    (record,) = caplog.records
    assert record.name == "gevent"
