"""Snapshots: the tally and the history at one moment, from which every number is computed."""

import threading
import time
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field

from collector.cache import Tally, TallyCache, records
from collector.conf import DAY, conf
from collector.numbers import folding, grouping
from collector.numbers.answers import Counts, count_values
from collector.numbers.dimensions import Rules
from collector.numbers.filters import Filters, select
from collector.numbers.history import ClosedDays, closed_days
from collector.numbers.moments import whole_day_between
from collector.questions import Table


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A tally and the days before it, at one moment. It never changes, whatever is reported."""

    tally: Tally
    history: ClosedDays
    since: float  # when counting began, POSIX seconds
    now: float  # POSIX seconds
    rules: Rules
    questions: Table = ()
    answers: Mapping[str, Counts] = field(default_factory=dict)  # by question

    @property
    def warming_up(self) -> bool:
        """Whether counting began less than a whole UTC day ago, so that the counts are too low."""
        return not whole_day_between(self.since, self.now)

    def select(self, filters: Filters) -> Tally:
        """Return the tally of the instances that the filters match."""
        if not filters:
            return self.tally
        return self.tally.only(select(self.tally, filters, self.rules))

    def count(self, filters: Filters) -> int:
        """Return how many instances the filters match."""
        if not filters:
            return self.tally.size
        return sum(self.tally.counts[name] for name in select(self.tally, filters, self.rules))


_latest: tuple[Hashable, Snapshot] | None = None
_lock = threading.Lock()


def current() -> Snapshot:
    """Return the latest snapshot if it is still up to date; otherwise, take a new one."""
    global _latest  # noqa: PLW0603  the one memory of the last snapshot
    cache, rules = records(), rules_in_force()
    with _lock:
        now = time.time()
        state = _state(cache, now, rules)
        if _latest is None or _latest[0] != state:
            _latest = (state, of_cache(cache, now, rules))
        return _latest[1]


def of_cache(cache: TallyCache, now: float, rules: Rules) -> Snapshot:
    """Return a new snapshot of a cache."""
    questions = conf.questions
    tally, *sections = cache.tallies([each.section for each in questions])
    pairs = zip(questions, sections, strict=True)
    answers = {question.name: count_values(each) for question, each in pairs}
    history = closed_days(cache, rules)
    return Snapshot(tally, history, cache.since, now, rules, questions, answers)


def drop_stale() -> None:
    """Drop the latest snapshot, and all results computed from it, if it is out of date.

    A request for statistics would replace it. Housekeeping calls this function, so that outdated
    data is freed even if no requests arrive.
    """
    global _latest  # noqa: PLW0603  as in `current`
    cache, now, rules = records(), time.time(), rules_in_force()
    with _lock:
        if _latest is not None and _latest[0] != _state(cache, now, rules):
            _latest = None
        if _latest is None or not grouping.remembers(_latest[1].tally.values):
            grouping.forget_groups()
            folding.clear_caches()


def rules_in_force() -> Rules:
    """Return the rules that the settings make at this moment."""
    return Rules(conf.min_group, dict(conf.hide))


def _state(cache: TallyCache, now: float, rules: Rules) -> Hashable:
    """Return what a snapshot depends on."""
    questions = conf.questions
    changes = cache.changes([each.section for each in questions])
    return id(cache), changes, now // DAY, rules.min_group, str(rules.hide), questions
