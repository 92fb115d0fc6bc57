"""The contract of both cache backends: the methods that they add to Django's BaseCache.

Time is a number of whole UTC days. A key that is set on day D lives until the end of day
D + retention, where TIMEOUT, in seconds, is the retention.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.core.exceptions import ImproperlyConfigured

from collector.cache.server_requirements import ServerRequirement
from collector.cache.tally import EMPTY, State, Unavailable
from collector.conf import DAY, MAX_ENTRIES, MAX_VALUES, conf

ANSWER_UNIT = 5  # the number of times an answer was counted is rounded down to a multiple of it
MAX_TALLIES = 3  # days that are over and wait for their summary; older ones are dropped
CLOCK_TOLERANCE = 60  # seconds that a clock may be behind and still be in the day that has begun


class CacheFull(Exception):
    """A new key was refused because MAX_ENTRIES keys are live. Live keys can still be set."""


class TooManyValues(Exception):
    """A new value was refused because MAX_VALUES distinct values are live.

    A key can still be set to None or to a value that is live already.
    """


class InvalidURL(Unavailable):
    """The store's URL is invalid. The message never includes it: it may hold a password."""


class TallyCache(BaseCache):
    """A Django cache that also counts its live values, and answers beside them.

    Values are JSON. Each key lives for TIMEOUT. OPTIONS may have:

    - MAX_ENTRIES, the number of live keys. Setting one more raises CacheFull. The cache never
      removes a live key to make room.
    - MAX_VALUES, the number of distinct live values, not counting None. Setting one more raises
      TooManyValues.
    - HISTORY, the number of days that are over and are kept. At least one is kept.
    """

    shared = False  # whether all processes that use this cache see the same keys
    known_options = frozenset({"MAX_ENTRIES", "MAX_VALUES", "HISTORY"})

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(dict(params))
        options = params.get("OPTIONS", {})
        if unknown := options.keys() - self.known_options:
            raise ImproperlyConfigured(
                f"OPTIONS has unknown keys {sorted(unknown)}; use {sorted(self.known_options)}."
            )
        if not self.default_timeout or self.default_timeout < 0 or self.default_timeout % DAY:
            raise ImproperlyConfigured(
                f"TIMEOUT is {self.default_timeout!r}: it must be a number of whole days, in "
                "seconds."
            )
        self.retention_days = int(self.default_timeout // DAY)
        self.max_entries = _whole_number(options, "MAX_ENTRIES", MAX_ENTRIES)
        self.max_values = _whole_number(options, "MAX_VALUES", MAX_VALUES)
        self.history_days = max(_whole_number(options, "HISTORY", 0), 1)

    def put(self, key: object, value: object, answers: Iterable[str] = ()) -> int:
        """Set a key, and return the first day on which it is gone, in days since 1970-01-01.

        Count each of the answers once if the key is live and was last set on an earlier day.
        Raise CacheFull or TooManyValues if the cache has reached the corresponding limit; a live
        key then keeps its old value, and no answer is counted.
        """
        return self._put(self.make_and_validate_key(key), value, answers)

    def read(self, known: State = EMPTY) -> State | None:
        """Return the state, or None if it is the known one. The answers of today are never in it.

        If the days that are over have not changed, `closed` is the same object as in `known`.
        """
        raise NotImplementedError

    def keep(self, day: int, summary: bytes) -> None:
        """Keep a summary of a day that is over in place of its tally; the first summary wins."""
        raise NotImplementedError

    def expire(self) -> None:
        """Close the day that is over, and free the memory of expired keys."""
        raise NotImplementedError

    def probe(self) -> None:
        """Raise Unavailable if `put` would raise it at the moment."""

    @classmethod
    def unmet_requirements(cls, entry: Mapping[str, Any]) -> list[ServerRequirement]:
        """Return the requirements that the server of this entry of CACHES does not meet.

        Raise InvalidURL if the server's URL is invalid, and Unavailable if the server cannot be
        reached.
        """
        return []

    def set(
        self,
        key: object,
        value: object,
        timeout: object = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> None:
        """Set a key. Raise ValueError for another timeout than TIMEOUT, and what `put` raises."""
        if timeout not in (DEFAULT_TIMEOUT, self.default_timeout):
            raise ValueError(f"Each key lives for TIMEOUT, {self.default_timeout} seconds.")
        self._put(self.make_and_validate_key(key, version=version), value, ())

    def validate_key(self, key: str) -> None:
        """Accept any key: the cache stores only a digest of it."""

    def _put(self, name: str, value: object, answers: Iterable[str]) -> int:
        """Do what `put` does, with the key as `make_key` returns it."""
        raise NotImplementedError


def answer_unit() -> int:
    """Return the unit to which the numbers of answers are rounded down when a day closes."""
    return max(ANSWER_UNIT, conf.min_group)


def _whole_number(options: Mapping[str, Any], name: str, default: int) -> int:
    """Return a limit from OPTIONS; an invalid one must abort startup, not fall back."""
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ImproperlyConfigured(
            f"OPTIONS[{name!r}] is {value!r}: it must be a whole number, 0 or more."
        )
    return value
