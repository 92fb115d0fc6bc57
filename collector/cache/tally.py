"""The state of a cache: how many live keys have which value, and the days that are over."""

from collections import Counter
from collections.abc import Container, Mapping
from typing import NamedTuple, TypeVar

import msgspec

Name = bytes  # a value in JSON, with sorted keys; equal values have equal names
Counts = Mapping[Name, int]  # the number of live keys by value
NULL: Name = b"null"  # always fits, and does not count as a value
T = TypeVar("T")


class Unavailable(Exception):
    """The store cannot be reached, does not accept writes, or has data of somebody else."""


class Cohort(NamedTuple):
    """The live keys that were last set on the same UTC day, and are or are not established.

    `day` is a number of days since 1970-01-01. A key is established if it was set on at least two
    days while it was live. Several cohorts may have the same day after a clock went back.
    """

    day: int
    established: bool
    size: int
    counts: Counts


class Tally(NamedTuple):
    """The number of live keys by value at one moment, in total and for each cohort.

    A tally is a copy: later changes of the cache do not change it. `answers` has the number of
    times that each answer was counted on this day. It is empty until the day is over.
    """

    day: int
    counts: Counts
    cohorts: tuple[Cohort, ...]
    answers: Mapping[str, int]

    @property
    def size(self) -> int:
        """The number of live keys."""
        return sum(cohort.size for cohort in self.cohorts)

    @property
    def established(self) -> int:
        """The number of established keys."""
        return sum(cohort.size for cohort in self.cohorts if cohort.established)

    def only_established(self) -> "Tally":
        """Return the tally of the established keys."""
        cohorts = tuple(cohort for cohort in self.cohorts if cohort.established)
        counts: Counter[Name] = Counter()
        for cohort in cohorts:
            counts.update(cohort.counts)
        return self._replace(counts=counts, cohorts=cohorts)

    def only(self, names: Container[Name]) -> "Tally":
        """Return the tally of the keys that have these values."""
        cohorts = []
        for cohort in self.cohorts:
            counts = _only(cohort.counts, names)
            if counts:
                cohorts.append(cohort._replace(size=sum(counts.values()), counts=counts))
        return self._replace(counts=_only(self.counts, names), cohorts=tuple(cohorts))


class State(NamedTuple):
    """The tally, the days that are over, and the timestamp of the start of the count.

    `closed` has the tally of each day that is over, or the summary that replaced it, in JSON.
    `since` is in POSIX seconds. `change` differs between any two states of a cache.
    """

    tally: Tally
    closed: Mapping[int, Tally | bytes]
    since: float
    change: object


EMPTY = State(Tally(0, {}, (), {}), {}, 0, None)  # of no cache


def encode(value: object) -> Name:
    """Return a value in JSON. Raises TypeError for a value that JSON does not have."""
    return msgspec.json.encode(value, order="sorted")


def decode(content: bytes, type_: type[T]) -> T:
    """Return a value from JSON. Raises Unavailable for content that no `encode` has made."""
    try:
        return msgspec.json.decode(content, type=type_)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unavailable("The store has data that this program did not write.") from error


def _only(counts: Counts, names: Container[Name]) -> dict[Name, int]:
    return {name: count for name, count in counts.items() if name in names}
