"""A cache backend in Redis or Valkey, for any number of processes, with a tally of its live values.

Every operation is one run of `store.lua`: one round trip, whole or not at all. Under a prefix:

- `records:{expiry}`, digest of a key -> code; `tally:{expiry}`, code -> live keys. The server drops
  both at their expiry, at the same moment and without being asked.
- `live`, the expiries; `ids` and `values`, from a value to its id and back.
- `counts`, `ends`: the tally summed up by value, and by expiry and `renewed`. These outlive the
  period, so that its closing tally is exact whoever comes first in the next.
- `closed`, the periods that are over; `history:{start}`, what SUMMARY made of each. Until someone
  asked, `values:{start}`, `counts:{start}` and `ends:{start}`.
- `meta`: since when is counted, the period, how many are kept, the number of changes.

Every key has an expiry, so nothing stays when nobody comes any more.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any, NoReturn

from django.conf import settings
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.utils.encoding import force_bytes

from collector.cache.base import (
    OPTIONS,
    CacheFull,
    Choice,
    Row,
    TallyCache,
    TooManyValues,
    Totals,
    Unavailable,
)
from collector.cache.connection import Client, client
from collector.cache.serialization import sealed, unsealed
from collector.cache.server_requirements import ServerRequirement
from collector.fingerprint import fingerprint

# Redis keeps a text of up to 14 bytes in 16, one of 15 in 24; 112 bits of a keyed digest are far
# beyond chance.
DIGEST_SIZE = 14
Names = tuple[bytes, dict[bytes, bytes]]  # the number of the change that made them, and values


@contextmanager
def _ours() -> Iterator[None]:
    """Whoever may write to the store can write what we did not: then its numbers are none."""
    try:
        yield
    except (ValueError, OverflowError) as error:
        raise Unavailable("The store holds what is not ours.") from error


class RedisCache(TallyCache):
    """Keeps keys in the server whose URL is LOCATION.

    Digests and values are made with a secret derived from SECRET_KEY. The keys of the server carry
    a name of that secret and of this code: with another of either, everything starts from zero.

    - UNCHECKED, of OPTIONS: take a server whose configuration cannot be read; see demands.py.
    """

    shared = True
    options = OPTIONS | {"UNCHECKED"}

    def __init__(self, url: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self.url = url
        self.unchecked = bool(params.get("OPTIONS", {}).get("UNCHECKED"))
        self._secret = blake2b(force_bytes(settings.SECRET_KEY), person=b"headcount").digest()
        self._history_secret = blake2b(self._secret, person=b"history").digest()
        whose = blake2b(b"name", digest_size=4, key=self._secret).hexdigest()
        self.prefix = f"headcount:{{{fingerprint()}:{whose}}}:"
        self._named: Names = (b"", {})
        self._loaded: dict[bytes, Any] = {}
        self._told: tuple[bytes, dict[int, Any]] = (b"", {})

    @classmethod
    def unmet(cls, entry: Mapping[str, Any]) -> list[ServerRequirement]:
        unchecked = bool(entry.get("OPTIONS", {}).get("UNCHECKED"))
        return client(entry["LOCATION"], unchecked).unmet()

    @property
    @_ours()
    def since(self) -> float:
        return _finite(self._number("since"))

    def add(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        """Set a value unless the key is live; whether it was set. Raises as `put` does."""
        digest = self._digest(key, version)
        return self._put("add", digest, self.get_backend_timeout(timeout), self._sealed(value))

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        """The value of a live key, a copy of its own, or `default`."""
        found = self._run("get", self._digest(key, version))
        return self._unsealed(found[1]) if found else default

    def put(
        self,
        key: Any,
        value: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> float | None:
        digest = self._digest(key, version)
        expiry = self.get_backend_timeout(timeout)
        self._put("set", digest, expiry, self._sealed(value))
        return expiry

    def touch(
        self,
        key: Any,
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
    ) -> bool:
        """Change a live key's expiry; whether it was live. `renewed` stays as it is."""
        digest = self._digest(key, version)
        return self._put("touch", digest, self.get_backend_timeout(timeout))

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to a live key's value and return the sum; ValueError if the key is not live."""
        digest = self._digest(key, version)
        while found := self._run("get", digest):
            code, content = found
            total: int = self._unsealed(content) + delta
            if self._put("swap", digest, None, self._sealed(total), code):
                return total
        raise ValueError(f"Key {key!r} not found")

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Move a live key to another version, and return that; ValueError if it is not live.

        Needs no room, and the expiry stays as it is.
        """
        if version is None:
            version = self.version
        digests = [self._digest(key, each) for each in (version, version + delta)]
        if not self._run("rename", *digests):
            raise ValueError(f"Key {key!r} not found")
        return version + delta

    def has_key(self, key: Any, version: int | None = None) -> bool:
        """Whether the key is live."""
        return bool(self._run("get", self._digest(key, version)))

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Forget a key; whether it was live."""
        return bool(self._run("delete", self._digest(key, version)))

    def clear(self) -> None:
        """Forget everything of ours, and nothing else that the server keeps."""
        self._run("clear")

    @_ours()
    def tally(self) -> list[Row]:
        known = self._named
        named, unknown, rows = self._run("tally", known[0])
        values = self._learn(known, named, unknown)
        loaded = {name: self._unsealed(value) for name, value in values.items()}
        return [
            Row(loaded.get(b"%d" % (code // 2)), _expiry(expiry), bool(code % 2), size)
            for expiry, codes in rows
            for code, size in ((int(code), int(size)) for code, size in _pairs(codes))
        ]

    def totals(self, choose: Choice | None = None) -> Totals:
        if choose:
            return super().totals(choose)
        known = self._named
        named, unknown, counts, ends = self._run("totals", known[0])
        return self._totals(self._learn(known, named, unknown), counts, ends)

    @_ours()
    def changes(self) -> int:
        return int(self._number("changes"))

    @_ours()
    def history(self) -> dict[int, Any]:
        told = self._told
        turned, days = self._run("history", told[0])
        if days is not None:
            told = turned, {int(day): self._summary(day, *rest) for day, *rest in days}
            self._told = told
        return dict(told[1])

    def free_expired(self) -> None:
        """Set aside what is over, and look at the server's options, also when nobody asks.

        What this process knows of the values goes: some may have been forgotten meanwhile.
        """
        self._named, self._loaded = (b"", {}), {}
        self._client().look()
        self._run("expire")
        self.history()

    def probe(self) -> None:
        self._client().look()
        self._run("probe")

    def _number(self, what: str) -> Any:
        """One of those that are always there, unless the server found them expired at once."""
        told = self._run(what)
        if told is None:
            raise Unavailable("The clock of the store is far ahead of ours.")
        return told

    def _summary(self, day: bytes, made: bytes | None, sums: list[list[bytes]]) -> Any:
        """What SUMMARY made of a closing tally; if nobody has told it yet, it is made now."""
        if made is not None:
            return unsealed(made, self._history_secret)
        values, counts, ends = sums
        summary = self.summary(self._totals(dict(_pairs(values)), counts, ends), int(day))
        self._run("summed", day, sealed(summary, self._history_secret))
        return summary

    @_ours()
    def _totals(
        self, values: Mapping[bytes, bytes], counts: list[bytes], ends: list[bytes]
    ) -> Totals:
        self._loaded = {
            value: self._loaded[value] if value in self._loaded else self._unsealed(value)
            for value in values.values()
        }
        shared = {name: self._loaded[value] for name, value in values.items()}
        return Totals(
            [(shared.get(name), int(size)) for name, size in _pairs(counts)],
            [
                (_expiry(expiry), renewed == b"1", int(size))
                for end, size in _pairs(ends)
                for expiry, _, renewed in [end.partition(b"|")]
            ],
        )

    def _learn(self, known: Names, named: bytes, unknown: list[bytes] | None) -> dict[bytes, bytes]:
        """The live values by their ids, which are sent only if they are others than those known."""
        if unknown is not None:
            known = self._named = named, dict(_pairs(unknown))
        return known[1]

    def _put(
        self, how: str, digest: bytes, expiry: float | None, value: bytes = b"", seen: int = 0
    ) -> bool:
        limits = (self.max_entries, self.max_values)
        answer = self._run("put", how, digest, _name(expiry), value, *limits, seen)
        if isinstance(answer, bytes) and answer != b"changed":
            self._refuse(answer)
        return bool(answer == 1)

    def _refuse(self, refusal: bytes) -> NoReturn:
        if refusal == b"CacheFull":
            raise CacheFull(f"{self.max_entries} keys are live")
        raise TooManyValues(f"{self.max_values} distinct values are live")

    def _digest(self, key: Any, version: int | None) -> bytes:
        """What a key is kept as."""
        raw = self.make_and_validate_key(key, version=version).encode("utf-8", "surrogatepass")
        return blake2b(raw, digest_size=DIGEST_SIZE, key=self._secret).digest()

    def _sealed(self, value: Any) -> bytes:
        return b"" if value is None else sealed(value, self._secret)

    @_ours()
    def _unsealed(self, content: bytes) -> Any:
        return unsealed(content, self._secret) if content else None

    def _run(self, what: str, *arguments: Any) -> Any:
        command = (1, self.prefix, what, repr(time.time()), self.granularity, self.kept, *arguments)
        as_bytes = [each if isinstance(each, bytes) else str(each).encode() for each in command]
        return self._client().run(*as_bytes)

    def _client(self) -> Client:
        return client(self.url, self.unchecked)


def _finite(number: bytes) -> float:
    if not math.isfinite(found := float(number)):
        raise ValueError("no moment")
    return found


def _pairs(flat: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """What HGETALL answers, two and two."""
    each = iter(flat)
    return zip(each, each, strict=True)


def _name(expiry: float | None) -> str:
    """One name for one expiry, whole or not."""
    if expiry is None:
        return "inf"
    return str(int(expiry)) if expiry == int(expiry) else repr(expiry)


def _expiry(name: bytes) -> float | None:
    return None if name == b"inf" else _finite(name)
