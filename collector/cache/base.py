"""What the cache backends share: options, the rounding of expiry, refusals, the tally's rows."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from asgiref.sync import sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT, MEMCACHE_MAX_KEY_LENGTH, BaseCache
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from collector.cache.server_requirements import Demand
from collector.conf import MAX_ENTRIES, MAX_VALUES

OPTIONS = {"GRANULARITY", "MAX_ENTRIES", "MAX_VALUES", "HISTORY", "SUMMARY"}


class CacheFull(Exception):
    """A new key was refused: MAX_ENTRIES keys are live. Keys already there keep working."""


class TooManyValues(Exception):
    """A value was refused: MAX_VALUES distinct values are live. Live values and None still fit."""


class Unavailable(Exception):
    """The store behind the cache cannot be reached or does not take writes."""


class Unusable(Unavailable):
    """What is said of the store leads nowhere; the text quotes nothing of it."""


class Row(NamedTuple):
    """The number of live keys that share a value, an expiry and `renewed`.

    Expiry is POSIX seconds; None: never.
    """

    value: Any
    expiry: float | None
    renewed: bool
    size: int


Sizes = Sequence[tuple[Any, int]]  # values, and the number of live keys of each
Choice = Callable[[Sizes], Sizes]  # some of them


class Totals(NamedTuple):
    """The tally summed up: by value, and by expiry and `renewed`; as many keys in each."""

    values: Sizes
    ends: Sequence[tuple[float | None, bool, int]]

    @property
    def size(self) -> int:
        """The number of keys."""
        return sum(size for _, _, size in self.ends)

    @classmethod
    def of(cls, rows: Iterable[Row], choose: Choice | None = None) -> "Totals":
        """The sums of rows, or of those with the chosen values; equal values are one object."""
        rows = list(rows)
        values = {id(row.value): row.value for row in rows}
        sizes: defaultdict[int, int] = defaultdict(int)
        for row in rows:
            sizes[id(row.value)] += row.size
        summed: Sizes = [(values[key], size) for key, size in sizes.items()]
        if choose:
            summed = choose(summed)
        chosen = {id(value) for value, _ in summed}
        ends: defaultdict[tuple[float | None, bool], int] = defaultdict(int)
        for row in rows:
            if id(row.value) in chosen:
                ends[row.expiry, row.renewed] += row.size
        return cls(summed, [(*end, size) for end, size in ends.items()])


class TallyCache(BaseCache):
    """A cache that also counts its live values.

    Beyond BaseCache it has `put`, `tally` and `totals`, `changes`, `history`, `since` and
    `free_expired`, and OPTIONS:

    - GRANULARITY, seconds: expiry is rounded up to the next multiple, strictly after. With 86400
      every key ends at a UTC midnight. None, zero and negative timeouts are left alone.
    - MAX_ENTRIES: live keys; a further new one raises CacheFull. Nothing is ever culled.
    - MAX_VALUES: distinct live values besides None; a further one raises TooManyValues.
    - HISTORY: multiples of GRANULARITY of which `history` keeps what SUMMARY made; 0: none.
    - SUMMARY: dotted path of a function of the closing totals and the start of their period.
    """

    shared = False  # whether every process sees the same keys
    options = OPTIONS  # those that are known

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__(dict(params))
        options = params.get("OPTIONS", {})
        if unknown := options.keys() - self.options:
            known = sorted(self.options)
            raise ImproperlyConfigured(f"OPTIONS has {unknown}; known are {known}.")
        self.granularity = _whole_number(options, "GRANULARITY", 0)
        self.max_entries = _whole_number(options, "MAX_ENTRIES", MAX_ENTRIES)
        self.max_values = _whole_number(options, "MAX_VALUES", MAX_VALUES)
        self.kept = _whole_number(options, "HISTORY", 0) if self.granularity else 0
        self.summary: Summary = import_string(options["SUMMARY"]) if self.kept else lambda *_: None

    @property
    def since(self) -> float:
        """When this cache began to count, POSIX seconds."""
        raise NotImplementedError

    def put(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> float | None:
        """Set a value and return its expiry, POSIX seconds; None: it never expires.

        Raises CacheFull or TooManyValues; what was there before is then still there.
        """
        raise NotImplementedError

    def tally(self) -> list[Row]:
        """The live keys, counted: one row for each value, expiry and `renewed` that has any.

        `renewed` is true of a key that was set again with a later expiry while it was live.
        """
        raise NotImplementedError

    def totals(self, choose: Choice | None = None) -> Totals:
        """The sums of `tally`, or of the keys whose values are chosen out of those that live."""
        return Totals.of(self.tally(), choose)

    def changes(self) -> int:
        """A number that is another one whenever `tally` or `history` may be."""
        raise NotImplementedError

    def history(self) -> dict[int, Any]:
        """What SUMMARY made of the tally as it stood at the end of each past period.

        By the period's start, POSIX seconds, the oldest first. The first to use the cache in a new
        period sets the old one's tally aside before anything changes; a period in which nobody
        used it, or nothing ran, is missing.
        """
        raise NotImplementedError

    def free_expired(self) -> None:
        """Give back the memory of what has expired, also when nobody asks for anything."""
        raise NotImplementedError

    @classmethod
    def unmet(cls, entry: Mapping[str, Any]) -> list[Demand]:
        """What a store of this entry of CACHES would break; raises Unavailable or Unusable."""
        return []

    def probe(self) -> None:
        """Raise Unavailable if a report would."""

    def get_backend_timeout(
        self,
        timeout: float | None = DEFAULT_TIMEOUT,
    ) -> float | None:
        """The expiry, POSIX seconds, of a key that is set now; None: never."""
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        if timeout is None:
            return None
        expiry = time.time() + timeout
        if timeout <= 0 or not self.granularity:
            return expiry
        return (int(expiry) // self.granularity + 1) * self.granularity

    def validate_key(self, key: str) -> None:
        """Warn of a key as BaseCache does, whose regular expression most keys can do without."""
        if " " in key or not key.isprintable() or len(key) > MEMCACHE_MAX_KEY_LENGTH:
            super().validate_key(key)

    def set(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> None:
        """Set a value; raises CacheFull or TooManyValues."""
        self.put(key, value, timeout=timeout, version=version)

    def set_many(
        self,
        data: Mapping[Any, Any],
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[Any]:
        """Set each pair and return the keys that were refused."""
        refused = []
        for key, value in data.items():
            try:
                self.put(key, value, timeout=timeout, version=version)
            except (CacheFull, TooManyValues):
                refused.append(key)
        return refused

    # BaseCache composes these two from `aget` and `aset`: not atomic, the default timeout instead
    # of the key's own, and a refusal would raise halfway.

    async def aset_many(
        self,
        data: Mapping[Any, Any],
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> list[Any]:
        return await sync_to_async(self.set_many)(data, timeout, version)

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return await sync_to_async(self.incr)(key, delta, version)


Summary = Callable[[Totals, int], Any]


def _whole_number(options: Mapping[str, Any], name: str, default: int) -> int:
    """A limit from OPTIONS; a limit that is misspelt must stop the start, not fall back."""
    value = options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ImproperlyConfigured(
            f"OPTIONS[{name!r}] is {value!r}: it must be a whole number, 0 or more."
        )
    return value
