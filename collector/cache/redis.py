"""A cache backend in Redis or Valkey, which any number of processes can share.

Every operation is one run of `store.lua`, which is one round trip; only the first operation of a
day takes two more. The names of the server's keys are, after a prefix:

- `day:{number}`: the codes of the live keys, by digest, that were set last on one day. A code
  stands for a value and whether the key is established. Days have numbers, so that a clock that
  goes back changes their dates and no record.
- `tally:{number}`: the number of live keys by code.
- `ids` and `values`: the ids by value, and the values by id. `counts`: the live keys by id.
- `answers`: the number of times that each answer was counted today, in a sorted set, because a
  hash would keep the order in which they came.
- `raw` and `closed`: the tallies and the summaries of the days that are over.
- `meta`: the day that has begun, the live days, when counting began, and the numbers of the last
  changes.

Every key has a deadline, so that nothing remains after the last process has stopped.
"""

import time
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from django.conf import settings
from django.utils.encoding import force_bytes
from msgspec import Meta, Struct

from collector.cache.base import (
    CLOCK_TOLERANCE,
    MAX_TALLIES,
    CacheFull,
    TallyCache,
    TooManyValues,
    answer_unit,
)
from collector.cache.connection import Client, UnmetRequirements, client, deadline
from collector.cache.server_requirements import ServerRequirement
from collector.cache.tally import EMPTY, NULL, Cohort, State, Tally, Unavailable, decode, encode
from collector.fingerprint import STORING, fingerprint

# Redis keeps a string of up to 14 bytes in 16 bytes of memory, and one of 15 in 24. Among a million
# keys, two digests of 112 bits are equal with a probability of 1e-22.
DIGEST_SIZE = 14
Day = Annotated[int, Meta(ge=0, le=2_000_000)]  # since 1970-01-01; Python's dates end soon after
Seconds = Annotated[float, Meta(ge=0, le=2_000_000 * 86400)]  # POSIX


class PackedTally(Struct, array_like=True):
    """A tally as store.lua packs it."""

    day: Day
    days: list[tuple[Day, str]]  # codes and numbers of live keys in turn
    answers: list[tuple[str, int]]
    values: list[str]  # ids and values in turn


class PackedState(Struct, array_like=True):
    """The state as store.lua packs it, with the summaries of past days unless they are known."""

    epoch: str  # differs if the store was lost in between
    change: int
    since: Seconds
    tally: PackedTally
    closed: list[tuple[Day, str]] | None = None


