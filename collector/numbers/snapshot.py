"""Snapshots: the state of the cache and the rules at one moment, from which all numbers come."""

from dataclasses import dataclass
from threading import Lock

from collector.cache import EMPTY, State, Tally, TallyCache, records
from collector.cache.tally import NULL
from collector.conf import conf
from collector.numbers import dimensions
from collector.numbers.days import whole_day_since
from collector.numbers.dimensions import Rules
from collector.numbers.filters import Filters, select
from collector.numbers.history import Past, summarize_closed_days
from collector.numbers.memo import Memo


@dataclass(frozen=True)
class Snapshot(Memo):
    """The state of the cache at one moment, and what was computed from it."""

    state: State
    past: Past

    @property
    def rules(self) -> Rules:
        """The rules in force at that moment."""
        return self.past.rules

    @property
    def tally(self) -> Tally:
        """The tally of all instances."""
        return self.state.tally

    @property
    def warming_up(self) -> bool:
        """Whether counting began less than a whole UTC day ago, so that the counts are too low."""
        return not whole_day_since(self.state.since, self.tally.day)

    def select(self, filters: Filters) -> Tally:
        """Return the tally of the instances that the filters match."""
        if not filters:
            return self.tally
        return self.tally.only(select(self.tally, filters, self.rules))

    def count(self, filters: Filters) -> int:
        """Return how many instances the filters match."""
        if not filters:
            return self.tally.size
        return sum(self.tally.counts[value] for value in select(self.tally, filters, self.rules))


class Snapshots:
    """Keeps the latest snapshot of the reports."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._latest: Snapshot | None = None

    def current(self) -> Snapshot:
        """Return the latest snapshot, or a new one if the cache or the rules have changed."""
        with self._lock:
            self._latest = follow(self._latest, records(), rules_in_force())
            return self._latest


def follow(latest: Snapshot | None, cache: TallyCache, rules: Rules) -> Snapshot:
    """Return the snapshot that follows the latest one, or the latest one if nothing changed.

    Summarize the days that are over first. Raises Unavailable.
    """
    known = latest.state if latest else EMPTY
    state = cache.read(known) or known
    if summarize_closed_days(cache, state, rules):
        state = cache.read(state) or state
    if latest and latest.state is state and latest.rules == rules:
        return latest
    past = Past(state.closed, rules)
    if latest and latest.past == past:
        past = latest.past  # with all results that were computed from it
    return Snapshot(state, past)


def rules_in_force() -> Rules:
    """Return the rules that the settings make at this moment."""
    return Rules(conf.min_group, conf.config)


current = Snapshots().current


def forget_names() -> None:
    """Forget all names if one of them is of a version that no instance reports any more.

    Raises Unavailable.
    """
    snapshot = current()
    dimensions.group(tuple(snapshot.tally.counts), snapshot.rules.config.hide)  # has all live names cached
    if dimensions.names_in.cache_info().currsize > len(snapshot.tally.counts.keys() - {NULL}):
        dimensions.forget_names()
