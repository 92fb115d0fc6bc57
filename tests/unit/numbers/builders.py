"""Tallies, snapshots and statistics of made-up versions, without a cache."""

from collections import Counter
from typing import Any, NamedTuple

import msgspec

from collector.cache.tally import Cohort, State, Tally, encode
from collector.config import Config, Hide
from collector.numbers.dimensions import Rules
from collector.numbers.filters import parse
from collector.numbers.history import Past
from collector.numbers.snapshot import Snapshot
from collector.numbers.stats import statistics
from collector.reports.parsing import Version

NO_RULES = Rules()


def hiding(field, *names):
    """Return rules that hide names of a field."""
    return Rules(config=Config(1, hide=Hide(**{field: names})))


class Row(NamedTuple):
    """Some instances with the same version, day and `established`."""

    version: Any
    day: int
    established: bool
    count: int


def row(app="1", image=None, arch=None, *, day=0, established=False, count=1):
    return Row(Version(app, image, arch), day, established, count)


def without_detail(count, day=0):
    return Row(None, day, False, count)


def tally_of(*rows, today=0):
    counts, cohorts = Counter(), {}
    for version, day, established, count in rows:
        counts[encode(version)] += count
        cohorts.setdefault((day, established), Counter())[encode(version)] += count
    return Tally(
        today, counts, tuple(Cohort(*key, each.total(), each) for key, each in cohorts.items()), {}
    )


def snapshot_of(*rows, rules=NO_RULES):
    return Snapshot(State(tally_of(*rows), {}, 0, None), Past({}, rules, {}))


def statistics_of(*rows, rules=NO_RULES, **query):
    """The statistics as plain objects."""
    return msgspec.to_builtins(statistics(snapshot_of(*rows, rules=rules), parse(query)))


def folded(*rows, rules=NO_RULES):
    return statistics_of(*rows, rules=rules)["folded"]


def count(*rows, rules=NO_RULES, **query):
    """The number of instances that the filters match, which is the same on every surface."""
    snapshot, filters = snapshot_of(*rows, rules=rules), parse(query)
    counted = snapshot.select(filters).size
    assert snapshot.select(filters).size == counted
    assert statistics(snapshot, filters).instances == counted
    return counted