class RedisCache(TallyCache):
    """Keeps keys in the server whose URL is LOCATION.

    Digests of keys are made with a secret that is derived from SECRET_KEY. The prefix of all keys
    contains a short digest of this secret, a fingerprint of the code, and the options that say how
    long keys are kept. If any of them changes, the prefix changes too, and counting starts from
    zero.

    OPTIONS may also have UNCHECKED: whether to accept a server whose configuration cannot be read;
    see server_requirements.py.
    """

    shared = True
    known_options = TallyCache.known_options | {"UNCHECKED"}

    def __init__(self, url: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.client = _client(url, params)
        self._secret = blake2b(force_bytes(settings.SECRET_KEY), person=b"headcount").digest()
        name_of_secret = blake2b(b"name", digest_size=4, key=self._secret).hexdigest()
        meaning = f"{name_of_secret}:{self.default_timeout}:{self.history_days}"
        self.prefix = f"headcount:{{{fingerprint(*STORING)}:{meaning}}}:"

    @classmethod
    def unmet_requirements(cls, entry: Mapping[str, Any]) -> list[ServerRequirement]:
        try:
            with deadline():
                _client(entry["LOCATION"], entry).check_server()
        except UnmetRequirements as error:
            return error.unmet
        return []

    def get(self, key: object, default: Any = None, version: int | None = None) -> Any:
        name = self.make_and_validate_key(key, version=version)
        content = self._run("get", self._digest(name))
        return default if content is None else decode(content, Any)

    def delete(self, key: object, version: int | None = None) -> bool:
        name = self.make_and_validate_key(key, version=version)
        return bool(self._run("delete", self._digest(name)))

    def clear(self) -> None:
        """Delete everything under this cache's prefix, and nothing else of the server."""
        self._run("clear")

    def read(self, known: State = EMPTY) -> State | None:
        change = known.change if isinstance(known.change, tuple) else ("", 0)
        reply = self._run("read", *change)
        if reply is None:
            return None
        try:
            packed = msgspec.msgpack.decode(reply[0], type=PackedState)
            closed = known.closed
            if packed.closed is not None:
                tallies = (msgspec.msgpack.decode(each, type=PackedTally) for each in reply[1:])
                closed = {day: summary.encode() for day, summary in packed.closed} | {
                    each.day: _tally(each) for each in tallies
                }
            return State(_tally(packed.tally), closed, packed.since, (packed.epoch, packed.change))
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            raise Unavailable("The store has data that this program did not write.") from error

    def keep(self, day: int, summary: bytes) -> None:
        self._run("keep", day, summary)

    def expire(self) -> None:
        """Close the day that is over, free expired keys, and check the server again."""
        with deadline():
            self.client.check_server()
            self._expire()

    def probe(self) -> None:
        with deadline():
            self.client.check_server()
            self._run("probe")

    def _put(self, name: str, value: object, answers: Iterable[str]) -> int:
        limits = self.max_entries, self.max_values
        reply = self._run("put", self._digest(name), encode(value), *limits, *answers)
        if reply == b"CacheFull":
            raise CacheFull(f"{self.max_entries} keys are live")
        if reply == b"TooManyValues":
            raise TooManyValues(f"{self.max_values} distinct values are live")
        return int(reply) + self.retention_days + 1

    def _digest(self, name: str) -> bytes:
        raw = name.encode("utf-8", "surrogatepass")
        return blake2b(raw, digest_size=DIGEST_SIZE, key=self._secret).digest()

    def _run(self, operation: str, *arguments: object) -> Any:
        """Run an operation, and before it `expire` if it is the first one of a day."""
        with deadline():
            for _ in range(3):
                reply = self._run_now(operation, *arguments)
                if reply != b"NewDay":
                    return reply
                self._expire()
        raise Unavailable("The clocks of the servers differ by more than a minute.")

    def _expire(self) -> None:
        self._run_now("expire", answer_unit(), self.history_days, MAX_TALLIES)

    def _run_now(self, operation: str, *arguments: object) -> Any:
        constants = self.retention_days, CLOCK_TOLERANCE
        return self.client.run(self.prefix, operation, time.time(), *constants, *arguments)


def _client(url: str, entry: Mapping[str, Any]) -> Client:
    return client(url, bool(entry.get("OPTIONS", {}).get("UNCHECKED")))


def _tally(packed: PackedTally) -> Tally:
    """Return a tally. Raises KeyError or ValueError for numbers that store.lua has not written."""
    pairs = zip(packed.values[::2], packed.values[1::2], strict=True)
    values = {0: NULL} | {int(number): text.encode() for number, text in pairs}
    total: dict[bytes, int] = {}
    cohorts = []
    for day, flat in packed.days:
        counts: tuple[dict[bytes, int], dict[bytes, int]] = ({}, {})
        numbers = [*map(int, flat.split())]
        for code, count in zip(numbers[::2], numbers[1::2], strict=True):
            if count < 1:
                raise ValueError
            value = values[code // 2]
            counts[code % 2][value] = count
            total[value] = total.get(value, 0) + count
        cohorts += [
            Cohort(day, bool(established), sum(each.values()), each)
            for established, each in enumerate(counts)
            if each
        ]
    return Tally(packed.day, total, tuple(cohorts), dict(packed.answers))
