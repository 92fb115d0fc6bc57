"""The examples in the docs: one report, and the responses of this server under its settings.

A test sends the same requests to a server and compares the responses.
"""

import json
from typing import Any

import msgspec
from django.urls import reverse
from msgspec import UNSET

from collector.cache import Cohort, Tally
from collector.conf import DAY, conf
from collector.numbers import filters, stats
from collector.numbers import history as past
from collector.numbers.dimensions import Rules
from collector.numbers.moments import iso, iso_date
from collector.numbers.snapshot import Snapshot
from collector.reports.fields import FIELDS
from collector.reports.parsing import Refusal, Report, parse
from collector.views import badges
from collector.views import health as server
from collector.views.endpoint import Problem
from collector.views.ingest import Receipt

ID = "fdb45536-cba8-4204-b352-71fc1062fd95"
DAY_OF_REPORT = 20_522  # days since 1970-01-01: 2026-03-10
PREFIX = "0.9"


def content() -> dict[str, Any]:
    """Return the content of the report."""
    report = {"id": ID, "version": {field.name: field.example for field in FIELDS}}
    return {**report, "answers": answers()} if conf.questions else report


def answers() -> dict[str, Any]:
    """Return the answers in the report."""
    return {each.name: each.example for each in conf.questions}


def report() -> str:
    """Return the body of the report."""
    return json.dumps(content())


def report_indented() -> str:
    """Return the body of the report, indented for a reader."""
    return json.dumps(content(), indent=2)


def day() -> str:
    """Return the day on which the report arrives."""
    return iso_date(DAY_OF_REPORT)


def forgotten_day() -> str:
    """Return the day at whose beginning the report is forgotten."""
    return iso(_expiry())[:10]


def receipt() -> str:
    """Return the response to the report."""
    kept = _parsed().answers if conf.questions else UNSET
    return _json(Receipt(_parsed().version, iso(_expiry()), kept))


def refusal() -> str:
    """Return the response to a report with an invalid id."""
    try:
        parse(b'{"id": "my-server"}')
    except Refusal as refused:
        return _json(Problem(refused.problem, refused.field or UNSET))
    raise AssertionError("The parser accepts an invalid id.")


def numbers() -> str:
    """Return the statistics after the report."""
    return _json(stats.statistics(_snapshot()))


def filtered() -> str:
    """Return the statistics with filters that match nothing."""
    query = {"app": [f"{PREFIX}*"], "arch": ["sparc"]}
    return _json(stats.statistics(_snapshot(), filters.parse(query)))


def history() -> str:
    """Return the history of a server that started today."""
    return _json(past.history(_snapshot().history, _snapshot().since))


def badge_path() -> str:
    """Return the path of the badge that this server draws."""
    return reverse("collector-badge-svg")


def badge() -> str:
    """Return the URL of the badge that shields.io draws."""
    return badges.static_url(badges.Badge("instances", "1", "blue"))


def badge_json() -> str:
    """Return the description of the badge."""
    return _json(badges.description(badges.Badge("instances", "1", "blue", warming_up=True)))


def health() -> str:
    """Return the response of `/healthz`."""
    return _json(server.health())


def _parsed() -> Report:
    return parse(report().encode(), conf.questions)


def _expiry() -> int:
    return (DAY_OF_REPORT + conf.retention_days + 1) * DAY


def _snapshot() -> Snapshot:
    """Return a snapshot a minute after counting began, with the report and no past day."""
    since = DAY_OF_REPORT * DAY + 8 * 3600
    counts = {b"": 1}
    tally = Tally({b"": _parsed().version}, counts, (Cohort(_expiry(), False, 1, counts),))
    rules = Rules(conf.min_group, conf.hide)
    given = {name: {value: 1} for name, value in _parsed().answers.items()}
    closed = past.ClosedDays({}, rules)
    return Snapshot(tally, closed, since, since + 60, rules, conf.questions, given)


def _json(content: Any) -> str:
    return msgspec.json.encode(content).decode()
