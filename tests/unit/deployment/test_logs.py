import logging

import pytest

from tracking_site.logs import PERIOD, RedactingFilter, kind_of, location, log_failure

ID = "fdb45536-cba8-4204-b352-71fc1062fd95"


def line(message, *args, name="gunicorn.error", level=logging.WARNING, error=None, at=1e9):
    trace = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord(name, level, "file.py", 1, message, args, trace)
    record.created = at
    return record


@pytest.fixture
def redacting():
    return RedactingFilter()


def printed(redacting, *records):
    return [record.getMessage() for record in records if redacting.filter(record)]


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (line("Worker exiting (pid: %s)", 7), "Worker exiting (pid: 7)"),
        (line("The store is full", name="collector"), "The store is full"),
    ],
)
def test_a_line_that_quotes_nothing_is_printed_unchanged(redacting, record, text):
    assert printed(redacting, record) == [text]


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (line(f"Invalid request from ip=127.0.0.77: {ID}"), "malformed requests refused"),
        (line("Strange %s", ID, name="some.library"), "warning lines from some.library, withheld"),
        (
            line("Failed", name="collector", error=ValueError(ID)),
            "warning lines from collector, withheld, ValueError at an unknown location",
        ),
    ],
)
def test_a_line_that_may_quote_a_request_is_replaced_by_its_kind(redacting, record, kind):
    assert printed(redacting, record) == [f"{kind}: 1 since startup"]
    assert record.args == ()


def test_a_full_server_is_not_a_failure_of_the_application():
    refused = line("%s: %s", "Service Unavailable", "/", name="django.request")
    refused.status_code = 503
    assert kind_of(refused).startswith("requests refused because the server is full")


def test_a_kind_is_printed_once_in_a_period(redacting):
    lines = [line("Invalid request from x", at=1e9 + second) for second in (0, 1, 2, PERIOD)]
    assert printed(redacting, *lines) == [
        "malformed requests refused: 1 since startup",
        "malformed requests refused: 4 since startup",
    ]


def test_a_line_that_two_handlers_print_is_counted_once(redacting):
    once = line("Invalid request from x")
    assert [redacting.filter(once), redacting.filter(once)] == [True, True]
    assert once.getMessage() == "malformed requests refused: 1 since startup"


def test_suppressed_lines_are_reported_later_and_once(redacting):
    printed(redacting, line("Invalid request from x"), line("Invalid request from x"))
    assert redacting.suppressed() == ["malformed requests refused: 2 since startup"]
    assert redacting.suppressed() == []


def test_a_clock_that_goes_back_suppresses_nothing(redacting):
    assert len(printed(redacting, line("Socket error"), line("Socket error", at=1e6))) == 2


def test_an_exception_is_named_with_its_location_and_without_its_text():
    try:
        raise ValueError(ID)
    except ValueError as error:
        kind = kind_of(line("Error handling request %s", f"/{ID}", error=error))
    assert kind.startswith("requests failed in the server, ValueError at test_logs.py:")
    assert ID not in kind
    assert location(None) == "an unknown location"


@pytest.mark.parametrize(("error", "lines"), [(SystemExit(0), 0), (RuntimeError("no"), 1)])
def test_a_failed_greenlet_is_logged_and_the_end_of_a_worker_is_not(caplog, error, lines):
    log_failure(None, type(error), error, None)
    assert len(caplog.records) == lines
