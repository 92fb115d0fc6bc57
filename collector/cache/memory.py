"""A cache backend in the memory of one process.

The cache keeps a keyed digest of each key. A dictionary maps the digest to the number of a group.
All keys in a group have the same value and belong to the same cohort. When a cohort expires, its
groups go at once; a digest whose group is gone has expired, and its memory is freed afterwards.
"""

import secrets
import time
from collections.abc import Iterable
from hashlib import blake2b
from itertools import count
from threading import Lock
from typing import Any

from collector.cache.base import (
    CLOCK_TOLERANCE,
    MAX_TALLIES,
    CacheFull,
    TallyCache,
    TooManyValues,
    answer_unit,
)
from collector.cache.tally import EMPTY, NULL, Cohort, Name, State, Tally, decode, encode
from collector.conf import DAY

# A bytes object of 15 bytes takes 48 bytes of memory, one of 16 takes 64. Among a million keys, two
# digests of 120 bits are equal with a probability of 4e-25.
DIGEST_SIZE = 15
# Freeing expired keys copies one of so many dictionaries at a time. At a million keys, a report
# waits for less than 10 ms; with one dictionary, it would wait for up to 240 ms.
SHARDS = 64
_changes = count()  # numbers that no two changes in this process share


class Group:
    """The keys that have the same value and belong to the same cohort."""

    __slots__ = ("cohort", "count", "number", "value")

    def __init__(self, number: int, value: Name, cohort: "LiveCohort") -> None:
        self.number = number
        self.value = value
        self.cohort = cohort
        self.count = 0


class LiveCohort:
    """A cohort that changes; see `Cohort`."""

    def __init__(self, day: int, established: bool) -> None:
        self.day = day
        self.established = established
        self.size = 0
        self.groups: dict[Name, Group] = {}
        self.copy: Cohort | None = None  # as it was returned last, if it has not changed since

    def freeze(self) -> Cohort:
        """Return a copy of this cohort."""
        if self.copy is None:
            counts = {value: group.count for value, group in self.groups.items()}
            self.copy = Cohort(self.day, self.established, self.size, counts)
        return self.copy


