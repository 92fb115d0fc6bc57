"""The contract that both cache backends keep: what they add to Django's BaseCache."""

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Self

from django.core.cache.backends.base import DEFAULT_TIMEOUT, MEMCACHE_MAX_KEY_LENGTH, BaseCache
from django.core.exceptions import ImproperlyConfigured

from collector.cache.server_requirements import ServerRequirement
from collector.cache.tally import Tally
from collector.conf import MAX_ENTRIES, MAX_VALUES

Timeout = float | None  # seconds, or None for a key that never expires


class CacheFull(Exception):
    """A new key was refused because MAX_ENTRIES keys are live. Live keys can still be set."""


class TooManyValues(Exception):
    """A new value was refused because MAX_VALUES distinct values are live.

    A key can still be set to None or to a value that is live already.
    """


class Unavailable(Exception):
    """The store cannot be reached, or it does not accept writes."""


class InvalidURL(Unavailable):
    """The store's URL is invalid. The message never includes it: it may hold a password."""


class TallyCache(BaseCache):
    """A Django cache that also counts its live values.

    Subclasses implement the methods that BaseCache leaves open, and the ones below that raise
    NotImplementedError. OPTIONS may have:

    - GRANULARITY, in seconds. Expiry is rounded up to the next multiple; an expiry that is already
      a multiple moves to the following one. With 86400, every key expires at midnight UTC. A
      timeout of None, zero or less is not rounded. The default is 0, which disables rounding.
    - MAX_ENTRIES, the number of live keys. Setting one more raises CacheFull. The cache never
      removes a live key to make room.
    - MAX_VALUES, the number of distinct live values, not counting None. Setting one more raises
      TooManyValues.
    - HISTORY, the number of past periods to keep. A period is GRANULARITY seconds long. The
      default is 0: no history.
    """

    shared = False  # whether all processes that use this cache see the same keys
    known_options = frozenset({"GRANULARITY", "MAX_ENTRIES", "MAX_VALUES", "HISTORY"})

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(dict(params))
        options = params.get("OPTIONS", {})
        if unknown := options.keys() - self.known_options:
            raise ImproperlyConfigured(
                f"OPTIONS has unknown keys {sorted(unknown)}; use {sorted(self.known_options)}."
            )
        self.granularity = _whole_number(options, "GRANULARITY", 0)
        self.max_entries = _whole_number(options, "MAX_ENTRIES", MAX_ENTRIES)
        self.max_values = _whole_number(options, "MAX_VALUES", MAX_VALUES)
        self.periods = _whole_number(options, "HISTORY", 0) if self.granularity else 0

    @property
    def since(self) -> float:
        """The moment at which this cache began to count, in POSIX seconds."""
        raise NotImplementedError

    def put(
        self, key: Any, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> float | None:
        """Set a key as `set` does.

        Return the moment at which the key expires, in POSIX seconds, or None if it never expires.
        Raise CacheFull or TooManyValues if the cache has reached the corresponding limit; a live
        key then keeps its old value.
        """
        raise NotImplementedError

    def section(self, name: str) -> Self:
        """Return the section with this name: a cache beside this one, with the same OPTIONS.

        The same key has another digest in each section, and a section has a tally and a history of
        its own, so nothing in it shows which key of another section is the same. `clear` also
        clears the sections.
        """
        raise NotImplementedError

    def put_all(self, key: Any, value: Any, sections: Mapping[str, Any]) -> float | None:
        """Do what `put` does, and set or delete the key in sections, in one step.

        `sections` has the value for each section by name, and None where the key is deleted. The
        key is also deleted in sections that are not named. The limits apply to this cache only.
        """
        raise NotImplementedError

    def delete_all(self, key: Any, sections: Iterable[str]) -> bool:
        """Do what `delete` does, and delete the key in all sections, in one step."""
        raise NotImplementedError

    def tally(self) -> Tally:
        """Return the tally of the live keys."""
        raise NotImplementedError

    def tallies(self, sections: Collection[str]) -> list[Tally]:
        """Return the tally of this cache, and then those of sections, all of the same moment."""
        raise NotImplementedError

    def changes(self, sections: Iterable[str] = ()) -> int:
        """Return a number that differs whenever a tally or a history may have changed.

        The number is about this cache and the sections with these names.
        """
        raise NotImplementedError

    def history(self) -> Mapping[int, Any]:
        """Map the start of each past period, in POSIX seconds, to its tally or summary.

        The oldest period comes first. The cache keeps the tally from the end of the period until
        `summarize` replaces it. A period is missing if nobody used the cache during it, or if no
        process was running.
        """
        raise NotImplementedError

    def summarize(self, start: int, summary: Any) -> None:
        """Keep a summary of the past period that began at `start`, in place of its tally."""
        raise NotImplementedError

    def free_expired(self) -> None:
        """Free the memory of expired keys, and close the period that is over."""
        raise NotImplementedError

    def probe(self) -> None:
        """Raise Unavailable if the cache cannot accept writes at the moment."""

    @classmethod
    def unmet_requirements(cls, entry: Mapping[str, Any]) -> list[ServerRequirement]:
        """Return the requirements that the server of this entry of CACHES does not meet.

        Raise InvalidURL if the server's URL is invalid, and Unavailable if the server cannot be
        reached.
        """
        return []

    def set(
        self, key: Any, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        """Set a key. Raises CacheFull or TooManyValues."""
        self.put(key, value, timeout=timeout, version=version)

    def get_backend_timeout(self, timeout: Timeout = DEFAULT_TIMEOUT) -> float | None:
        """Return the expiry, in POSIX seconds, of a key that is set now; None means never."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        if timeout is None:
            return None
        expiry = time.time() + timeout
        if timeout <= 0 or not self.granularity:
            return expiry
        return (int(expiry) // self.granularity + 1) * self.granularity

    def validate_key(self, key: str) -> None:
        """Warn about a key as BaseCache does, whose regular expression most keys do not need."""
        if " " in key or not key.isprintable() or len(key) > MEMCACHE_MAX_KEY_LENGTH:
            super().validate_key(key)


def _whole_number(options: Mapping[str, Any], name: str, default: int) -> int:
    """Return a limit from OPTIONS; an invalid one must abort startup, not fall back."""
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ImproperlyConfigured(
            f"OPTIONS[{name!r}] is {value!r}: it must be a whole number, 0 or more."
        )
    return value
