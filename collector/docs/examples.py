"""One installation's report, and what this server, as it is set, would answer to it.

The docs quote these; a test asks a server the same and compares.
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
from collector.numbers.answers import Problem, Receipt
from collector.numbers.dimensions import Rules
from collector.numbers.history import ClosedDays
from collector.numbers.moments import iso
from collector.numbers.snapshot import Snapshot
from collector.reports import parsing as reports
from collector.views import badges
from collector.views import health as server

ID = "fdb45536-cba8-4204-b352-71fc1062fd95"
DAY_OF_REPORT = 20_522  # days since 1970: 2026-03-10
PREFIX = "0.9"


def report() -> str:
    """The body of a report."""
    return json.dumps(sent())


def report_indented() -> str:
    """The body of a report, to be read."""
    return json.dumps(sent(), indent=2)


def day() -> str:
    """The day of that report."""
    return iso(DAY_OF_REPORT * DAY)[:10]


def forgotten_day() -> str:
    """The day at whose beginning it is forgotten."""
    return iso(_expiry())[:10]


def receipt() -> str:
    """The answer to it."""
    return _compact(Receipt(_version(), iso(_expiry())))


def refusal() -> str:
    """The answer to a report whose id is none."""
    try:
        reports.parse(b'{"id": "my-server"}')
    except reports.Refusal as refused:
        return _compact(Problem(refused.problem, refused.field or UNSET))
    raise AssertionError("a refusal that is none")


def numbers() -> str:
    """The statistics after that report."""
    return _compact(_numbers())


def filtered() -> str:
    """The statistics of a filter that matches nothing."""
    return _compact(_numbers({"app": [f"{PREFIX}*"], "arch": ["sparc"]}))


def history() -> str:
    """The past of a server that started today."""
    return _compact(past.history(_snapshot().history, _snapshot().since))


def badge_path() -> str:
    """Where the badge is drawn here."""
    return reverse("collector-badge-svg")


def badge() -> str:
    """Where the badge is."""
    return badges.static_url(badges.Badge("instances", "1", "blue"))


def badge_json() -> str:
    """The badge described."""
    return _compact(badges.endpoint(badges.Badge("instances", "1", "blue", warming_up=True)))


def health() -> str:
    """That the server is alive."""
    return _compact(server.health())


def docs_url() -> str:
    """Where a browser that visits is sent."""
    return conf.docs_url or f"{conf.public_url}/docs"


def sent() -> dict[str, Any]:
    """The content of a report."""
    return {"id": ID, "version": {field.name: field.example for field in reports.FIELDS}}


def _version() -> dict[str, str | None]:
    return reports.parse(report().encode()).version


def _expiry() -> int:
    return (DAY_OF_REPORT + conf.retention_days + 1) * DAY


def _numbers(query: dict[str, list[str]] | None = None) -> Any:
    return stats.statistics(_snapshot(), filters.parse(query or {}))


def _snapshot() -> Snapshot:
    since = DAY_OF_REPORT * DAY + 8 * 3600
    counts = {b"": 1}
    tally = Tally({b"": _version()}, counts, (Cohort(_expiry(), False, 1, counts),))
    rules = Rules(conf.min_group, conf.hide)
    return Snapshot(tally, ClosedDays({}, rules), since, since + 60, rules)


def _compact(content: Any) -> str:
    return msgspec.json.encode(content).decode()
