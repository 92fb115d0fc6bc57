"""Tallies, snapshots and statistics of made-up versions, without a cache."""

from collections import Counter
from typing import Any, NamedTuple

import msgspec

from collector.cache import Cohort, Tally
from collector.numbers.dimensions import Rules
from collector.numbers.filters import parse
from collector.numbers.history import ClosedDays
from collector.numbers.snapshot import Snapshot
from collector.numbers.stats import statistics

DAY = 86400
NO_RULES = Rules()


class Row(NamedTuple):
    """Some instances with the same version, expiry and `renewed`."""

    version: Any
    expiry: float | None
    renewed: bool
    count: int


def row(app="1", image=None, arch=None, *, expiry=8 * DAY, renewed=False, count=1):
    return Row({"app": app, "image": image, "arch": arch}, expiry, renewed, count)


def without_detail(count, expiry=8 * DAY):
    return Row(None, expiry, False, count)


def tally_of(*rows):
    names = {str(each.version).encode(): each.version for each in rows}
    counts, cohorts = Counter(), {}
    for version, expiry, renewed, count in rows:
        name = str(version).encode()
        counts[name] += count
        cohorts.setdefault((expiry, renewed), Counter())[name] += count
    return Tally(
        names, counts, tuple(Cohort(*key, each.total(), each) for key, each in cohorts.items())
    )


def snapshot_of(*rows, rules=NO_RULES, now=0.5 * DAY):
    return Snapshot(tally_of(*rows), ClosedDays({}, rules), 0, now, rules)


def statistics_of(*rows, rules=NO_RULES, **query):
    """The statistics as plain objects."""
    return msgspec.to_builtins(statistics(snapshot_of(*rows, rules=rules), parse(query)))


def folded(*rows, rules=NO_RULES):
    return statistics_of(*rows, rules=rules)["folded"]


def count(*rows, rules=NO_RULES, **query):
    """The number of instances that the filters match, which is the same on every surface."""
    snapshot, filters = snapshot_of(*rows, rules=rules), parse(query)
    counted = snapshot.count(filters)
    assert snapshot.select(filters).size == counted
    assert statistics(snapshot, filters).instances == counted
    return counted
