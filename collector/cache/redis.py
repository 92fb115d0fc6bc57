"""A cache backend in Redis or Valkey, for any number of processes, with a tally of its live values.

Every operation is one run of `store.lua`, and so one round trip. These keys share a prefix:

- `records:{expiry}`: the code of each key, by its digest. The server drops it at the expiry.
- `tally:{expiry}`: the number of live keys by code. It outlives the records, so that the closing
  tally of a period is exact whoever comes first in the next one.
- `live`: the expiries. `changed`: for each, the number of the change that changed its tally last.
- `ids` and `values`: the id of each distinct value, and back. `counts`: the live keys by id.
- `closed`: the past periods. `closed:{start}`: the tally of one, until it has a `summary:{start}`.
- `meta`: when counting began, the period, and the number of changes.

Every key has an expiry, so nothing stays when nobody uses the store any more.
"""

import math
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.utils.encoding import force_bytes

from collector.cache.base import CacheFull, TallyCache, Timeout, TooManyValues, Unavailable
from collector.cache.connection import StoreClient, store_client
from collector.cache.serialization import sealed, unsealed
from collector.cache.server_requirements import ServerRequirement
from collector.cache.tally import Cohort, Tally
from collector.fingerprint import fingerprint

# Redis keeps a string of up to 14 bytes in 16 bytes, and one of 15 in 24. Among a million keys, two
# digests of 112 bits are equal with a probability of 1e-22.
DIGEST_SIZE = 14
NONE = b"0"  # the id of the value None, which is not kept among the values


class Known(NamedTuple):
    """What a client knows of the tally, so that the store sends only what has changed since."""

    changes: int = 0
    values: Mapping[bytes, tuple[bytes, Any]] = {}  # by id, sealed and not
    cohorts: Mapping[bytes, tuple[Cohort, ...]] = {}  # by expiry


@contextmanager
def _rejecting_foreign_data() -> Iterator[None]:
    """Raise Unavailable if the store holds what we did not write, since others may write to it."""
    try:
        yield
    except (KeyError, ValueError, OverflowError) as error:
        raise Unavailable("The store holds data that Headcount did not write.") from error


