import gc
from types import FunctionType, ModuleType
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given

from collector.cache import memory
from collector.cache.memory import MemoryCache
from tests.unit.cache.contract import CALLS, NOW
from tests.unit.cache.model import OPTIONS, STEPS, assert_agree
from tests.unit.cache.tally_contract import DAY, MIDNIGHT, TallyContract, rows_of

LOCKED_CALLS = CALLS | {
    "clear": lambda cache, key: cache.clear(),
    "tally": lambda cache, key: cache.tally(),
    "changes": lambda cache, key: cache.changes(),
    "history": lambda cache, key: cache.history(),
    "summarize": lambda cache, key: cache.summarize(0, "summary"),
    "free_expired": lambda cache, key: cache.free_expired(),
    "put_all": lambda cache, key: cache.put_all(key, 1, {}),
    "delete_all": lambda cache, key: cache.delete_all(key, []),
    "tallies": lambda cache, key: cache.tallies([]),
}


class Witness:
    """A value that records whether the lock was held while it was pickled or unpickled."""

    lock: Any
    locked: list[bool]

    def __reduce__(self):
        self.locked.append(self.lock.locked())
        return (unpickled_witness, ())


def unpickled_witness() -> str:
    Witness.locked.append(Witness.lock.locked())
    return "value"


def reachable(thing: Any) -> list[Any]:
    """Everything that can be reached from an object, except code."""
    seen, waiting = {}, [thing]
    while waiting:
        if id(here := waiting.pop()) not in seen:
            seen[id(here)] = here
            if not isinstance(here, (type, FunctionType, ModuleType)):
                waiting += gc.get_referents(here)
    return list(seen.values())


class TestMemoryCache(TallyContract):
    backend = "collector.cache.memory.MemoryCache"

    @pytest.fixture(autouse=True)
    def empty(self, monkeypatch):
        """The tests share no contents."""
        monkeypatch.setattr(memory, "_contents", {})

    @pytest.fixture
    def contents(self, cache):
        return cache._contents

    # Privacy

    def test_no_key_is_kept(self, cache, contents):
        cache.set("fdb45536-cba8-4204-b352-71fc1062fd95", "a value")
        text = repr([thing for thing in reachable(contents) if isinstance(thing, (str, bytes))])
        assert "a value" in text
        assert "fdb45536" not in text

    def test_the_digests_of_two_locations_differ(self, contents):
        assert contents.digest("a") != self.make(self.other_location)._contents.digest("a")

    def test_clear_forgets_the_secret_of_the_digests(self, cache, contents):
        before = contents.digest("a")
        cache.clear()
        assert contents.digest("a") != before

    # Memory

    def test_keys_with_the_same_value_and_expiry_share_one_object(self, contents):
        daily = self.daily()
        daily.set_many({n: {"app": "x" * 1000} for n in range(100)}, 7 * DAY)
        assert len({id(group) for group in daily._contents.keys.values()}) == 1
        assert len(daily._contents.cohorts) == 1

    def test_a_tally_copies_only_the_cohorts_that_changed(self, cache):
        cache.set("a", "red", 10)
        cache.set("b", "red", 20)
        one, two = cache.tally(), cache.tally()
        assert all(map(lambda a, b: a is b, one.cohorts, two.cohorts))
        cache.set("c", "red", 20)
        same = [a is b for a, b in zip(one.cohorts, cache.tally().cohorts, strict=True)]
        assert same == [True, False]

    def test_free_expired_frees_all_that_expired(self, cache, contents, clock):
        cache.set_many({"a": "red", "b": "blue", "c": None}, 10)
        cache.set_many(dict.fromkeys(range(9), "green"), 20)
        clock.shift(10)
        cache.free_expired()
        assert len(contents.keys) == 9
        clock.shift(10)
        cache.free_expired()
        assert not any(
            (contents.keys, contents.cohorts, contents.expiries, contents.counts, contents.values)
        )

    def test_at_most_a_third_of_the_keys_in_memory_have_expired(self, cache, contents, clock):
        for n in range(100):
            cache.set(n, "red", 1 + n)
        for _ in range(100):
            clock.shift(1)
            live = cache.tally().size
            assert len(contents.keys) - live <= len(contents.keys) / 3

    def test_keys_that_move_leave_nothing_behind(self, cache, contents):
        for n in range(1000):
            cache.set("a", n, n + 1)
            cache.set("b", n)
            cache.delete("b")
        assert len(contents.expiries) < 20
        kept = (contents.keys, contents.cohorts, contents.counts, contents.values)
        assert [len(each) for each in kept] == [1] * 4

    def test_keys_are_found_after_the_clock_went_back_twice(self, clock):
        daily = self.daily()
        for day in range(5):
            daily.set_many({f"day{day}": "red", f"other{day}": "red"}, 7 * DAY)
            clock.shift(DAY)
        clock.shift(-3 * DAY)
        daily.set("late", "red", 7 * DAY)
        clock.shift(-2 * DAY)
        names = ["day0", "day1", "day4", "other4", "late"]
        assert daily.get_many(names) == dict.fromkeys(names, "red")
        assert daily.delete("other4") is True
        assert rows_of(daily.tally()) == [("red", MIDNIGHT + 7 * DAY, False, 10)]

    def test_without_a_granularity_since_follows_a_clock_that_goes_back(self, cache, clock):
        clock.shift(-10)
        assert cache.since == NOW - 10

    def stored_order(self, section, keys):
        """The keys in the order in which the memory has their digests."""
        contents = section._contents
        names = {contents.digest(section.make_key(key)): key for key in keys}
        return [names[digest] for digest in contents.keys]

    # The lock

    @pytest.mark.parametrize("call", LOCKED_CALLS.values(), ids=LOCKED_CALLS)
    def test_every_method_takes_the_lock(self, cache, contents, call, monkeypatch):
        monkeypatch.setattr(contents, "lock", MagicMock())
        call(cache, "key")
        assert contents.lock.__enter__.called

    def test_no_value_is_pickled_or_unpickled_under_the_lock(self, clock, monkeypatch):
        daily = self.daily()
        monkeypatch.setattr(Witness, "lock", daily._contents.lock, raising=False)
        monkeypatch.setattr(Witness, "locked", [], raising=False)
        daily.set("set", Witness())
        daily.add("add", Witness())
        daily.put_all("all", Witness(), {"one": Witness()})
        assert daily.get("add") == "value"
        daily.tally()
        clock.shift(DAY)
        daily.history()
        assert Witness.locked == [False] * 6


@given(steps=STEPS, options=OPTIONS)
def test_memory_cache_agrees_with_a_dictionary_at_each_step(steps, options):
    assert_agree(MemoryCache("model", {"OPTIONS": options}), steps, options)
