"""Snapshots: the state of the cache and the rules at one moment, from which all numbers come."""

from dataclasses import dataclass
from threading import Lock

from collector.cache import records
from collector.cache.tally import EMPTY, NULL, State, Tally
from collector.conf import DAY, conf
from collector.numbers import archive, dimensions
from collector.numbers.archive import Totals
from collector.numbers.dimensions import Rules
from collector.numbers.filters import Filters, select
from collector.numbers.history import Past, summarize_closed_days
from collector.numbers.memo import Memo


@dataclass(frozen=True)
class Snapshot(Memo):
    """The state of the cache at one moment, and the results computed from it."""

    state: State
    past: Past

    @property
    def rules(self) -> Rules:
        return self.past.rules

    @property
    def tally(self) -> Tally:
        return self.state.tally

    @property
    def warming_up(self) -> bool:
        """Whether no whole UTC day lies between the start and today: the counts are too low."""
        return self.tally.day <= self.first_whole_day

    @property
    def first_whole_day(self) -> int:
        """The first UTC day that is counted from its midnight on."""
        return int(-(-self.state.since // DAY))

    @property
    def last_complete_day(self) -> tuple[int, Totals] | None:
        """While warming up, the last day in the archive that was over when counting began."""
        archived = self.past.archived if self.warming_up else ()
        day = max((day for day in archived if day < self.state.since // DAY), default=None)
        return None if day is None else (day, self.past.totals[day])

    def count_before(self, filters: Filters) -> tuple[int, int] | None:
        """Return the last complete day and the count of the filters then, if both are known."""
        if filters.names or not self.last_complete_day:
            return None
        day, totals = self.last_complete_day
        return day, totals.established if filters.established else totals.instances

    def select(self, filters: Filters) -> Tally:
        """Return the tally of the instances that the filters match."""
        tally = self.tally
        if filters.established:  # first, so that a group of them below the minimum is left out
            tally = self.once("established", tally.only_established)
        return tally.only(select(tally, filters.names, self.rules)) if filters.names else tally


class Snapshots:
    """Keeps the latest snapshot of the reports."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._latest: Snapshot | None = None
        self._begun = self._done = 0  # the numbers of the latest read and the latest success

    def current(self) -> Snapshot:
        """Return the latest snapshot, or a new one if something has changed.

        Summarize the days that are over first. Raises Unavailable.
        """
        asked, archived = self._begun, archive.current().days
        with self._lock:
            latest, cache = self._latest, records()
            if latest and self._done > asked:
                return latest  # another call has read everything since this one began to wait
            self._begun += 1
            rules = Rules(conf.min_group, conf.config)
            known = latest.state if latest else EMPTY
            state = cache.read(known) or known
            if summarize_closed_days(cache, state, rules):
                state = cache.read(state) or state
            past = Past(state.closed, rules, archived)
            if latest and latest.past == past:
                past = latest.past  # with all results that were computed from it
            if not latest or latest.state is not state or latest.past is not past:
                latest = self._latest = Snapshot(state, past)
            self._done = self._begun
            return latest


current = Snapshots().current


def forget_names() -> None:
    """Forget all names if no instance reports one of them any more. Raises Unavailable."""
    snapshot = current()
    live = snapshot.tally.counts
    dimensions.group(tuple(live), snapshot.rules.config)  # has all live names cached
    if dimensions.visible_names.cache_info().currsize > len(live.keys() - {NULL}):
        dimensions.forget_names()
