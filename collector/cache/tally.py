"""The tally of a cache: how many live keys have which value, at one moment."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Name = bytes  # identifies one distinct value within a tally; opaque to the app
Counts = Mapping[Name, int]  # live keys, by the name of their value


class Cohort(NamedTuple):
    """The live keys that share an expiry and `renewed`.

    Expiry is POSIX seconds, or None for keys that never expire. A key is renewed if it was set
    again with a later expiry while it was live.
    """

    expiry: float | None
    renewed: bool
    size: int
    counts: Counts


@dataclass(frozen=True)
class Tally:
    """The distinct live values of a cache, and how many live keys have each.

    A tally is a copy: later changes of the cache do not change it. Each live key belongs to one
    cohort, so the counts of the cohorts add up to `counts`. Values are shared: do not change them.
    If two tallies of a cache have the same object as `values`, no value was added or removed
    between them.
    """

    values: Mapping[Name, Any]
    counts: Counts
    cohorts: tuple[Cohort, ...]

    @property
    def size(self) -> int:
        """The number of live keys."""
        return sum(cohort.size for cohort in self.cohorts)

    def only(self, names: Container[Name]) -> "Tally":
        """The tally of the keys whose values have these names."""
        cohorts = []
        for cohort in self.cohorts:
            counts = {name: count for name, count in cohort.counts.items() if name in names}
            if counts:
                cohorts.append(cohort._replace(size=sum(counts.values()), counts=counts))
        return Tally(
            {name: value for name, value in self.values.items() if name in names},
            {name: count for name, count in self.counts.items() if name in names},
            tuple(cohorts),
        )
