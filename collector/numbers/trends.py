"""Series of days: how the number of instances grew, and how releases spread.

A day is a `Day` of the history; the last one is today so far.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from collector.numbers import folding, history
from collector.numbers.dimensions import RAW
from collector.numbers.history import ClosedDays, Day
from collector.numbers.memo import once

LARGEST = 6  # releases that an Adoption shows separately


@dataclass(frozen=True)
class Adoption:
    """How many instances ran each of the largest releases on each day."""

    releases: tuple[str, ...]  # in order of release
    parts: Sequence[tuple[int, ...]]  # by day: the instances on each release, then all others


def today_so_far(numbers: Any) -> Any:
    """Return the statistics of this moment as a `Day`."""
    today, reported = list(numbers.last_reported.items())[-1]
    return Day(
        date=today,
        instances=numbers.instances,
        established=numbers.established,
        reported=reported,
        **{raw.breakdown: getattr(numbers, raw.breakdown) for raw in RAW},
        others=numbers.others,
        answers=numbers.answers,
        answered=numbers.answered,
    )


def calendar(days: Sequence[Any]) -> list[tuple[date, Any]]:
    """Return each date from the first day to the last with its day, or None if there is none."""
    by_date = {date.fromisoformat(day.date): day for day in days}
    first, last = min(by_date), max(by_date)
    dates = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [(each, by_date.get(each)) for each in dates]


def adoption(closed: ClosedDays, days: Sequence[Any], today: Mapping[str, int]) -> Adoption:
    """Return the adoption of releases over the days; `today` has the releases of the last one."""
    by_day = [*history.releases(closed), today]
    names = _largest(closed, days, by_day)
    return Adoption(
        tuple(names),
        [_parts(names, counts, day) for counts, day in zip(by_day, days, strict=True)],
    )


def _largest(
    closed: ClosedDays, days: Sequence[Any], by_day: Sequence[Mapping[str, int]]
) -> list[str]:
    """Return at most LARGEST releases, in order of release.

    The first half are those with the largest share today. The rest are those with the largest share
    on any one day.
    """
    (*past, today) = zip(days, by_day, strict=True)
    now = _largest_shares([today])
    before = once(closed, "largest shares", lambda: _largest_shares(past))
    best = {name: max(before.get(name, 0), now.get(name, 0)) for name in before | now}
    first = sorted(now, key=lambda name: (-now[name], name))[: LARGEST // 2]
    names = dict.fromkeys([*first, *sorted(best, key=lambda name: (-best[name], name))])
    return sorted([*names][:LARGEST], key=folding.order)


def _largest_shares(days: Iterable[tuple[Any, Mapping[str, int]]]) -> dict[str, float]:
    """Return, for each release, its largest share of the instances on any one day."""
    best: dict[str, float] = {}
    for day, counts in days:
        for name, count in counts.items():
            best[name] = max(best.get(name, 0), count / (day.instances or 1))
    return best


def _parts(names: Iterable[str], counts: Mapping[str, int], day: Any) -> tuple[int, ...]:
    parts = [counts.get(name, 0) for name in names]
    return (*parts, day.instances - sum(parts))
