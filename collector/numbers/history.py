"""The past: one aggregate a day, as `/stats` stood at its end. Counts only, and in memory too."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from collector.cache import Totals
from collector.conf import DAY, conf
from collector.numbers import stats
from collector.numbers.answers import Day, History, Others
from collector.numbers.dimensions import RAW, RELEASE, Rules

TOTALS = ("instances", "established", "reported")


def closing(totals: Totals, start: int) -> dict[str, Any]:
    """What is kept of the tally at the end of the day that began at `start`, POSIX seconds."""
    # What is hidden is not kept: it would take the place of what is shown. Small groups are left
    # out when it is read.
    kept = stats.summary(totals, Rules(hide=conf.hide))
    reported = sum(
        size
        for expiry, _, size in totals.ends
        if stats.day_of(expiry, conf.retention_days) == start // DAY
    )
    names = ("instances", "established", *(raw.breakdown for raw in RAW))
    releases = kept["folded"].releases
    return {"reported": reported, "releases": releases, **{name: kept[name] for name in names}}


def releases(taken: stats.Snapshot) -> list[Mapping[str, int]]:
    """The installations by release at the end of each of those days."""
    return taken.past.once(
        "releases",
        lambda: [
            stats.listing(RELEASE, kept["releases"], taken.rules) for kept in taken.history.values()
        ],
    )


def numbers(taken: stats.Snapshot) -> History:
    """The days that are over, the oldest first, under the rules in force, and since when."""
    return History(stats.iso(taken.since), conf.history_days, days(taken))


def days(taken: stats.Snapshot) -> list[Any]:
    """The days that are over, the oldest first, made once until the next is over."""
    return taken.past.once(
        "days", lambda: [point(start, kept, taken.rules) for start, kept in taken.history.items()]
    )


def to_csv(history: History) -> str:
    """The same, a line for each number: date, what, name, installations."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("date", "what", "name", "installations"))
    for day in history.days:
        lines.writerows(_lines(day))
    return text.getvalue()


def _lines(day: Any) -> Iterator[tuple[str, str, str, int]]:
    for total in TOTALS:
        yield day.date, total, "", getattr(day, total)
    for breakdown in (raw.breakdown for raw in RAW):
        for name, count in getattr(day, breakdown).items():
            yield day.date, breakdown, _harmless(name), count
        yield day.date, f"other {breakdown}", "", getattr(day.others, breakdown)


def _harmless(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name


def point(start: int, kept: Mapping[str, Any], rules: Rules) -> Any:
    """A day as it is told: `answers.Day`."""
    totals = {name: kept[name] for name in TOTALS}
    listed = {raw.breakdown: stats.listing(raw, kept[raw.breakdown], rules) for raw in RAW}
    others = Others(**stats.others(kept["instances"], listed))
    return Day(date=stats.iso(start)[:10], **totals, **listed, others=others)
