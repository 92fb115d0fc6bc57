"""From a tally to numbers.

Nothing here knows of requests: it takes a tally, a moment, filters and rules.
"""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from heapq import nsmallest
from typing import Any, TypeVar

from collector.cache import Choice, TallyCache, Totals, records
from collector.conf import DAY, MAX_LISTED, MAX_NAMES, conf
from collector.numbers import answers, folding
from collector.numbers.answers import PERCENT
from collector.numbers.dimensions import FOLDED, RAW, RELEASE, Dimension, Rules
from collector.numbers.filters import NO_FILTERS, Filters, select
from collector.numbers.folding import NO_RELEASE, order

MEMOS = 64  # answers remembered with a snapshot
T = TypeVar("T")


class Memo(dict[Hashable, Any]):
    """What was made, by its name; at most MEMOS."""

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns, made once."""
        if key not in self:
            if len(self) >= MEMOS:
                self.clear()
            self[key] = make()
        made: T = self[key]
        return made


@dataclass(frozen=True)
class Snapshot:
    """A tally at a moment; all surfaces take their numbers from one."""

    totals: Totals
    totals_of: Callable[[Choice], Totals]  # of some versions, for filters
    history: Mapping[int, Any]
    since: float  # when counting began, POSIX seconds
    now: float
    rules: Rules
    memo: Memo = field(default_factory=Memo)  # of this snapshot
    past: Memo = field(default_factory=Memo)  # of the history alone; see `followed_by`

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns, made once for this snapshot."""
        return self.memo.once(key, make)

    def select(self, filters: Filters) -> Totals:
        """The sums of what the filters match."""
        if not filters:
            return self.totals
        return self.totals_of(lambda sizes: select(sizes, filters, self.rules))

    def count(self, filters: Filters) -> int:
        """How many the filters match."""
        if not filters:
            return self.totals.size
        return sum(size for _, size in select(self.totals.values, filters, self.rules))

    def followed_by(self, later: "Snapshot") -> "Snapshot":
        """The later snapshot, with what was made of the history already, if that is the same."""
        mine, other = (
            (taken.totals_of, taken.history, taken.since, taken.rules) for taken in (self, later)
        )
        return replace(later, past=self.past) if mine == other else later

    @property
    def warming_up(self) -> bool:
        """Whether counting began less than a whole UTC day ago: the numbers are too small."""
        return not has_listened_a_whole_day(self.since, self.now)


_latest: tuple[Hashable, Snapshot] | None = None
_taking = threading.Lock()


def snapshot() -> Snapshot:
    """The numbers at this moment: the last snapshot, if nothing changed and the day is the same."""
    global _latest  # noqa: PLW0603  the one memory of the last snapshot
    cache, now, rules = records(), time.time(), rules_in_force()
    with _taking:
        state = _state(cache, now, rules)
        if _latest is None or _latest[0] != state:
            taken = Snapshot(cache.totals(), cache.totals, cache.history(), cache.since, now, rules)
            _latest = (state, _latest[1].followed_by(taken) if _latest else taken)
        return _latest[1]


def _state(cache: TallyCache, now: float, rules: Rules) -> Hashable:
    """What a snapshot depends on."""
    return id(cache), cache.changes(), now // DAY, rules.min_group, str(rules.hide)


def let_go() -> None:
    """Keep nothing that was made of numbers which are not in force any more.

    The next question would replace it; this is for a server that nobody asks.
    """
    global _latest  # noqa: PLW0603  as in `snapshot`
    cache, now, rules = records(), time.time(), rules_in_force()
    with _taking:
        if _latest is not None and _latest[0] != _state(cache, now, rules):
            _latest = None
            folding.forget()


def rules_in_force() -> Rules:
    """What may be told by name, by the settings."""
    return Rules(conf.min_group, conf.hide)


def numbers(taken: Snapshot, filters: Filters = NO_FILTERS) -> Any:
    """The statistics of a snapshot, as `answers.Numbers`."""
    totals = taken.select(filters)
    return answers.Numbers(
        **summary(totals, taken.rules),
        since=iso(taken.since),
        warming_up=taken.warming_up,
        window_days=conf.retention_days,
        last_reported=last_reported(totals, taken.now, conf.retention_days),
    )


