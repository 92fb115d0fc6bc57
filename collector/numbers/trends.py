"""Series of days: how the number of instances grew, and how releases spread.

A day is a `Day` of the history; the last one may be today so far.
"""

from collections.abc import Container, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

from collector.conf import conf
from collector.numbers.breakdowns import count_names
from collector.numbers.days import EPOCH, to_day
from collector.numbers.dimensions import RELEASE, order
from collector.numbers.filters import Filters
from collector.numbers.history import Day, Past
from collector.numbers.snapshot import Snapshot
from collector.numbers.stats import Numbers, statistics

LARGEST = 6  # releases that an Adoption shows separately
ENOUGH = 10  # established instances of a release that a picture for other sites names
ESTABLISHED_ONLY = Filters(established=True)
T = TypeVar("T")


@dataclass(frozen=True)
class Adoption:
    """How many instances ran each of the largest releases on each day."""

    releases: tuple[str, ...]  # in order of release
    parts: Sequence[tuple[int, ...]]  # by day: the instances on each release, then all others


def today_so_far(numbers: Numbers) -> Day:
    """Return the statistics of this moment as a `Day`, which has no answers yet."""
    today, reported = list(numbers.last_reported.items())[-1]
    return Day(
        today,
        numbers.instances,
        numbers.established,
        reported,
        numbers.versions,
        numbers.images,
        numbers.architectures,
        numbers.folded.releases,
        numbers.others,
    )


def calendar(days: Mapping[int, T]) -> tuple[list[date], list[T | None]]:
    """Return all dates from the first day to the last, and their values; a gap has None."""
    numbers = range(min(days), max(days) + 1)
    return [EPOCH + timedelta(days=number) for number in numbers], [*map(days.get, numbers)]


def recent(snapshot: Snapshot, count: int) -> list[Day]:
    """Return so many past days at most, and today so far unless its counts are known to be low."""
    today, past = snapshot.tally.day, snapshot.past
    days = past.once(("recent", today, count), lambda: past.between(today - count, today - 1))
    return [*days, today_so_far(statistics(snapshot))] if _has_today(snapshot, days) else days


def totals(snapshot: Snapshot, first: int, *, established: bool = False) -> dict[int, int]:
    """Return the number of instances by day, from the first day on, with today as in `recent`."""
    today, tally = snapshot.tally.day, snapshot.tally
    found = {
        day: each.established if established else each.instances
        for day, each in snapshot.past.totals.items()
        if first <= day < today
    }
    if _has_today(snapshot, found):
        found[today] = tally.established if established else tally.size
    return found


def _has_today(snapshot: Snapshot, past: Sized) -> bool:
    return not (past and snapshot.last_complete_day)


def known_releases(snapshot: Snapshot, days: Iterable[Day]) -> set[str]:
    """Return the releases that a picture for other sites may name: a flood of one day adds none.

    These are the releases that the operator published. If there are none, these are the releases
    that ENOUGH established instances run now, or ran on two days that are further apart than a
    report counts. A past day does not tell which instances were established, so those that were
    not are subtracted from each release.
    """
    if published := snapshot.rules.config.published:
        return set(published)
    established = count_names(snapshot.select(ESTABLISHED_ONLY), snapshot.rules)
    known = {name for name, count in established[RELEASE.name].items() if count >= ENOUGH}
    first: dict[str, int] = {}
    retention = conf.retention_days
    for day in days:
        number, enough = to_day(day.date), ENOUGH + day.instances - day.established
        for name, count in day.releases.items():
            if count >= enough and number - first.setdefault(name, number) > retention:
                known.add(name)
    return known


def adoption(past: Past, days: Sequence[Day], named: Container[str] | None = None) -> Adoption:
    """Return the adoption of releases over the days, the last of which is today.

    Count releases that are not in `named` as others, unless it is None.
    """
    names = _largest(past, days, named)
    return Adoption(tuple(names), [_parts(names, day) for day in days])


def _largest(past: Past, days: Sequence[Day], named: Container[str] | None) -> list[str]:
    """Return at most LARGEST releases, in order of release.

    The first half are those with the largest share today. The rest are those with the largest share
    on any one day.
    """
    (*before_today, today) = days
    now = _largest_shares([today])
    key = "largest shares", days[0].date
    before = past.once(key, lambda: _largest_shares(before_today))
    best = {
        name: max(before.get(name, 0), now.get(name, 0))
        for name in before | now
        if named is None or name in named
    }
    first = sorted(best.keys() & now, key=lambda name: (-now[name], name))[: LARGEST // 2]
    names = dict.fromkeys([*first, *sorted(best, key=lambda name: (-best[name], name))])
    return sorted([*names][:LARGEST], key=order)


def _largest_shares(days: Iterable[Day]) -> dict[str, float]:
    """Return, for each release, its largest share of the instances on any one day."""
    best: dict[str, float] = {}
    for day in days:
        for name, count in day.releases.items():
            best[name] = max(best.get(name, 0), count / (day.instances or 1))
    return best


def _parts(names: Iterable[str], day: Day) -> tuple[int, ...]:
    parts = [day.releases.get(name, 0) for name in names]
    return (*parts, day.instances - sum(parts))
