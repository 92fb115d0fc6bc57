"""The past: one aggregate a day, as `/stats` stood at its end. Counts only, and in memory too."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from collector import stats
from collector.cache import Row, records
from collector.conf import DAY, conf
from collector.reports import COUNTED

# A closing tally as it is kept: what is hidden or in a small group is left out when it is read,
# by the rules that are in force then.
KEEP_ALL = stats.Rules()
TOTALS = ("instances", "established", "reported")


def closing(rows: list[Row], start: int) -> dict[str, Any]:
    """What is kept of the tally at the end of the day that began at `start`, POSIX seconds."""
    day = start // DAY
    kept = stats.summary(rows, KEEP_ALL)
    reported = sum(row.size for row in rows if stats.day_of(row, conf.retention_days) == day)
    names = ("instances", "established", *COUNTED.values())
    return {"reported": reported, **{name: kept[name] for name in names}}


def current() -> dict[str, Any]:
    """The days that are over, the oldest first, under the rules in force, and since when."""
    cache = records()
    days = [point(start, kept) for start, kept in cache.history().items()]
    return {"since": stats.iso(cache.since), "history_days": conf.history_days, "days": days}


def to_csv(history: Mapping[str, Any]) -> str:
    """The same, a line for each number: date, what, name, installations."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("date", "what", "name", "installations"))
    for day in history["days"]:
        lines.writerows(_lines(day))
    return text.getvalue()


def _lines(day: Mapping[str, Any]) -> Iterator[tuple[str, str, str, int]]:
    for total in TOTALS:
        yield day["date"], total, "", day[total]
    for breakdown in COUNTED.values():
        for name, count in day[breakdown].items():
            yield day["date"], breakdown, _harmless(name), count
        yield day["date"], f"other {breakdown}", "", day["others"][breakdown]


def _harmless(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name


def point(start: int, kept: Mapping[str, Any]) -> dict[str, Any]:
    """A day as it is shown."""
    rules = stats.rules()
    listed = {
        breakdown: stats.listing(field, kept[breakdown], rules)
        for field, breakdown in COUNTED.items()
    }
    others = {name: kept["instances"] - sum(counts.values()) for name, counts in listed.items()}
    totals = {name: kept[name] for name in TOTALS}
    return {"date": stats.iso(start)[:10], **totals, **listed, "others": others}
