"""From a tally to numbers: breakdowns, filters, and what is not listed by name.

Nothing here knows of requests or of the cache: it takes the rows of a tally and a moment.
"""

import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from collector.cache import Row, records
from collector.conf import DAY, MAX_FILTERS, MAX_LISTED, conf
from collector.reports import COUNTED, Refusal

# One filtered field: the exact names, and the beginnings of names.
Names = tuple[frozenset[str], tuple[str, ...]]


@dataclass(frozen=True)
class Rules:
    """What may be listed by name."""

    min_group: int = 1
    hide: Mapping[str, str] | None = None  # by field, a regular expression

    def hides(self, field: str, name: str) -> bool:
        """Whether the operator hides this value."""
        pattern = (self.hide or {}).get(field)
        return bool(pattern and re.search(pattern, name))


@dataclass(frozen=True)
class Filters:
    """Which installations to count: by field, names or beginnings of names; none: all."""

    names: Mapping[str, Names]

    @classmethod
    def parse(cls, query: Mapping[str, Sequence[str]]) -> "Filters":
        """Filters from the values of each parameter; a final `*` makes a prefix.

        Raises Refusal for more than MAX_FILTERS values of a field; other parameters are ignored.
        """
        names = {}
        for field in COUNTED:
            given = query.get(field, ())
            if len(given) > MAX_FILTERS:
                raise Refusal(f"{field} is given more than {MAX_FILTERS} times; use fewer.", field)
            if given:
                exact = frozenset(name for name in given if not name.endswith("*"))
                prefixes = tuple(name[:-1] for name in given if name.endswith("*"))
                names[field] = (exact, prefixes)
        return cls(names)

    def __bool__(self) -> bool:
        return bool(self.names)

    def match(self, version: Mapping[str, str | None]) -> bool:
        """Whether each filtered field has one of its names."""
        return all(
            (name := version[field] or "") in exact or name.startswith(prefixes)
            for field, (exact, prefixes) in self.names.items()
        )


NO_FILTERS = Filters({})


def current(filters: Filters = NO_FILTERS) -> dict[str, Any]:
    """The statistics at this moment, in the order and form of `/stats`."""
    now = time.time()
    return numbers(records().tally(), records().since, now, filters)


def numbers(
    rows: Sequence[Row], since: float, now: float, filters: Filters = NO_FILTERS
) -> dict[str, Any]:
    """The statistics of a tally at a moment; `since` is when it began. Both are POSIX seconds."""
    told = rules()
    rows = select(rows, filters, told)
    return {
        **summary(rows, told),
        "since": iso(since),
        "warming_up": not has_listened_a_whole_day(since, now),
        "window_days": conf.retention_days,
        "last_reported": last_reported(rows, now, conf.retention_days),
    }


def rules() -> Rules:
    """The rules in force."""
    return Rules(conf.min_group, conf.hide)


def day_of(row: Row, retention_days: int) -> int | None:
    """The day, since 1970, on which a row's reports came; None: they never expire.

    A report is forgotten at the midnight that ends the last of its days.
    """
    return None if row.expiry is None else int(row.expiry) // DAY - 1 - retention_days


def instances() -> int:
    """How many installations are live at this moment."""
    return sum(row.size for row in records().tally())


def select(rows: Sequence[Row], filters: Filters, rules: Rules) -> Sequence[Row]:
    """The rows that the filters match.

    With a minimum group, the matches are grouped by the filtered fields, and a group below the
    minimum is left out, as is a hidden value: else a filter would tell what is not listed.
    """
    if not filters:
        return rows
    matches = [row for row in rows if row.value is not None and filters.match(row.value)]
    groups: Counter[tuple[str, ...]] = Counter()
    for row in matches:
        groups[_group(row, filters)] += row.size
    told = {
        group
        for group, count in groups.items()
        if count >= rules.min_group
        and not any(rules.hides(*pair) for pair in zip(filters.names, group, strict=True))
    }
    return [row for row in matches if _group(row, filters) in told]


def summary(rows: Iterable[Row], rules: Rules) -> dict[str, Any]:
    """The counts of the rows: all, by each field, and those that reported on two days."""
    total = established = 0
    counts: dict[str, Counter[str]] = {field: Counter() for field in COUNTED}
    for value, _, renewed, count in rows:
        total += count
        established += count if renewed else 0
        if value is not None:
            for field, counter in counts.items():
                counter[value[field] or ""] += count
    listed = {COUNTED[field]: listing(field, counts[field], rules) for field in COUNTED}
    others = {breakdown: total - sum(names.values()) for breakdown, names in listed.items()}
    return {"instances": total, **listed, "others": others, "established": established}


def listing(field: str, counts: Mapping[str, int], rules: Rules) -> dict[str, int]:
    """The values of a field that are listed by name, the most frequent first."""
    told = [
        (name, count)
        for name, count in counts.items()
        if count >= rules.min_group and not rules.hides(field, name)
    ]
    told.sort(key=lambda item: (-item[1], item[0]))
    return dict(told[:MAX_LISTED])


def last_reported(rows: Iterable[Row], now: float, retention_days: int) -> dict[str, int]:
    """By day of the window, the oldest first: installations whose latest report came then."""
    today = int(now) // DAY
    by_day: Counter[int] = Counter()
    for row in rows:
        day = day_of(row, retention_days)
        if day is not None:
            # One from a day that has not begun (the clock went back) counts as today's.
            by_day[min(day, today)] += row.size
    days = range(today - retention_days, today + 1)
    return {iso(day * DAY)[:10]: by_day[day] for day in days}


def has_listened_a_whole_day(since: float, now: float) -> bool:
    """Whether a whole UTC day lies between two moments, POSIX seconds."""
    first_midnight = -(-since // DAY) * DAY
    return now >= first_midnight + DAY


@lru_cache(maxsize=64)  # a day's receipts all say the same moment
def iso(moment: float) -> str:
    """A moment, POSIX seconds, as ISO 8601 in UTC, to the second."""
    return f"{datetime.fromtimestamp(int(moment), UTC):%Y-%m-%dT%H:%M:%SZ}"


def _group(row: Row, filters: Filters) -> tuple[str, ...]:
    return tuple(row.value[field] or "" for field in filters.names)