class RedisCache(TallyCache):
    """Keeps keys in the server whose URL is LOCATION.

    Digests and values are made with a secret that is derived from SECRET_KEY. The names of all keys
    depend on that secret, on the code, and on TIMEOUT, GRANULARITY and HISTORY: if any of these is
    different, counting starts from zero.

    OPTIONS may also have UNCHECKED: accept a server whose configuration cannot be read.
    """

    shared = True
    known_options = TallyCache.known_options | {"UNCHECKED"}

    def __init__(self, url: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.url = url
        self.unchecked = bool(params.get("OPTIONS", {}).get("UNCHECKED"))
        self._secret = blake2b(force_bytes(settings.SECRET_KEY), person=b"headcount").digest()
        self._summary_secret = blake2b(self._secret, person=b"history").digest()
        options = f"{self.default_timeout} {self.granularity} {self.periods}".encode()
        name = blake2b(options, digest_size=4, key=self._secret).hexdigest()
        self.prefix = f"headcount:{{{fingerprint()}:{name}}}:"
        self._known = Known()
        self._history: tuple[bytes, Mapping[int, Any]] = (b"", {})

    @classmethod
    def unmet_requirements(cls, entry: Mapping[str, Any]) -> list[ServerRequirement]:
        unchecked = bool(entry.get("OPTIONS", {}).get("UNCHECKED"))
        return store_client(entry["LOCATION"], unchecked).unmet_requirements()

    @property
    @_rejecting_foreign_data()
    def since(self) -> float:
        return _finite(self._meta("since"))

    def add(
        self, key: Any, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        digest = self._digest(key, version)
        return self._put("add", digest, self.get_backend_timeout(timeout), self._seal(value))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        answer = self._run("get", self._digest(key, version))
        return self._unseal(answer[0]) if answer else default

    def put(
        self, key: Any, value: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> float | None:
        digest = self._digest(key, version)
        expiry = self.get_backend_timeout(timeout)
        self._put("set", digest, expiry, self._seal(value))
        return expiry

    def touch(
        self, key: Any, timeout: Timeout = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        digest = self._digest(key, version)
        return self._put("touch", digest, self.get_backend_timeout(timeout))

    def has_key(self, key: Any, version: int | None = None) -> bool:
        return bool(self._run("get", self._digest(key, version)))

    def delete(self, key: Any, version: int | None = None) -> bool:
        return bool(self._run("delete", self._digest(key, version)))

    def clear(self) -> None:
        """Forget everything of this cache, and nothing else that the server holds."""
        self._run("clear")

    @_rejecting_foreign_data()
    def tally(self) -> Tally:
        known = self._known
        changes, sealed_values, counts, expiries = self._run("tally", known.changes)
        if int(changes) < known.changes:  # a replica that lagged behind has become the primary
            known = Known()
            changes, sealed_values, counts, expiries = self._run("tally", known.changes)
        known = Known(
            int(changes),
            known.values if sealed_values is None else self._learn(sealed_values, known.values),
            {
                expiry: known.cohorts[expiry] if codes is None else _cohorts(expiry, _pairs(codes))
                for expiry, codes in expiries
            },
        )
        self._known = known
        values = {name: value for name, (_, value) in known.values.items()}
        cohorts = tuple(cohort for cohorts in known.cohorts.values() for cohort in cohorts)
        return _tally(values, {name: int(count) for name, count in _pairs(counts)}, cohorts)

    @_rejecting_foreign_data()
    def changes(self) -> int:
        return int(self._meta("changes"))

    @_rejecting_foreign_data()
    def history(self) -> Mapping[int, Any]:
        changed, days = self._run("history", self._history[0])
        if days is not None:
            history = {int(day): self._past_period(*rest) for day, *rest in days}
            self._history = changed, history
        return self._history[1]

    def summarize(self, start: int, summary: Any) -> None:
        self._run("summarize", start, sealed(summary, self._summary_secret))

    def free_expired(self) -> None:
        """Close the period that is over, and check the server's configuration.

        The server itself drops expired keys. This process drops the values that it knows: some may
        have been forgotten meanwhile.
        """
        self._known = Known()
        self._client().check()
        self._run("update")

    def probe(self) -> None:
        self._client().check()
        self._run("probe")

    def _past_period(self, summary: bytes | None, tally: list[bytes] | None) -> Any:
        if summary is not None:
            return unsealed(summary, self._summary_secret)
        fields = dict(_pairs(tally or []))
        codes: dict[bytes, list[tuple[bytes, bytes]]] = {}
        values = {}
        for field, content in fields.items():
            expiry, separator, code = field.rpartition(b"|")
            if separator:
                codes.setdefault(expiry, []).append((code, content))
            else:
                values[field] = self._unseal(content)
        cohorts = [cohort for expiry in codes for cohort in _cohorts(expiry, codes[expiry])]
        counts: dict[bytes, int] = {}
        for cohort in cohorts:
            for name, count in cohort.counts.items():
                counts[name] = counts.get(name, 0) + count
        return _tally(values, counts, tuple(cohorts))

    def _learn(
        self, values: list[bytes], known: Mapping[bytes, tuple[bytes, Any]]
    ) -> dict[bytes, tuple[bytes, Any]]:
        """Return the values by id, and unseal only those that are new."""
        learnt = {}
        for name, content in _pairs(values):
            old = known.get(name)
            learnt[name] = old if old and old[0] == content else (content, self._unseal(content))
        return learnt

    def _meta(self, name: str) -> bytes:
        answer: bytes | None = self._run(name)
        if answer is None:  # the server dropped at once what the script has just written
            raise Unavailable("The clock of the store is far ahead of this server's.")
        return answer

    def _put(self, how: str, digest: bytes, expiry: float | None, value: bytes = b"") -> bool:
        limits = (self.max_entries, self.max_values)
        answer = self._run("put", how, digest, _name(expiry), value, *limits)
        if answer == b"CacheFull":
            raise CacheFull(f"{self.max_entries} keys are live")
        if answer == b"TooManyValues":
            raise TooManyValues(f"{self.max_values} distinct values are live")
        return bool(answer)

    def _digest(self, key: Any, version: int | None) -> bytes:
        """Return the digest that stands for a key."""
        raw = self.make_and_validate_key(key, version=version).encode("utf-8", "surrogatepass")
        return blake2b(raw, digest_size=DIGEST_SIZE, key=self._secret).digest()

    def _seal(self, value: Any) -> bytes:
        return b"" if value is None else sealed(value, self._secret)

    @_rejecting_foreign_data()
    def _unseal(self, content: bytes) -> Any:
        return unsealed(content, self._secret) if content else None

    def _run(self, operation: str, *arguments: Any) -> Any:
        moment = repr(time.time())
        return self._client().run(
            self.prefix, operation, moment, self.granularity, self.periods, *arguments
        )

    def _client(self) -> StoreClient:
        return store_client(self.url, self.unchecked)


def _tally(
    values: Mapping[bytes, Any], counts: Mapping[bytes, int], cohorts: tuple[Cohort, ...]
) -> Tally:
    """Return a tally, with the name of None if any key has that value."""
    return Tally(values if NONE not in counts else {**values, NONE: None}, counts, cohorts)


def _cohorts(expiry: bytes, codes: Iterable[tuple[bytes, bytes]]) -> tuple[Cohort, ...]:
    """Return the cohorts of an expiry; see `count` in store.lua for the codes."""
    counts: tuple[dict[bytes, int], dict[bytes, int]] = ({}, {})
    for code, count in codes:
        name, renewed = divmod(int(code), 2)
        counts[renewed][b"%d" % name] = int(count)
    moment = None if expiry == b"inf" else _finite(expiry)
    return tuple(
        Cohort(moment, bool(renewed), sum(each.values()), each)
        for renewed, each in enumerate(counts)
        if each
    )


def _finite(number: bytes) -> float:
    if not math.isfinite(moment := float(number)):
        raise ValueError("not a moment")
    return moment


def _pairs(flat: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Return the pairs of what HGETALL answers as a flat list."""
    each = iter(flat)
    return zip(each, each, strict=True)


def _name(expiry: float | None) -> str:
    """Return the only name of an expiry, whether it is an int or a float."""
    if expiry is None:
        return "inf"
    return str(int(expiry)) if expiry == int(expiry) else repr(expiry)