class Contents:
    """The contents of a cache. Its methods assume that the caller holds `lock`."""

    def __init__(self, cache: TallyCache) -> None:
        self.cache = cache  # whose retention and history these contents have
        self.lock = Lock()
        self.numbers = count()  # of the groups
        self.begin(time.time())

    def begin(self, now: float) -> None:
        """Begin to count from zero."""
        self.secret = secrets.token_bytes(32)
        self.change = next(_changes)
        self.since = now
        self.day = int(now // DAY)
        self.shards: list[dict[bytes, int]] = [{} for _ in range(SHARDS)]
        self.unswept = 0  # shards, from the last one, that may have expired keys
        self.groups: dict[int, Group] = {}  # by number
        self.cohorts: list[LiveCohort] = []
        self.counts: dict[Name, int] = {}
        self.live = 0  # keys
        self.answers: dict[str, int] = {}  # of today, by name, so that no order tells more
        self.closed: dict[int, Tally | bytes] = {}  # replaced at each change
        self._open_cohorts()

    def turn(self, now: float) -> None:
        """Begin another day if one has begun, or if the clock went back to an earlier one."""
        day = int(now // DAY)
        if day == self.day or day < self.day <= (now + CLOCK_TOLERANCE) // DAY:
            return
        if day > self.day:
            self._close(day)
        else:
            self.since = min(self.since, now)
            self._go_back(day)
        self.change = next(_changes)
        self.day = day
        self.answers = {}
        self._drop_expired()
        self._open_cohorts()

    def put(self, digest: bytes, value: Name, answers: Iterable[str], limits: TallyCache) -> None:
        """Set a key, and count the answers if the key was last set on an earlier day."""
        if self.unswept:
            self.sweep()
        old = self.find(digest)
        if old is None and self.live >= limits.max_entries:
            raise CacheFull(f"{self.live} keys are live")
        if value not in self.counts and value != NULL:
            replaced = old is not None and old.value != NULL and self.counts[old.value] == 1
            if len(self.counts) - (NULL in self.counts) - replaced >= limits.max_values:
                raise TooManyValues(f"{limits.max_values} distinct values are live")
        returned = old is not None and old.cohort.day < self.day
        established = old is not None and (returned or old.cohort.established)
        new = self._group(self.open_cohorts[established], value)
        if returned:
            for name in answers:
                if name not in self.answers:
                    self.answers = dict(sorted([*self.answers.items(), (name, 0)]))
                self.answers[name] += 1
        if new is not old:
            self._count(new, 1)
            if old:
                self._count(old, -1)
            self._shard(digest)[digest] = new.number

    def find(self, digest: bytes) -> Group | None:
        """Return the group of a live key, or None."""
        number = self._shard(digest).get(digest)
        return None if number is None else self.groups.get(number)

    def delete(self, digest: bytes) -> bool:
        """Delete a key; return whether it was live."""
        group = self.find(digest)
        if group:
            del self._shard(digest)[digest]
            self._count(group, -1)
        return group is not None

    def sweep(self) -> None:
        """Free the memory of the expired keys in one shard."""
        if self.unswept:
            self.unswept -= 1
            shard, groups = self.shards[self.unswept], self.groups
            self.shards[self.unswept] = {key: each for key, each in shard.items() if each in groups}

    def tally(self, answers: dict[str, int] | None = None) -> Tally:
        """Return the tally of the live keys."""
        cohorts = tuple(cohort.freeze() for cohort in self.cohorts if cohort.size)
        return Tally(self.day, dict(self.counts), cohorts, answers or {})

    def keep(self, day: int, summary: bytes) -> None:
        """Replace the tally of a day that is over by a summary."""
        if isinstance(self.closed.get(day), Tally):
            self.change = next(_changes)
            self.closed = self.closed | {day: summary}

    def _close(self, today: int) -> None:
        """Keep the tally of the day that is over, and drop the days that are too old."""
        unit = answer_unit()
        answers = {name: n // unit * unit for name, n in self.answers.items() if n >= unit}
        closed = self.closed | {self.day: self.tally(answers)}
        tallies = sorted(day for day, each in closed.items() if isinstance(each, Tally))
        oldest = min(today - self.cache.history_days, self.day)  # the latest day is always kept
        dropped = {*tallies[:-MAX_TALLIES], *(day for day in closed if day < oldest)}
        self.closed = {day: each for day, each in closed.items() if day not in dropped}

    def _go_back(self, today: int) -> None:
        """Reopen the days that are not over any more, and date their keys today."""
        self.closed = {day: each for day, each in self.closed.items() if day < today}
        for cohort in self.cohorts:
            if cohort.day > today:
                cohort.day, cohort.copy = today, None

    def _drop_expired(self) -> None:
        """Drop the groups of the cohorts whose last day is over."""
        first = self.day - self.cache.retention_days
        for cohort in self.cohorts:
            if cohort.day < first:
                self.unswept = SHARDS
                for group in [*cohort.groups.values()]:
                    self._count(group, -group.count)
        self.cohorts = [cohort for cohort in self.cohorts if cohort.size]

    def _open_cohorts(self) -> None:
        """Open the cohorts of the keys that are set today."""
        self.open_cohorts = LiveCohort(self.day, False), LiveCohort(self.day, True)
        self.cohorts.extend(self.open_cohorts)

    def _shard(self, digest: bytes) -> dict[bytes, int]:
        return self.shards[digest[0] % SHARDS]

    def _group(self, cohort: LiveCohort, value: Name) -> Group:
        """Return the group of a value in a cohort, a new one if there is none."""
        group = cohort.groups.get(value)
        if group is None:
            group = cohort.groups[value] = Group(next(self.numbers), value, cohort)
            self.groups[group.number] = group
        return group

    def _count(self, group: Group, number: int) -> None:
        """Count more keys in a group, or fewer if the number is negative."""
        self.change = next(_changes)
        self.live += number
        cohort, value = group.cohort, group.value
        group.count += number
        cohort.size += number
        cohort.copy = None
        self.counts[value] = self.counts.get(value, 0) + number
        if not group.count:
            del self.groups[group.number], cohort.groups[value]
        if not self.counts[value]:
            del self.counts[value]


# Django builds one backend object per thread, so the contents are shared by LOCATION, and by the
# options that say how long they are kept.
_contents: dict[tuple[str, int, int], Contents] = {}


class MemoryCache(TallyCache):
    """Keeps keys in the memory of one process; every method may be called from any thread."""

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        meaning = (name, self.retention_days, self.history_days)
        self._contents = _contents.setdefault(meaning, Contents(self))

    def get(self, key: object, default: Any = None, version: int | None = None) -> Any:
        name = self.make_and_validate_key(key, version=version)
        with self._contents.lock:
            self._contents.turn(time.time())
            group = self._contents.find(self._digest(name))
        return decode(group.value, Any) if group else default

    def delete(self, key: object, version: int | None = None) -> bool:
        name = self.make_and_validate_key(key, version=version)
        with self._contents.lock:
            self._contents.turn(time.time())
            return self._contents.delete(self._digest(name))

    def clear(self) -> None:
        with self._contents.lock:
            self._contents.begin(time.time())

    def read(self, known: State = EMPTY) -> State | None:
        contents = self._contents
        with contents.lock:
            contents.turn(time.time())
            if known.change == contents.change:
                return None
            return State(contents.tally(), contents.closed, contents.since, contents.change)

    def keep(self, day: int, summary: bytes) -> None:
        with self._contents.lock:
            self._contents.keep(day, summary)

    def expire(self) -> None:
        with self._contents.lock:
            self._contents.turn(time.time())
        while self._contents.unswept:
            with self._contents.lock:
                self._contents.sweep()
            time.sleep(0)  # let other threads, or gevent's greenlets, take their turn

    def _put(self, name: str, value: object, answers: Iterable[str]) -> int:
        content = encode(value)
        with self._contents.lock:
            self._contents.turn(time.time())
            self._contents.put(self._digest(name), content, answers, self)
            return self._contents.day + self.retention_days + 1

    def _digest(self, name: str) -> bytes:
        raw = name.encode("utf-8", "surrogatepass")
        return blake2b(raw, digest_size=DIGEST_SIZE, key=self._contents.secret).digest()
