"""A cache backend in the memory of one process, with a tally of its live values.

A key is kept as a keyed digest, 15 bytes, and points at a group: the keys that share a value, an
expiry and `renewed`. The groups are the tally. Expiry drops the groups of an instant together.
"""

import heapq
import math
import pickle
import secrets
import time
from collections import defaultdict
from collections.abc import Mapping
from hashlib import blake2b
from threading import Lock
from typing import Any, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from collector.cache.base import (
    CacheFull,
    Choice,
    Row,
    Sizes,
    Summary,
    TallyCache,
    TooManyValues,
    Totals,
)
from collector.cache.serialization import NONE, pickled

# A bytes object of 15 takes 48 bytes of memory, one of 16 takes 64; 120 bits of a keyed digest
# are far beyond chance (a million keys collide with probability 4e-25).
DIGEST_SIZE = 15
T = TypeVar("T")


class Group:
    """The live keys with one value (pickled), one expiry and one `renewed`; 0 keys: expired."""

    __slots__ = ("count", "expiry", "renewed", "value")

    def __init__(self, value: bytes, expiry: float, renewed: bool) -> None:
        self.value = value
        self.expiry = expiry
        self.renewed = renewed
        self.count = 0


class Store:
    """The keys of one LOCATION. Callers hold `lock`; expiry is POSIX seconds, infinity: never."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.period = 0  # seconds; what `closed` has of `kept` of them, `summary` made
        self.kept = 0
        self.summary: Summary | None = None
        self.clear()

    def keep_history(self, period: int, kept: int, summary: Summary) -> None:
        """Set the closing tally of so many periods aside, as the summary makes it."""
        self.period, self.kept, self.summary = period, kept, summary
        self.began = self._start(time.time())

    def clear(self) -> None:
        """Forget everything, the secret of the digests included, and begin to count anew."""
        self.since = time.time()
        self.secret = secrets.token_bytes(32)
        self.keys: dict[bytes, Group] = {}  # may still hold expired ones, never more than a third
        self.groups: dict[float, dict[tuple[bytes, bool], Group]] = {}  # by expiry
        self.expiries: list[float] = []  # a heap; may name an expiry that has no group any more
        self.values: dict[bytes, int] = {}  # live keys of each value but None
        self.loaded: dict[bytes, Any] = {}  # those values as `totals` told them
        self.ends: dict[tuple[float, bool], int] = {}  # live keys of each expiry and `renewed`
        self.live = 0
        self.changes = getattr(self, "changes", 0) + 1
        self.longest: float = 0  # seconds from the start of a period to an expiry given in it
        self.closed: dict[int, Any] = {}  # by the start of a period
        self.began = self._start(self.since)

    def digest(self, key: str) -> bytes:
        """What a key is kept as."""
        raw = key.encode("utf-8", "surrogatepass")
        return blake2b(raw, digest_size=DIGEST_SIZE, key=self.secret).digest()

    def find(self, digest: bytes) -> Group | None:
        """The group of a live key."""
        self.expire(time.time())
        group = self.keys.get(digest)
        return group if group and group.count else None

    def put(self, digest: bytes, value: bytes, expiry: float, cache: "MemoryCache") -> None:
        """Set a key; an expiry in the past deletes it. Raises CacheFull or TooManyValues."""
        old = self.find(digest)
        if expiry <= time.time():
            self.delete(digest)
            return
        if old is None and self.live >= cache.max_entries:
            raise CacheFull(f"{cache.max_entries} keys are live")
        if not self._fits(value, old, cache.max_values):
            raise TooManyValues(f"{cache.max_values} distinct values are live")
        renewed = old is not None and (old.renewed or expiry > old.expiry)
        self.move(digest, old, value, expiry, renewed)

    def move(
        self, digest: bytes, old: Group | None, value: bytes, expiry: float, renewed: bool
    ) -> None:
        """Put a key, new or live in `old`, into the group that it now belongs to."""
        self.changes += 1
        if old is not None:
            self._leave(old)
        if self.longest < expiry - self.began < math.inf:
            self.longest = expiry - self.began
        self.keys[digest] = self._join(value, expiry, renewed)

    def delete(self, digest: bytes) -> bool:
        """Forget a key; whether it was live."""
        old = self.find(digest)
        if old is None:
            return False
        self._leave(old)
        del self.keys[digest]
        self.changes += 1
        return True

    def expire(self, now: float, *, free: bool = False) -> None:
        """Drop the groups whose time has come, and free their keys once they are a third of all.

        Freeing copies what is live, so it is put off until it pays; with `free` it is done now.
        """
        if self.period and self._start(now) != self.began:
            self._turn(self._start(now))
        while self.expiries and self.expiries[0] <= now:
            self.changes += 1
            for group in [*self.groups.get(heapq.heappop(self.expiries), {}).values()]:
                self._leave(group, group.count)
        expired = len(self.keys) - self.live
        if expired and (free or expired * 2 > self.live):
            self.keys = {digest: group for digest, group in self.keys.items() if group.count}

    def rows(self) -> list[Row]:
        """The groups, each with its value as a copy of its own."""
        values = {value: pickle.loads(value) for value in (NONE, *self.values)}
        return [
            Row(values[group.value], _shown(group.expiry), group.renewed, group.count)
            for groups in self.groups.values()
            for group in groups.values()
        ]

    def totals(self, choose: Choice | None = None) -> Totals:
        """The sums of the rows, kept up to date rather than added up; values are shared."""
        for value in self.values.keys() - self.loaded.keys():
            self.loaded[value] = pickle.loads(value)
        values = [(self.loaded[value], count) for value, count in self.values.items()]
        if without := self.live - sum(self.values.values()):
            values.append((None, without))
        if choose is None:
            return Totals(values, _ends(self.ends))
        chosen = choose(values)
        return Totals(chosen, _ends(self._ends_of(chosen)))

    def _ends_of(self, values: Sizes) -> Mapping[tuple[float, bool], int]:
        """The live keys of some values by expiry and `renewed`."""
        chosen = {id(value) for value, _ in values}
        wanted = {value for value, loaded in self.loaded.items() if id(loaded) in chosen}
        if id(None) in chosen:
            wanted.add(NONE)
        ends: defaultdict[tuple[float, bool], int] = defaultdict(int)
        for expiry, groups in self.groups.items():
            for (value, renewed), group in groups.items():
                if value in wanted:
                    ends[expiry, renewed] += group.count
        return ends

    def _start(self, moment: float) -> int:
        """The start of the period of a moment."""
        return int(moment // self.period) * self.period if self.period else 0

    def _turn(self, start: int) -> None:
        """Begin another period; set the closing tally of the one before aside, if that is kept."""
        self.changes += 1
        if start < self.began:
            self._go_back(start)
        elif self.kept and self.summary:
            self.closed[self.began] = self.summary(self.totals(), self.began)
            oldest = start - self.kept * self.period
            self.closed = {day: kept for day, kept in self.closed.items() if day >= oldest}
        self.began = start

    def _go_back(self, start: int) -> None:
        """Follow a clock that went back: what was not over is not closed, and nothing lives longer.

        A key that was set under the later clock ends as if it were set now.
        """
        self.since = min(self.since, time.time())
        self.closed = {day: kept for day, kept in self.closed.items() if day < start}
        latest = start + self.longest
        moved = {}
        for expiry in [each for each in self.groups if latest < each < math.inf]:
            for group in [*self.groups[expiry].values()]:
                count = group.count
                self._leave(group, count)
                moved[group] = self._join(group.value, latest, group.renewed, count)
        if moved:
            self.keys = {key: moved.get(group, group) for key, group in self.keys.items()}

    def _join(self, value: bytes, expiry: float, renewed: bool, count: int = 1) -> Group:
        """Count keys into the group that they belong to."""
        at_expiry = self.groups.get(expiry)
        if at_expiry is None:
            at_expiry = self.groups[expiry] = {}
            heapq.heappush(self.expiries, expiry)
        group = at_expiry.get((value, renewed))
        if group is None:
            group = at_expiry[value, renewed] = Group(value, expiry, renewed)
        group.count += count
        self.live += count
        self.ends[expiry, renewed] = self.ends.get((expiry, renewed), 0) + count
        if value != NONE:
            self.values[value] = self.values.get(value, 0) + count
        return group

    def _fits(self, value: bytes, old: Group | None, max_values: int) -> bool:
        """Whether a key that leaves `old` may take this value."""
        if value == NONE or value in self.values or len(self.values) < max_values:
            return True
        makes_room = old is not None and self.values.get(old.value) == 1
        return makes_room and len(self.values) == max_values

    def _leave(self, group: Group, count: int = 1) -> None:
        """Take keys out of their group, and drop the group with its last."""
        group.count -= count
        self.live -= count
        _take(self.ends, (group.expiry, group.renewed), count)
        if group.value != NONE:
            _take(self.values, group.value, count)
            if group.value not in self.values:
                self.loaded.pop(group.value, None)
        if not group.count:
            at_expiry = self.groups[group.expiry]
            del at_expiry[group.value, group.renewed]
            if not at_expiry:
                del self.groups[group.expiry]
            if len(self.expiries) > 2 * len(self.groups) + 8:
                self.expiries = sorted(self.groups)  # a sorted list is a heap


def _take(counts: dict[T, int], name: T, count: int) -> None:
    """Count fewer, and drop what is none."""
    counts[name] -= count
    if not counts[name]:
        del counts[name]


# The stores of this process by LOCATION: Django builds one backend object per thread.
_stores: dict[str, Store] = {}


class MemoryCache(TallyCache):
    """Keeps keys in the memory of one process; every method may be called from any thread."""

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._store = _stores.setdefault(name, Store())
        with self._store.lock:
            if self._store.period != self.granularity or self._store.kept != self.kept:
                self._store.keep_history(self.granularity, self.kept, self.summary)

    @property
    def since(self) -> float:
        return min(self._store.since, time.time())  # the clock may have gone back

    def add(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        """Set a value unless the key is live; whether it was set. Raises as `put` does."""
        name = self.make_and_validate_key(key, version=version)
        content = pickled(value)
        with self._store.lock:
            digest = self._store.digest(name)
            if self._store.find(digest):
                return False
            self._store.put(digest, content, self._expiry(timeout), self)
            return True

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """The value of a live key, a copy of its own, or `default`."""
        name = self.make_and_validate_key(key, version=version)
        with self._store.lock:
            group = self._store.find(self._store.digest(name))
        return pickle.loads(group.value) if group else default

    def put(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> float | None:
        name = self.make_and_validate_key(key, version=version)
        content = pickled(value)
        with self._store.lock:
            expiry = self._expiry(timeout)
            self._store.put(self._store.digest(name), content, expiry, self)
        return _shown(expiry)

    def touch(
        self,
        key: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        """Change a live key's expiry; whether it was live. `renewed` stays as it is."""
        name = self.make_and_validate_key(key, version=version)
        with self._store.lock:
            digest = self._store.digest(name)
            group = self._store.find(digest)
            if group is None:
                return False
            expiry = self._expiry(timeout)
            if expiry <= time.time():
                return self._store.delete(digest)
            self._store.move(digest, group, group.value, expiry, group.renewed)
            return True

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to a live key's value and return the sum; ValueError if the key is not live."""
        name = self.make_and_validate_key(key, version=version)
        with self._store.lock:
            digest = self._store.digest(name)
            group = self._store.find(digest)
            if group is None:
                raise ValueError(f"Key {key!r} not found")
            total: int = pickle.loads(group.value) + delta
            content = pickled(total)
            self._store.put(digest, content, group.expiry, self)
        return total

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Move a live key to another version, and return that; ValueError if it is not live.

        Needs no room, and the expiry stays as it is.
        """
        if version is None:
            version = self.version
        names = [self.make_and_validate_key(key, version=v) for v in (version, version + delta)]
        with self._store.lock:
            old, new = map(self._store.digest, names)
            group = self._store.find(old)
            if group is None:
                raise ValueError(f"Key {key!r} not found")
            self._store.delete(old)
            there = self._store.find(new)
            self._store.move(new, there, group.value, group.expiry, group.renewed)
        return version + delta

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Whether the key is live."""
        name = self.make_and_validate_key(key, version=version)
        with self._store.lock:
            return self._store.find(self._store.digest(name)) is not None

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Forget a key; whether it was live."""
        name = self.make_and_validate_key(key, version=version)
        with self._store.lock:
            return self._store.delete(self._store.digest(name))

    def clear(self) -> None:
        """Forget everything under this LOCATION."""
        with self._store.lock:
            self._store.clear()

    def tally(self) -> list[Row]:
        with self._store.lock:
            self._store.expire(time.time())
            return self._store.rows()

    def totals(self, choose: Choice | None = None) -> Totals:
        with self._store.lock:
            self._store.expire(time.time())
            return self._store.totals(choose)

    def changes(self) -> int:
        with self._store.lock:
            self._store.expire(time.time())
            return self._store.changes

    def history(self) -> dict[int, Any]:
        with self._store.lock:
            self._store.expire(time.time())
            return dict(sorted(self._store.closed.items()))

    def free_expired(self) -> None:
        with self._store.lock:
            self._store.expire(time.time(), free=True)

    def _expiry(self, timeout: float | None) -> float:
        expiry = self.get_backend_timeout(timeout)
        return math.inf if expiry is None else expiry


def _ends(ends: Mapping[tuple[float, bool], int]) -> list[tuple[float | None, bool, int]]:
    return [(_shown(expiry), renewed, count) for (expiry, renewed), count in ends.items()]


def _shown(expiry: float) -> float | None:
    return None if expiry == math.inf else expiry
