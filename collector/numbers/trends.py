"""The days that are over, and today so far: how the fleet grew, and how releases spread over it."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from collector.numbers import answers, folding, history, stats
from collector.numbers.dimensions import RAW
from collector.views import charts

LAYERS = 6  # releases with a layer of their own in the adoption


def so_far(whole: Any) -> Any:
    """Today, in the form of a day that is over."""
    today = list(whole.last_reported.items())[-1]
    return answers.Day(
        date=today[0],
        instances=whole.instances,
        established=whole.established,
        reported=today[1],
        **{raw.breakdown: getattr(whole, raw.breakdown) for raw in RAW},
        others=whole.others,
    )


def growth(taken: stats.Snapshot, days: Sequence[Any]) -> dict[str, Any]:
    """The installations and the reports by day, as charts and as tables."""
    if len(days) < 2:
        return {"days": 0}
    axis, by_date = spread(days)
    live = [by_date[day].instances if day in by_date else None for day in axis]
    reported = [by_date[day].reported if day in by_date else None for day in axis]
    return {
        "days": len(days),
        "growth_chart": charts.line("Live installations by day", axis, live),
        "growth_rows": rows(taken, "growth", days, lambda day: (day.instances, day.established)),
        "reports_chart": charts.columns("Reporting installations by day", axis, reported),
        "reports_rows": rows(taken, "reports", days, lambda day: (day.reported,)),
    }


def adoption(
    taken: stats.Snapshot, days: Sequence[Any], today: Mapping[str, int]
) -> dict[str, Any]:
    """The shares of the releases by day, the largest and the rest, as a chart and as a table.

    `today` has the releases of the last of the days.
    """
    axis, by_date = spread(days)
    releases = [*history.releases(taken), today]
    names = largest(taken, days, releases)
    if len(days) < 2 or not names:
        return {}
    parts = {
        each.date: _parts(names, found, each) for each, found in zip(days, releases, strict=True)
    }
    layers = [
        [_share(parts[str(day)][n], by_date[day]) if day in by_date else None for day in axis]
        for n in range(len(names) + 1)
    ]

    def cells(day: Any) -> list[Any]:
        return [*(percent(part, day.instances) for part in parts[day.date]), day.instances]

    return {
        "adoption_chart": charts.stack("Share of each release by day", axis, layers),
        "adoption_rows": rows(taken, ("adoption", *names), days, cells),
        "layers": list(zip(charts.LETTERS, [*names, "all others"], strict=False)),
    }


def rows(
    taken: stats.Snapshot, key: Hashable, days: Sequence[Any], cells: Callable[[Any], Iterable[Any]]
) -> SafeString:
    """The rows of a table of the days, the newest first; those that are over are made once."""

    def rendered(some: Sequence[Any]) -> SafeString:
        table = [(day.date, cells(day)) for day in reversed(some)]
        return render_to_string("collector/day_rows.html", {"rows": table})

    (*over, today) = days
    return rendered([today]) + taken.past.once(("rows", key), lambda: rendered(over))


def largest(
    taken: stats.Snapshot, days: Sequence[Any], releases: Sequence[Mapping[str, int]]
) -> list[str]:
    """The largest releases, the oldest first: half of them today, the others on any day."""
    (*over, today) = zip(days, releases, strict=True)
    now = largest_shares([today])
    once = dict(taken.past.once("largest shares", lambda: largest_shares(over)))
    best = {name: max(once.get(name, 0), now.get(name, 0)) for name in once | now}
    first = sorted(now, key=lambda name: (-now[name], name))[: LAYERS // 2]
    names = dict.fromkeys([*first, *sorted(best, key=lambda name: (-best[name], name))])
    return sorted([*names][:LAYERS], key=folding.order)


def largest_shares(days: Iterable[tuple[Any, Mapping[str, int]]]) -> dict[str, float]:
    """The largest share of a day's total that each release had."""
    best: dict[str, float] = {}
    for day, counts in days:
        for name, count in counts.items():
            best[name] = max(best.get(name, 0), _share(count, day))
    return best


def spread(days: Sequence[Any]) -> tuple[list[date], dict[date, Any]]:
    """Every date from the first day to the last, and the days that there are by date."""
    by_date = {date.fromisoformat(day.date): day for day in days}
    first, last = min(by_date), max(by_date)
    return [first + timedelta(days=n) for n in range((last - first).days + 1)], by_date


def percent(part: int, of: int) -> str:
    """A part of a whole, to the percent; what is not nothing and not all never looks so."""
    if not of:
        return "0 %"
    rounded = round(100 * part / of)
    if not rounded and part:
        return "<1 %"
    if rounded == 100 and part < of:
        return ">99 %"
    return f"{rounded} %"


def _share(part: int, day: Any) -> float:
    return 100 * part / day.instances if day.instances else 0


def _parts(names: Iterable[str], counts: Mapping[str, int], day: Any) -> list[int]:
    parts = [counts.get(name, 0) for name in names]
    return [*parts, day.instances - sum(parts)]
