"""A cache backend in the memory of one process, with a tally of its live values.

The cache keeps a keyed digest of each key, 15 bytes long, and maps it to a group. All keys in a
group have the same value and belong to the same cohort. Every change updates the counts, so `tally`
only copies the counts and never iterates over the keys.
"""

import heapq
import math
import pickle
import secrets
import time
from collections.abc import Collection, Iterable, Mapping
from copy import copy
from hashlib import blake2b
from threading import Lock
from typing import Any, NamedTuple, Self

from django.core.cache.backends.base import DEFAULT_TIMEOUT

from collector.cache.base import CacheFull, TallyCache, Timeout, TooManyValues
from collector.cache.serialization import NONE, pickled
from collector.cache.tally import Cohort, Tally

# A bytes object of 15 bytes takes 48 bytes of memory, one of 16 takes 64. Among a million keys, two
# digests of 120 bits are equal with a probability of 4e-25.
DIGEST_SIZE = 15
MIXED = 64  # keys of a section among which a new one is hidden; see `Contents.mix`
GAPS = 16  # at most one entry in so many is a gap, or the dictionary would double its size early


class LiveCohort:
    """The keys that share an expiry and `renewed`, as they are now.

    The size of a cohort is 0 once it has expired, which is how a key is known to have expired.
    """

    __slots__ = ("counts", "expiry", "frozen", "groups", "renewed", "size")

    def __init__(self, expiry: float, renewed: bool) -> None:
        self.expiry = expiry
        self.renewed = renewed
        self.size = 0
        self.counts: dict[bytes, int] = {}  # by pickled value
        self.groups: dict[bytes, Group] = {}  # by pickled value
        self.frozen: Cohort | None = None  # the copy in the last tally, until the cohort changes

    def freeze(self) -> Cohort:
        """Return a copy that later changes do not change."""
        if self.frozen is None:
            expiry = _none_if_never(self.expiry)
            self.frozen = Cohort(expiry, self.renewed, self.size, dict(self.counts))
        return self.frozen


class Group(NamedTuple):
    """What all keys with the same value in the same cohort point at."""

    value: bytes  # pickled
    cohort: LiveCohort


