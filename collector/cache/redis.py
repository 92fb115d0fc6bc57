"""A cache backend in Redis or Valkey, for any number of processes, with a tally of its live values.

Every operation is one run of `store.lua`, which is one round trip. The names of the server's keys
are, after a prefix:

- `records:{expiry}`: the codes of the live keys by digest. A code stands for a value and `renewed`.
  The server itself deletes these records at their expiry.
- `tally:{expiry}`: the number of live keys by code. It is kept longer than the records, so
  that the tally of a past period is exact even if the next operation comes much later.
- `live`: the expiries. `counts`: the number of live keys by id of value.
- `ids` and `values`: the ids by value, and the values by id.
- `closed`: the starts of the past periods. `history:{start}`: the tally or the summary of each.
- `meta`: when counting began, the present period, and the numbers of the last changes.
- `sections`: the names of the sections. Each has all of the keys above, under its own prefix.

Every key has an expiry, so that nothing remains after the last process has stopped.
"""

import math
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from hashlib import blake2b
from itertools import chain
from typing import Any, NamedTuple, Self

from django.conf import settings
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.utils.encoding import force_bytes

from collector.cache.base import CacheFull, TallyCache, Timeout, TooManyValues, Unavailable
from collector.cache.connection import Client, client
from collector.cache.serialization import sealed, unsealed
from collector.cache.server_requirements import ServerRequirement
from collector.cache.tally import Cohort, Tally
from collector.fingerprint import fingerprint

# Redis keeps a string of up to 14 bytes in 16 bytes of memory, and one of 15 in 24. Among a million
# keys, two digests of 112 bits are equal with a probability of 1e-22.
DIGEST_SIZE = 14


class State(NamedTuple):
    """What a process knows of the tally in the store, as of one change."""

    change: int
    values: Mapping[bytes, Any]  # by id
    cohorts: Mapping[bytes, list[Cohort]]  # by expiry
    tally: Tally


NOTHING = State(0, {}, {}, Tally({}, {}, ()))
NONE = {b"0": None}  # the value that has an id of its own, and is not sent


@contextmanager
def _rejecting_foreign_data() -> Iterator[None]:
    """Raise Unavailable for data that only someone else can have written to the store."""
    try:
        yield
    except (KeyError, OverflowError, TypeError, ValueError) as error:
        raise Unavailable("The store has data that this program did not write.") from error


