"""Tests of the memory backend: the contract of both backends, and how it forgets."""

from datetime import timedelta
from itertools import count

import pytest
from hypothesis import settings

from collector.cache import memory
from collector.cache.memory import MemoryCache
from tests.unit.cache.model import CONFIGURATION, DAY, RETENTION, Model


class Memory(Model):
    def make_cache(self):
        return MemoryCache("model", CONFIGURATION)


TestMemory = Memory.TestCase
TestMemory.settings = settings(stateful_step_count=40)


@pytest.fixture
def cache(clock):
    cache = MemoryCache("forgetful", {"TIMEOUT": RETENTION * DAY})
    cache.clear()
    return cache


def digests_of(cache):
    return {digest for shard in cache._contents.shards for digest in shard}


@pytest.mark.parametrize(("reports", "calls"), [(1, 1), (memory.SHARDS, 0)])
def test_expire_or_some_reports_free_the_memory_of_expired_keys(clock, cache, reports, calls):
    for number in range(500):
        cache.put(number, None)
    clock.shift(timedelta(days=RETENTION + 1))
    for _ in range(reports):
        cache.put("new", None)
    for _ in range(calls):
        cache.expire()
    assert len(digests_of(cache)) == len(cache._contents.groups) == 1
    assert len(cache._contents.cohorts) == 2


def test_no_digest_is_found_in_the_memory_of_another_process(clock, cache):
    cache.put("known", None)
    before = digests_of(cache)
    cache.clear()
    cache.put("known", None)
    assert before.isdisjoint(digests_of(cache))


def everything(thing):
    """Return all that an object holds, in the order in which it holds it."""
    if isinstance(thing, dict):
        return [(everything(key), everything(value)) for key, value in thing.items()]
    if isinstance(thing, (list, tuple)):
        return [everything(each) for each in thing]
    if isinstance(thing, memory.Group):
        return [thing.number, thing.value, thing.count]
    if isinstance(thing, (memory.Contents, memory.LiveCohort)):
        hidden = ("cache", "lock")
        return [
            (name, everything(each)) for name, each in vars(thing).items() if name not in hidden
        ]
    return repr(thing)


@pytest.mark.parametrize("pair", [("sso=true", "sso=false"), ("users=0-1", "database=other")])
def test_nothing_tells_who_gave_which_answer(clock, monkeypatch, pair):
    monkeypatch.setattr(memory.secrets, "token_bytes", bytes)

    def play(of_a, of_b):
        monkeypatch.setattr(memory, "_changes", count())
        clock.move_to("2026-03-10T12:00:00Z")
        cache = MemoryCache(f"{of_a}{of_b}", {"TIMEOUT": RETENTION * DAY})
        seen = []
        for _ in range(3):
            for key in "abcdefgh":
                cache.put(key, None, {"a": [of_a], "b": [of_b]}.get(key, []))
            seen.append(everything(cache._contents))
            clock.shift(timedelta(days=1))
        return seen

    assert play(*pair) == play(*reversed(pair))


@pytest.mark.parametrize("timeout", [None, 0, 60, -1, 2 * DAY])
def test_another_timeout_is_a_value_error(cache, timeout):
    with pytest.raises(ValueError, match="TIMEOUT, 259200 seconds"):
        cache.set("key", 1, timeout=timeout)


def test_the_rest_of_base_cache_works_with_versions(cache):
    cache.set("key", {"a": 1}, timeout=RETENTION * DAY)
    cache.set("key", 2, version=2)
    assert (cache.get("key"), cache.get("key", version=2)) == ({"a": 1}, 2)
    assert cache.get_many(["key", "none"]) == {"key": {"a": 1}}
    assert cache.incr("key", version=2) == 3
    assert cache.delete("key")
    assert "key" not in cache
    for method in (cache.touch, lambda key: cache.add(key, 1)):
        with pytest.raises(NotImplementedError):
            method("key")
    with pytest.raises(TypeError):
        cache.set("key", object())