class Contents:
    """What one cache holds. Callers hold `lock`. Expiry is POSIX seconds, or infinity for never."""

    def __init__(self, granularity: int, periods: int, lock: "Lock | None" = None) -> None:
        self.lock = lock or Lock()
        self.is_section = lock is not None
        self.sections: dict[str, Contents] = {}  # they share the lock
        self.granularity = granularity
        self.periods = periods
        self.changes = 0
        self.clear()

    def clear(self) -> None:
        """Forget everything, including the secret of the digests, and begin to count anew."""
        self.changes += 1
        self.since = time.time()
        self.secret = secrets.token_bytes(32)
        self.keys: dict[bytes, Group] = {}  # at most a third of them have expired
        self.cohorts: dict[tuple[float, bool], LiveCohort] = {}
        self.expiries: list[tuple[float, bool]] = []  # a heap, also of cohorts that are empty now
        self.live = 0
        self.counts: dict[bytes, int] = {}  # live keys by pickled value
        self.values: dict[bytes, Any] = {}  # the same values, unpickled
        self.frozen_values: dict[bytes, Any] | None = None  # the copy in the last tally
        self.history: dict[int, Any] = {}  # handed out, so it is replaced and never changed
        self.period = self._period_of(self.since)
        self.longest: float = 0  # seconds from the start of a period to an expiry set in it
        self.recent: list[bytes] = []  # the keys of a section that `mix` will move
        self.moves = 0  # since `keys` had no gaps
        for section in self.sections.values():
            section.clear()

    def section(self, name: str) -> "Contents":
        """Return the contents of a section."""
        if name not in self.sections:
            new = Contents(self.granularity, self.periods, self.lock)
            self.sections.setdefault(name, new)  # another thread may have been faster
        return self.sections[name]

    def digest(self, key: str) -> bytes:
        """Return the digest that stands for a key."""
        raw = key.encode("utf-8", "surrogatepass")
        return blake2b(raw, digest_size=DIGEST_SIZE, key=self.secret).digest()

    def find(self, digest: bytes) -> Group | None:
        """Return the group of a key if the key is live."""
        self.expire(time.time())
        group = self.keys.get(digest)
        return group if group and group.cohort.size else None

    def check_limits(self, old: Group | None, value: bytes, cache: "MemoryCache") -> None:
        """Raise CacheFull or TooManyValues if setting this value would exceed a limit.

        `old` is the group of the key, or None if the key is not live.
        """
        if old is None and self.live >= cache.max_entries:
            raise CacheFull(f"{cache.max_entries} keys are live")
        if value == NONE or value in self.counts:
            return
        others = len(self.counts) - (NONE in self.counts)
        if old and old.value != NONE and self.counts[old.value] == 1:
            others -= 1  # the value that goes with this change
        if others >= cache.max_values:
            raise TooManyValues(f"{cache.max_values} distinct values are live")

    def add_value(self, value: bytes, copy: Any) -> None:
        """Keep a copy of a value for the tally, which a key is about to get."""
        if value not in self.values:
            self.values[value] = copy
            self.frozen_values = None

    def put(
        self,
        digest: bytes,
        value: bytes,
        copy: Any,
        expiry: float,
        limits: "MemoryCache | None" = None,
    ) -> None:
        """Set a key; with an expiry in the past, delete it. `limits` is the cache that has some."""
        old = self.find(digest)
        if expiry <= time.time():
            self.delete(digest)
        else:
            if limits:
                self.check_limits(old, value, limits)
            self.add_value(value, copy)
            renewed = old is not None and (old.cohort.renewed or expiry > old.cohort.expiry)
            self.move(digest, old, value, expiry, renewed)

    def move(
        self, digest: bytes, old: Group | None, value: bytes, expiry: float, renewed: bool
    ) -> None:
        """Put a key into the group of this value, expiry and `renewed`, and out of `old`."""
        if self.longest < expiry - self.period < math.inf:
            self.longest = expiry - self.period
        new = self._cohort(expiry, renewed)
        if old and old.value == value and old.cohort is new:
            return
        self.changes += 1
        self._count(new, value, 1)
        self.keys[digest] = new.groups[value]
        if old:
            self._count(old.cohort, old.value, -1)
        elif self.is_section:
            self.mix(digest)

    def mix(self, digest: bytes) -> None:
        """Hide the position of a new key.

        A dictionary keeps its keys in the order in which they were added. If two sections did the
        same, their keys could be matched by their positions. So a key moves to the end again when
        about MIXED others have been added, and as a new object, at another address.
        """
        if len(self.keys) <= MIXED:
            self.keys = dict(sorted(self.keys.items()))
            self.recent, self.moves = list(self.keys), 0
            return
        self.recent.append(digest)
        if len(self.recent) > MIXED:
            earlier = self.recent.pop(secrets.randbelow(MIXED))
            self.keys[bytes(bytearray(earlier))] = self.keys.pop(earlier)
            self.moves += 1
        if self.moves * GAPS > len(self.keys):
            self.keys = dict(self.keys)  # without the gaps that moved keys leave
            self.moves = 0

    def delete(self, digest: bytes) -> bool:
        """Forget a key, and return whether it was live."""
        group = self.find(digest)
        if group is None:
            return False
        self.changes += 1
        del self.keys[digest]
        if digest in self.recent:
            self.recent = [key for key in self.recent if key != digest]
        self._count(group.cohort, group.value, -1)
        return True

    def expire(self, now: float, *, free: bool = False) -> None:
        """Close the period that is over, and drop the cohorts that have expired.

        Freeing expired keys copies all live keys, so it happens only when more than a third of the
        keys have expired. With `free`, it happens now.
        """
        if self._period_of(now) != self.period:
            self._begin_period(self._period_of(now))
        while self.expiries and self.expiries[0][0] <= now:
            if cohort := self.cohorts.get(heapq.heappop(self.expiries)):
                self.changes += 1
                for value, count in [*cohort.counts.items()]:
                    self._count(cohort, value, -count)
        expired = len(self.keys) - self.live
        if expired and (free or expired * 2 > self.live):
            self.keys = {key: group for key, group in self.keys.items() if group.cohort.size}
            self.recent = [key for key in self.recent if key in self.keys]

    def tally(self) -> Tally:
        """Return a copy of the counts."""
        cohorts = tuple(cohort.freeze() for cohort in self.cohorts.values())
        if self.frozen_values is None:
            self.frozen_values = dict(self.values)
        return Tally(self.frozen_values, dict(self.counts), cohorts)

    def summarize(self, start: int, summary: Any) -> None:
        """Replace what is kept of the period that began at `start`, if anything is."""
        if start in self.history:
            self.changes += 1
            self.history = self.history | {start: summary}

    def _period_of(self, moment: float) -> int:
        """Return the start of the period in which a moment lies."""
        return int(moment // self.granularity) * self.granularity if self.granularity else 0

    def _begin_period(self, start: int) -> None:
        """Begin another period, and keep the tally of the one before in the history."""
        self.changes += 1
        if start < self.period:
            self._go_back(start)
        elif self.periods:
            oldest = start - self.periods * self.granularity
            history = self.history | {self.period: self.tally()}
            self.history = {period: data for period, data in history.items() if period >= oldest}
        self.period = start

    def _go_back(self, start: int) -> None:
        """Follow a clock that went back to an earlier period.

        The history loses the periods that are not over any more, and a key that was set under the
        later clock expires as if it were set now.
        """
        self.since = min(self.since, time.time())
        self.history = {period: data for period, data in self.history.items() if period < start}
        latest = start + self.longest
        new_groups = {}
        for cohort in [*self.cohorts.values()]:
            if latest < cohort.expiry < math.inf:
                new = self._cohort(latest, cohort.renewed)
                for group in [*cohort.groups.values()]:
                    count = cohort.counts[group.value]
                    self._count(new, group.value, count)
                    self._count(cohort, group.value, -count)
                    new_groups[group] = new.groups[group.value]
        if new_groups:
            self.keys = {key: new_groups.get(group, group) for key, group in self.keys.items()}

    def _cohort(self, expiry: float, renewed: bool) -> LiveCohort:
        """Return the cohort of this expiry and `renewed`, a new one if there is none."""
        name = (expiry, renewed)
        if name not in self.cohorts:
            self.cohorts[name] = LiveCohort(expiry, renewed)
            heapq.heappush(self.expiries, name)
            if len(self.expiries) > 2 * len(self.cohorts) + 8:
                self.expiries = sorted(self.cohorts)  # a sorted list is a heap
        return self.cohorts[name]

    def _count(self, cohort: LiveCohort, value: bytes, number: int) -> None:
        """Count more keys with this value in this cohort, or fewer if the number is negative."""
        self.live += number
        cohort.size += number
        cohort.frozen = None
        if value not in cohort.groups:
            cohort.groups[value] = Group(value, cohort)
        for counts in (self.counts, cohort.counts):
            counts[value] = counts.get(value, 0) + number
        if not cohort.counts[value]:
            del cohort.counts[value], cohort.groups[value]
            if not cohort.size:
                del self.cohorts[cohort.expiry, cohort.renewed]
            if not self.counts[value]:
                del self.counts[value], self.values[value]
                self.frozen_values = None


# Django builds one backend object per thread, so the contents are shared by LOCATION, and by the
# options that say what the contents mean.
_contents: dict[tuple[str, int, int], Contents] = {}


class MemoryCache(TallyCache):
    """Keeps keys in the memory of one process; every method may be called from any thread.

    Values are never pickled or unpickled while the lock is held, because that may run any code.
    """

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        options = (self.granularity, self.periods)
        self._contents = _contents.setdefault((name, *options), Contents(*options))

    @property
    def since(self) -> float:
        return min(self._contents.since, time.time())  # the clock may have gone back

    def add(
        self, key: Any, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        name = self.make_and_validate_key(key, version=version)
        content, copy = self._pickle_and_copy(value)
        with self._contents.lock:
            digest = self._contents.digest(name)
            if self._contents.find(digest):
                return False
            self._put(digest, content, copy, timeout)
            return True

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        name = self.make_and_validate_key(key, version=version)
        with self._contents.lock:
            group = self._contents.find(self._contents.digest(name))
        return pickle.loads(group.value) if group else default

    def put(
        self, key: Any, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> float | None:
        name = self.make_and_validate_key(key, version=version)
        content, copy = self._pickle_and_copy(value)
        with self._contents.lock:
            return self._put(self._contents.digest(name), content, copy, timeout)

    def touch(
        self, key: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        name = self.make_and_validate_key(key, version=version)
        with self._contents.lock:
            digest = self._contents.digest(name)
            group = self._contents.find(digest)
            if group is None:
                return False
            expiry = self._expiry(timeout)
            if expiry <= time.time():
                return self._contents.delete(digest)
            self._contents.move(digest, group, group.value, expiry, group.cohort.renewed)
            return True

    def has_key(self, key: Any, version: int | None = None) -> bool:
        name = self.make_and_validate_key(key, version=version)
        with self._contents.lock:
            return self._contents.find(self._contents.digest(name)) is not None

    def delete(self, key: Any, version: int | None = None) -> bool:
        name = self.make_and_validate_key(key, version=version)
        with self._contents.lock:
            return self._contents.delete(self._contents.digest(name))

    def clear(self) -> None:
        with self._contents.lock:
            self._contents.clear()

    def section(self, name: str) -> Self:
        section = copy(self)
        section._contents = self._contents.section(name)
        return section

    def put_all(self, key: Any, value: Any, sections: Mapping[str, Any]) -> float | None:
        name = self.make_and_validate_key(key)
        content, value_copy = self._pickle_and_copy(value)
        pickles = {each: pickled(value) for each, value in sections.items() if value is not None}
        with self._contents.lock:
            expiry = self._put(self._contents.digest(name), content, value_copy, DEFAULT_TIMEOUT)
            for section in {*sections, *self._contents.sections}:
                contents = self._contents.section(section)
                digest = contents.digest(name)
                if section in pickles:
                    contents.put(digest, pickles[section], sections[section], expiry or math.inf)
                else:
                    contents.delete(digest)
        return expiry

    def delete_all(self, key: Any, sections: Iterable[str]) -> bool:
        name = self.make_and_validate_key(key)
        with self._contents.lock:
            for contents in self._contents.sections.values():
                contents.delete(contents.digest(name))
            return self._contents.delete(self._contents.digest(name))

    def tally(self) -> Tally:
        (tally,) = self.tallies(())
        return tally

    def tallies(self, sections: Collection[str]) -> list[Tally]:
        now = time.time()
        with self._contents.lock:
            contents = [self._contents, *map(self._contents.section, sections)]
            for each in contents:
                each.expire(now)
            return [each.tally() for each in contents]

    def changes(self, sections: Iterable[str] = ()) -> int:
        now = time.time()
        with self._contents.lock:
            contents = [self._contents, *map(self._contents.section, sections)]
            for each in contents:
                each.expire(now)
            return sum(each.changes for each in contents)

    def history(self) -> Mapping[int, Any]:
        with self._contents.lock:
            self._contents.expire(time.time())
            return self._contents.history

    def summarize(self, start: int, summary: Any) -> None:
        with self._contents.lock:
            self._contents.summarize(start, summary)

    def free_expired(self) -> None:
        with self._contents.lock:
            self._contents.expire(time.time(), free=True)

    def _put(self, digest: bytes, content: bytes, copy: Any, timeout: float | None) -> float | None:
        """Set a key and return its expiry; with an expiry in the past, delete it."""
        expiry = self._expiry(timeout)
        self._contents.put(digest, content, copy, expiry, self)
        return _none_if_never(expiry)

    def _pickle_and_copy(self, value: Any) -> tuple[bytes, Any]:
        """Return a value pickled, and a copy of it for the tally."""
        content = pickled(value)
        copy = self._contents.values.get(content)
        return content, pickle.loads(content) if copy is None else copy

    def _expiry(self, timeout: float | None) -> float:
        expiry = self.get_backend_timeout(timeout)
        return math.inf if expiry is None else expiry


def _none_if_never(expiry: float) -> float | None:
    return None if expiry == math.inf else expiry
