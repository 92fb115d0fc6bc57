import logging

import pytest

from tracking_site.logs import PERIOD, Discreet, kind_of, place

ID = "fdb45536-cba8-4204-b352-71fc1062fd95"


def line(message, *args, name="gunicorn.error", level=logging.WARNING, error=None, at=1e9):
    trace = (type(error), error, error.__traceback__) if error else None
    record = logging.LogRecord(name, level, "file.py", 1, message, args, trace)
    record.created = at
    return record


@pytest.fixture
def discreet():
    return Discreet()


def printed(discreet, *records):
    return [record.getMessage() for record in records if discreet.filter(record)]


def test_it_works(discreet):
    quoting = line(f"Invalid request from ip=127.0.0.77: {ID}")
    assert printed(discreet, quoting) == ["malformed requests refused: 1 since the start"]


def test_what_quotes_nothing_is_printed_as_it_is(discreet):
    assert printed(discreet, line("Worker exiting (pid: %s)", 7)) == ["Worker exiting (pid: 7)"]


def test_our_own_sentences_are_printed_as_they_are(discreet):
    assert printed(discreet, line("The store is away", name="collector")) == ["The store is away"]


def test_what_is_unknown_is_withheld_and_counted(discreet):
    unknown = line("Strange %s", ID, name="some.library")
    assert printed(discreet, unknown) == [
        "warning lines of some.library, withheld: 1 since the start"
    ]
    assert unknown.args == ()


def test_a_kind_is_told_once_a_period(discreet):
    lines = [line("Invalid request from x", at=1e9 + second) for second in (0, 1, 2, PERIOD)]
    assert printed(discreet, *lines) == [
        "malformed requests refused: 1 since the start",
        "malformed requests refused: 4 since the start",
    ]


def test_a_line_for_two_handlers_is_counted_once(discreet):
    once = line("Invalid request from x")
    assert [discreet.filter(once), discreet.filter(once)] == [True, True]
    assert once.getMessage() == "malformed requests refused: 1 since the start"


def test_what_was_not_told_is_told_later_and_once(discreet):
    printed(discreet, line("Invalid request from x"), line("Invalid request from x"))
    assert discreet.untold() == ["malformed requests refused: 2 since the start"]
    assert discreet.untold() == []


def test_a_clock_that_goes_back_silences_nothing(discreet):
    assert len(printed(discreet, line("Socket error"), line("Socket error", at=1e6))) == 2


def test_an_exception_is_told_by_its_name_and_place():
    try:
        raise ValueError(ID)
    except ValueError as error:
        record = line("Error handling request %s", f"/{ID}", error=error)
    assert kind_of(record).startswith("requests failed in the server, ValueError at test_logs.py:")
    assert ID not in kind_of(record)


def test_ours_with_an_exception_is_not_printed_as_it_is(discreet):
    record = line("It failed", name="collector", error=ValueError(ID))
    assert ID not in printed(discreet, record)[0]


def test_no_trace_has_no_place():
    assert place(None) == "an unknown place"


def test_a_full_server_is_no_failure_of_the_application(discreet):
    refused = line("%s: %s", "Service Unavailable", "/", name="django.request")
    refused.status_code = 503
    assert printed(discreet, refused) == [
        "requests refused: the server is full, or its store is away: 1 since the start"
    ]
