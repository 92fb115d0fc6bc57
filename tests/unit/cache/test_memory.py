import gc
from types import FunctionType, ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest

from tests.unit.cache.contract import CALLS
from tests.unit.cache.tally_contract import DAY, TallyContract

LOCKED_CALLS = CALLS | {
    "incr": lambda cache, key: cache.incr(key),
    "incr_version": lambda cache, key: cache.incr_version(key),
    "clear": lambda cache, key: cache.clear(),
    "tally": lambda cache, key: cache.tally(),
    "free_expired": lambda cache, key: cache.free_expired(),
}


class Witness:
    """Says whether the lock was held while it was pickled."""

    def __init__(self, lock):
        self.lock = lock

    def __reduce__(self):
        self.locked = self.lock.locked()
        return (str, ())


def memory_of(thing: Any) -> list[Any]:
    """Everything that can be reached from an object, but for code."""
    found, waiting = {}, [thing]
    while waiting:
        if id(here := waiting.pop()) not in found:
            found[id(here)] = here
            if not isinstance(here, (type, FunctionType, ModuleType)):
                waiting += gc.get_referents(here)
    return list(found.values())


class TestMemoryCache(TallyContract):
    backend = "collector.cache.memory.MemoryCache"

    @pytest.fixture
    def store(self, cache):
        return cache._store

    # What is kept of a key

    def test_the_key_is_not_kept(self, cache, store):
        cache.set("fdb45536-cba8-4204-b352-71fc1062fd95", "a value")
        memory = repr([thing for thing in memory_of(store) if isinstance(thing, (str, bytes))])
        assert "a value" in memory
        assert "fdb45536" not in memory

    def test_the_digests_of_two_locations_do_not_match(self, store):
        other = self.make(self.other_location)._store
        assert store.digest("a") != other.digest("a")

    def test_the_secret_of_the_digests_dies_with_clear(self, cache, store):
        before = store.digest("a")
        cache.clear()
        assert store.digest("a") != before

    # How little is kept

    def test_keys_share_one_copy_of_a_value(self, cache, store):
        cache.set("a", "x" * 1000)
        cache.set("b", "x" * 999 + "x")
        assert len({id(group) for group in store.keys.values()}) == 1

    def test_a_day_of_reports_is_one_group(self, store):
        daily = self.make(OPTIONS={"GRANULARITY": DAY})
        daily.set_many({n: {"app": "1.0"} for n in range(100)}, 7 * DAY)
        assert len(daily.tally()) == len(store.groups) == 1

    def test_free_expired_frees_everything(self, cache, store, clock):
        cache.set_many({"a": "red", "b": "blue", "c": None}, 10)
        clock.shift(10)
        cache.free_expired()
        assert not any((store.keys, store.groups, store.expiries, store.values, store.live))

    def test_free_expired_frees_what_little_has_expired(self, cache, store, clock):
        cache.set_many(dict.fromkeys(range(9), "red"), 20)
        cache.set("ten", "red", 10)
        clock.shift(10)
        cache.free_expired()
        assert len(store.keys) == 9

    def test_expired_keys_are_never_more_than_a_third(self, cache, store, clock):
        for n in range(100):
            cache.set(n, "red", 1 + n)
        for _ in range(100):
            clock.shift(1)
            live = sum(row.size for row in cache.tally())
            assert len(store.keys) - live <= len(store.keys) / 3

    def test_moving_keys_about_leaves_nothing_behind(self, cache, store):
        for n in range(1000):
            cache.set("a", n, n + 1)
            cache.set("b", n)
            cache.delete("b")
        assert len(store.expiries) < 20
        assert len(store.groups) == len(store.values) == len(store.keys) == 1

    # The lock

    @pytest.mark.parametrize("call", LOCKED_CALLS.values(), ids=LOCKED_CALLS)
    def test_every_method_takes_the_lock(self, cache, store, call, monkeypatch):
        cache.set("key", 1)
        monkeypatch.setattr(store, "lock", MagicMock())
        call(cache, "key")
        assert store.lock.__enter__.called

    @pytest.mark.parametrize("method", ["set", "add"])
    def test_values_are_pickled_before_the_lock_is_taken(self, cache, store, method):
        witness = Witness(store.lock)
        getattr(cache, method)("key", witness)
        assert witness.locked is False