def summary(totals: Totals, rules: Rules) -> dict[str, Any]:
    """The counts: all, by each field as sent and folded, and the established."""
    total = totals.size
    counts = _counts(totals.values)
    listed = {raw.breakdown: listing(raw, counts[raw.field], rules) for raw in RAW}
    return {
        "instances": total,
        **listed,
        "others": answers.Others(**others(total, listed)),
        "established": sum(size for _, renewed, size in totals.ends if renewed),
        "folded": folded(total, counts, rules),
    }


def folded(total: int, counts: Mapping[str, Mapping[str, int]], rules: Rules) -> Any:
    """The counts by release, repository and family, from those by field: `answers.Folded`."""
    folds = {fold: _fold(fold, counts[fold.field], rules) for fold in FOLDED}
    folds[RELEASE].pop(NO_RELEASE, None)
    listed = {fold.breakdown: listing(fold, folds[fold], rules) for fold in FOLDED}
    listed["releases"] = dict(
        sorted(listed["releases"].items(), key=lambda item: order(item[0]), reverse=True)
    )
    apart = {app: n for app, n in counts["app"].items() if RELEASE.fold(app) == NO_RELEASE}
    listed["not_releases"] = listing(RAW[0], apart, rules)
    on_releases = sum(listed["releases"].values())
    at_least = cumulated(listed["releases"])
    rest = others(total, {fold.breakdown: listed[fold.breakdown] for fold in FOLDED})
    rest["releases"] -= sum(listed["not_releases"].values())
    return answers.Folded(
        **listed,
        others=answers.FoldedOthers(**rest),
        at_least=at_least,
        on_releases=on_releases,
        percent_run_at_least=next(
            (name for name, n in at_least.items() if n * 100 >= PERCENT * on_releases), None
        ),
    )


def cumulated(releases: Mapping[str, int]) -> dict[str, int]:
    """How many run at least each release, of those on a release that is listed; newest first."""
    sums, running = {}, 0
    for name, count in releases.items():
        running += count
        sums[name] = running
    return sums


def listing(dimension: Dimension, counts: Mapping[str, int], rules: Rules) -> dict[str, int]:
    """The names that are told, the most frequent first.

    At most MAX_LISTED, and no more than fit into MAX_NAMES bytes: no name is that long by chance.
    """
    told = (
        (-count, name)
        for name, count in counts.items()
        if count >= rules.min_group and not rules.hides(dimension, name)
    )
    listed, room = {}, MAX_NAMES
    for count, name in nsmallest(MAX_LISTED, told):
        room -= len(name) + name.count('"') + name.count("\\") + 12
        if room < 0:
            break
        listed[name] = -count
    return listed


def others(total: int, listed: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """By breakdown, how many of all are not listed by name."""
    return {breakdown: total - sum(names.values()) for breakdown, names in listed.items()}


def day_of(expiry: float | None, retention_days: int) -> int | None:
    """The day, since 1970, on which reports with this expiry came; None: they never expire.

    A report is forgotten at the midnight that ends the last of its days.
    """
    return None if expiry is None else int(expiry) // DAY - 1 - retention_days


def last_reported(totals: Totals, now: float, retention_days: int) -> dict[str, int]:
    """By day of the window, the oldest first: installations whose latest report came then."""
    today = int(now) // DAY
    by_day: Counter[int] = Counter()
    for expiry, _, size in totals.ends:
        day = day_of(expiry, retention_days)
        if day is not None:
            # One from a day that has not begun (the clock went back) counts as today's.
            by_day[min(day, today)] += size
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


def _counts(versions: Iterable[tuple[Any, int]]) -> dict[str, Mapping[str, int]]:
    # There may be ten thousand versions, all different: a Counter takes twice as long.
    counts: dict[str, defaultdict[str, int]] = {raw.field: defaultdict(int) for raw in RAW}
    for version, size in versions:
        if version is not None:
            for field, names in counts.items():
                names[version[field] or ""] += size
    return {**counts}


def _fold(fold: Dimension, counts: Mapping[str, int], rules: Rules) -> dict[str, int]:
    names: defaultdict[str, int] = defaultdict(int)
    for raw, size in counts.items():
        if not rules.hides(fold, raw):
            names[fold.fold(raw)] += size
    return names
