"""Series of days: how the number of instances grew, and how releases spread.

A day is a `Day` of the history; the last one is today so far.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from collector import folding
from collector.numbers.history import Day, Past
from collector.numbers.stats import Numbers

LARGEST = 6  # releases that an Adoption shows separately


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
        numbers.others,
    )


def calendar(days: Sequence[Day]) -> list[tuple[date, Day | None]]:
    """Return each date from the first day to the last with its day, or None if there is none."""
    by_date = {date.fromisoformat(day.date): day for day in days}
    first, last = min(by_date), max(by_date)
    dates = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [(each, by_date.get(each)) for each in dates]


def adoption(past: Past, days: Sequence[Day], today: Mapping[str, int]) -> Adoption:
    """Return the adoption of releases over the days; `today` has the releases of the last one."""
    by_day = [*past.releases, today]
    names = _largest(past, days, by_day)
    return Adoption(
        tuple(names),
        [_parts(names, counts, day) for counts, day in zip(by_day, days, strict=True)],
    )


def _largest(past: Past, days: Sequence[Day], by_day: Sequence[Mapping[str, int]]) -> list[str]:
    """Return at most LARGEST releases, in order of release.

    The first half are those with the largest share today. The rest are those with the largest share
    on any one day.
    """
    (*before_today, today) = zip(days, by_day, strict=True)
    now = _largest_shares([today])
    before = past.once("largest shares", lambda: _largest_shares(before_today))
    best = {name: max(before.get(name, 0), now.get(name, 0)) for name in before | now}
    first = sorted(now, key=lambda name: (-now[name], name))[: LARGEST // 2]
    names = dict.fromkeys([*first, *sorted(best, key=lambda name: (-best[name], name))])
    return sorted([*names][:LARGEST], key=folding.order)


def _largest_shares(days: Iterable[tuple[Day, Mapping[str, int]]]) -> dict[str, float]:
    """Return, for each release, its largest share of the instances on any one day."""
    best: dict[str, float] = {}
    for day, counts in days:
        for name, count in counts.items():
            best[name] = max(best.get(name, 0), count / (day.instances or 1))
    return best


def _parts(names: Iterable[str], counts: Mapping[str, int], day: Day) -> tuple[int, ...]:
    parts = [counts.get(name, 0) for name in names]
    return (*parts, day.instances - sum(parts))