class RedisCache(TallyCache):
    """Keeps keys in the server whose URL is LOCATION.

    Digests and values are signed with a secret that is derived from SECRET_KEY. The prefix of all
    keys contains a short digest of this secret, a fingerprint of the package's code, and the
    options that determine what the data means. If any of them changes, the prefix changes too, and
    counting starts from zero.

    OPTIONS may also have UNCHECKED: whether to accept a server whose configuration cannot be read;
    see server_requirements.py.
    """

    shared = True
    known_options = TallyCache.known_options | {"UNCHECKED"}
    _history: tuple[bytes, Mapping[int, Any]]
    _sections: dict[str, Self]
    _others: set[str]  # sections that the table of questions of this process does not have

    def __init__(self, url: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.url = url
        self.unchecked = bool(params.get("OPTIONS", {}).get("UNCHECKED"))
        self._secret = blake2b(force_bytes(settings.SECRET_KEY), person=b"headcount").digest()
        self._history_secret = blake2b(self._secret, person=b"history").digest()
        name_of_secret = blake2b(b"name", digest_size=4, key=self._secret).hexdigest()
        meaning = f"{self.default_timeout}:{self.granularity}:{self.periods}"
        self.prefix = f"headcount:{{{fingerprint()}:{name_of_secret}:{meaning}}}:"
        self._forget_copies()

    @classmethod
    def unmet_requirements(cls, entry: Mapping[str, Any]) -> list[ServerRequirement]:
        unchecked = bool(entry.get("OPTIONS", {}).get("UNCHECKED"))
        return client(entry["LOCATION"], unchecked).unmet_requirements()

    @property
    def since(self) -> float:
        with _rejecting_foreign_data():
            return _finite(_present(self._run("since")))

    def add(
        self, key: Any, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        digest = self._digest(key, version)
        return self._put("add", digest, self.get_backend_timeout(timeout), self._sealed(value))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        content = self._run("get", self._digest(key, version))
        return default if content is None else self._unsealed(content)

    def put(
        self, key: Any, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> float | None:
        digest = self._digest(key, version)
        expiry = self.get_backend_timeout(timeout)
        self._put("set", digest, expiry, self._sealed(value))
        return expiry

    def section(self, name: str) -> Self:
        if name not in self._sections:
            section = copy(self)
            section.prefix = self.prefix + name + ":"
            section._secret = blake2b(name.encode(), key=self._secret).digest()
            section._history_secret = blake2b(section._secret, person=b"history").digest()
            section._forget_copies()
            self._sections[name] = section
        return self._sections[name]

    def put_all(self, key: Any, value: Any, sections: Mapping[str, Any]) -> float | None:
        expiry = self.get_backend_timeout()
        sections = {**dict.fromkeys(self._others), **sections}
        caches = {name: self.section(name) for name in sections}
        pairs = (
            (caches[name]._digest(key, None), caches[name]._sealed(sections[name]))
            for name in caches
        )
        arguments = (self._digest(key, None), _name(expiry), self._sealed(value))
        limits = (self.max_entries, self.max_values)
        answer, *others = self._run_all(
            "put_all", caches.values(), *arguments, *limits, *chain.from_iterable(pairs)
        )
        self._raise_refusal(answer)
        self._delete_elsewhere(key, others)
        return expiry

    def delete_all(self, key: Any, sections: Iterable[str]) -> bool:
        caches = [self.section(name) for name in {*self._others, *sections}]
        digests = (each._digest(key, None) for each in (self, *caches))
        answer, *others = self._run_all("delete_all", caches, *digests)
        self._delete_elsewhere(key, others)
        return bool(answer)

    def touch(
        self, key: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        return self._put("touch", self._digest(key, version), self.get_backend_timeout(timeout))

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return self._run("get", self._digest(key, version)) is not None

    def delete(self, key: Any, version: int | None = None) -> bool:
        return bool(self._run("delete", self._digest(key, version)))

    def clear(self) -> None:
        """Delete everything under this cache's prefix, and nothing else of the server."""
        sections = (self.section(name.decode()) for name in self._run("sections"))
        self._run_all("each", sections, "clear")

    def tally(self) -> Tally:
        (tally,) = self.tallies(())
        return tally

    def tallies(self, sections: Collection[str]) -> list[Tally]:
        caches = [self, *map(self.section, sections)]
        with _rejecting_foreign_data():
            known = [each._state for each in caches]
            numbers = [state.change for state in known]
            answers = self._run_all("each", caches[1:], "tally", *numbers)
            states = [
                each._next_state(*pair) for each, *pair in zip(caches, known, answers, strict=True)
            ]
        for each, state in zip(caches, states, strict=True):
            each._state = state or NOTHING
        if not all(states):  # the store was emptied, and its clock is behind
            return self.tallies(sections)
        return [state.tally for state in states if state]

    def changes(self, sections: Iterable[str] = ()) -> int:
        numbers = self._run_all("each", map(self.section, sections), "changes")
        return sum(map(_present, numbers))

    def history(self) -> Mapping[int, Any]:
        known = self._history
        turned, periods = self._run("history", known[0])
        if periods is not None:
            with _rejecting_foreign_data():
                history = {int(start): self._period(*contents) for start, *contents in periods}
            known = self._history = turned, history
        return known[1]

    def summarize(self, start: int, summary: Any) -> None:
        self._run("summarize", start, sealed(summary, self._history_secret))

    def free_expired(self) -> None:
        """Do so in the store and in this process, and check the server's configuration again."""
        self._state = NOTHING
        self._client().check_server()
        self._run("expire")

    def probe(self) -> None:
        self._client().check_server()
        self._run("probe")

    def _next_state(self, known: State, answer: Any) -> State | None:
        """Return the state after the latest change; the store sends only what has changed.

        Return None if what is known is of no use, because the store was emptied and its clock is
        behind.
        """
        change, values, cohorts = answer
        if change < known.change and known is not NOTHING:
            return None
        latest = known.values if values is None else self._values(values)
        latest_cohorts = {
            expiry: known.cohorts[expiry] if codes is None else _cohorts(expiry, codes)
            for expiry, codes in cohorts
        }
        tally = _tally(latest, latest_cohorts.values())
        if latest is known.values and tally.values.keys() == known.tally.values.keys():
            tally = replace(tally, values=known.tally.values)
        return State(change, latest, latest_cohorts, tally)

    def _period(self, summary: bytes | None, tally: Any) -> Any:
        """Return what is kept of a past period."""
        if summary is not None:
            return unsealed(summary, self._history_secret)
        values, cohorts = tally
        return _tally(self._values(values), [_cohorts(expiry, codes) for expiry, codes in cohorts])

    def _values(self, flat: list[bytes]) -> dict[bytes, Any]:
        """Return the values by id; `flat` has ids and sealed values in turn."""
        pairs = zip(flat[::2], flat[1::2], strict=True)
        return NONE | {name: unsealed(content, self._secret) for name, content in pairs}

    def _put(self, how: str, digest: bytes, expiry: float | None, value: bytes = b"") -> bool:
        answer = self._run(
            "put", how, digest, _name(expiry), value, self.max_entries, self.max_values
        )
        self._raise_refusal(answer)
        return bool(answer)

    def _raise_refusal(self, answer: Any) -> None:
        if answer == b"CacheFull":
            raise CacheFull(f"{self.max_entries} keys are live")
        if answer == b"TooManyValues":
            raise TooManyValues(f"{self.max_values} distinct values are live")

    def _delete_elsewhere(self, key: Any, sections: Iterable[bytes]) -> None:
        """Delete a key in sections that the store has, but that were not named.

        Other processes have another table of questions, or had one. From now on, these sections are
        part of each call.
        """
        for name in map(bytes.decode, sections):
            self._others.add(name)
            self.section(name).delete(key)

    def _digest(self, key: Any, version: int | None) -> bytes:
        """Return the digest that stands for a key."""
        raw = self.make_and_validate_key(key, version=version).encode("utf-8", "surrogatepass")
        return blake2b(raw, digest_size=DIGEST_SIZE, key=self._secret).digest()

    def _sealed(self, value: Any) -> bytes:
        return b"" if value is None else sealed(value, self._secret)

    def _unsealed(self, content: bytes) -> Any:
        with _rejecting_foreign_data():
            return unsealed(content, self._secret) if content else None

    def _run(self, operation: str, *arguments: Any) -> Any:
        return self._run_all(operation, (), *arguments)

    def _run_all(self, operation: str, sections: Iterable[Self], *arguments: Any) -> Any:
        prefixes = [self.prefix, *(each.prefix for each in sections)]
        now = repr(time.time())
        return self._client().run(
            prefixes, operation, now, self.granularity, self.periods, *arguments
        )

    def _forget_copies(self) -> None:
        self._state = NOTHING  # replaced as a whole, because threads share it
        self._history = (b"", {})
        self._sections = {}
        self._others = set()

    def _client(self) -> Client:
        return client(self.url, self.unchecked)


def _present(number: Any) -> Any:
    """Return a number from the store.

    Raise Unavailable if it is missing: the clock of the store is then so far ahead that the number
    expired as soon as it was set.
    """
    if number is None:
        raise Unavailable("The clock of the store is far ahead of ours.")
    return number


def _finite(text: bytes) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError("not a moment")
    return number


def _name(expiry: float | None) -> str:
    """Return the name of an expiry in the store: the same for equal expiries."""
    if expiry is None:
        return "inf"
    return str(int(expiry)) if expiry == int(expiry) else repr(expiry)


def _tally(values: Mapping[bytes, Any], cohorts_of_expiries: Iterable[list[Cohort]]) -> Tally:
    cohorts = tuple(chain.from_iterable(cohorts_of_expiries))
    counts: dict[bytes, int] = {}
    for cohort in cohorts:
        for name, count in cohort.counts.items():
            counts[name] = counts.get(name, 0) + count
    return Tally({name: values[name] for name in counts}, counts, cohorts)


def _cohorts(name: bytes, codes: bytes) -> list[Cohort]:
    """Return the cohorts of an expiry; `codes` has codes and numbers of live keys in turn."""
    expiry = None if name == b"inf" else _finite(name)
    numbers = codes.split()
    counts: tuple[dict[bytes, int], ...] = ({}, {})
    for code, count in zip(map(int, numbers[::2]), map(int, numbers[1::2]), strict=True):
        counts[code % 2][b"%d" % (code // 2)] = count
    return [
        Cohort(expiry, bool(renewed), sum(counts[renewed].values()), counts[renewed])
        for renewed in (0, 1)
        if counts[renewed]
    ]
