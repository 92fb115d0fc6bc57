"""What BaseCache documents, written once: a backend inherits it and says its `backend`."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.core.cache.backends.base import BaseCache, CacheKeyWarning
from django.utils.module_loading import import_string

# Ahead of every real clock, so that a store which also keeps its own time expires nothing early.
NOON = datetime(2040, 5, 17, 12, tzinfo=UTC)
NOW = NOON.timestamp()

VALUES = [
    "text",
    "",
    "häuser 🏠",
    "line\nbreak\0",
    "\udc80",
    b"bytes\xff",
    0,
    -1,
    2**200,
    True,
    False,
    1.5,
    Decimal("1.10"),
    Fraction(1, 3),
    (1, "a", None),
    [1, [2, [3]]],
    {"a": {"b": [1]}},
    {1, 2},
    frozenset({"a"}),
    NOON,
    date(2040, 5, 17),
    timedelta(days=1),
    len,
    Decimal,
]
# Each method that takes a key, called with the key given.
CALLS = {
    "add": lambda cache, key: cache.add(key, 1),
    "get": lambda cache, key: cache.get(key),
    "set": lambda cache, key: cache.set(key, 1),
    "get_or_set": lambda cache, key: cache.get_or_set(key, 1),
    "touch": lambda cache, key: cache.touch(key),
    "delete": lambda cache, key: cache.delete(key),
    "has_key": lambda cache, key: cache.has_key(key),
    "in": lambda cache, key: key in cache,
    "get_many": lambda cache, key: cache.get_many([key]),
    "set_many": lambda cache, key: cache.set_many({key: 1}),
    "delete_many": lambda cache, key: cache.delete_many([key]),
}


def starred_key(key: str, key_prefix: str, version: int) -> str:
    return f"*{key_prefix}*{version}*{key}"


class PlainCacheContract:
    backend: str
    location = "here"
    other_location = "there"

    @pytest.fixture(autouse=True)
    def clock(self) -> Iterator[time_machine.Traveller]:
        with time_machine.travel(NOON, tick=False) as traveller:
            yield traveller

    @pytest.fixture
    def restless_threads(self) -> Iterator[None]:
        """Threads take turns in the middle of everything."""
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(before)

    @pytest.fixture
    def cache(self, clock: time_machine.Traveller) -> Iterator[Any]:
        self.make().clear()
        self.make(self.other_location).clear()
        yield self.make()
        self.make().clear()
        self.make(self.other_location).clear()

    def make(self, location: str | None = None, **params: Any) -> Any:
        """A backend object as an entry of CACHES would build it."""
        built = import_string(self.backend)(location or self.location, params)
        assert isinstance(built, BaseCache)
        return built

    # Set, get and add

    def test_it_works(self, cache):
        cache.set("colour", "red")
        assert cache.get("colour") == "red"

    def test_a_key_that_is_missing_gives_none_or_the_default(self, cache):
        assert cache.get("colour") is None
        assert cache.get("colour", "blue") == "blue"

    def test_set_returns_nothing_and_replaces(self, cache):
        cache.set("colour", "red")
        assert cache.set("colour", "blue") is None
        assert cache.get("colour") == "blue"

    def test_add_sets_a_new_key(self, cache):
        assert cache.add("colour", "red") is True
        assert cache.get("colour") == "red"

    def test_add_leaves_a_key_that_is_there(self, cache):
        cache.set("colour", "red")
        assert cache.add("colour", "blue") is False
        assert cache.get("colour") == "red"

    def test_add_leaves_the_expiry_of_a_key_that_is_there(self, cache, clock):
        cache.set("colour", "red", 10)
        cache.add("colour", "blue", 100)
        clock.shift(10)
        assert "colour" not in cache

    def test_add_replaces_an_expired_key(self, cache, clock):
        cache.set("colour", "red", 10)
        clock.shift(10)
        assert cache.add("colour", "blue") is True
        assert cache.get("colour") == "blue"

    def test_none_is_a_value(self, cache):
        cache.set("colour", None)
        assert cache.get("colour", "blue") is None
        assert cache.has_key("colour") is True
        assert cache.add("colour", "red") is False

    # Get or set

    def test_get_or_set_stores_the_value_of_a_missing_key(self, cache):
        assert cache.get_or_set("colour", "red") == "red"
        assert cache.get("colour") == "red"

    def test_get_or_set_calls_a_callable_and_stores_its_value(self, cache):
        assert cache.get_or_set("colour", lambda: "red") == "red"
        assert cache.get("colour") == "red"

    def test_get_or_set_leaves_a_key_that_is_there_and_calls_nothing(self, cache):
        cache.set("colour", "red")
        assert cache.get_or_set("colour", "blue") == "red"
        assert cache.get_or_set("colour", pytest.fail) == "red"

    def test_get_or_set_stores_none(self, cache):
        assert cache.get_or_set("colour", None) is None
        assert cache.get_or_set("colour", "blue") is None

    def test_get_or_set_takes_a_timeout_and_a_version(self, cache, clock):
        cache.get_or_set("colour", "red", 10, version=2)
        assert cache.get("colour", version=2) == "red"
        clock.shift(10)
        assert cache.get("colour", version=2) is None

    # Touch and delete

    def test_touch_puts_the_expiry_off_and_leaves_the_value(self, cache, clock):
        cache.set("colour", "red", 10)
        assert cache.touch("colour", 20) is True
        clock.shift(19)
        assert cache.get("colour") == "red"
        clock.shift(1)
        assert cache.get("colour") is None

    def test_touch_brings_the_expiry_forward(self, cache, clock):
        cache.set("colour", "red", 20)
        cache.touch("colour", 10)
        clock.shift(10)
        assert "colour" not in cache

    def test_touch_without_a_timeout_takes_the_default(self, cache, clock):
        cache.set("colour", "red", None)
        cache.touch("colour")
        clock.shift(300)
        assert "colour" not in cache

    def test_touch_with_none_keeps_the_key_for_ever(self, cache, clock):
        cache.set("colour", "red", 10)
        cache.touch("colour", None)
        clock.shift(timedelta(days=36500))
        assert cache.get("colour") == "red"

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_touch_with_no_time_left_expires_the_key(self, cache, timeout):
        cache.set("colour", "red")
        assert cache.touch("colour", timeout) is True
        assert "colour" not in cache

    def test_touch_tells_that_a_key_is_missing(self, cache):
        assert cache.touch("colour") is False
        assert "colour" not in cache

    def test_touch_does_not_revive_an_expired_key(self, cache, clock):
        cache.set("colour", "red", 10)
        clock.shift(10)
        assert cache.touch("colour", 100) is False
        assert "colour" not in cache

    def test_delete_forgets_one_key(self, cache):
        cache.set_many({"colour": "red", "shape": "round"})
        assert cache.delete("colour") is True
        assert cache.get("colour") is None
        assert cache.get("shape") == "round"

    def test_delete_tells_that_a_key_is_missing(self, cache):
        assert cache.delete("colour") is False

    def test_a_deleted_key_can_be_set_again(self, cache):
        cache.set("colour", "red")
        cache.delete("colour")
        assert cache.add("colour", "blue") is True
        assert cache.get("colour") == "blue"

    def test_has_key_and_in(self, cache):
        cache.set("colour", "red")
        assert cache.has_key("colour") is True
        assert cache.has_key("shape") is False
        assert "colour" in cache
        assert "shape" not in cache

    # Increment

    def test_incr_adds_and_returns_the_sum(self, cache):
        cache.set("n", 41)
        assert cache.incr("n") == 42
        assert cache.incr("n", 10) == 52
        assert cache.incr("n", -60) == -8
        assert cache.get("n") == -8

    def test_decr_subtracts_and_returns_the_difference(self, cache):
        cache.set("n", 41)
        assert cache.decr("n") == 40
        assert cache.decr("n", 10) == 30
        assert cache.decr("n", -10) == 40
        assert cache.get("n") == 40

    def test_incr_of_a_number_beyond_64_bits(self, cache):
        cache.set("n", 2**64)
        assert cache.incr("n") == 2**64 + 1
        assert cache.get("n") == 2**64 + 1

    @pytest.mark.parametrize("method", ["incr", "decr"])
    def test_incr_and_decr_of_a_missing_key_are_errors(self, cache, method):
        with pytest.raises(ValueError, match="not found"):
            getattr(cache, method)("n")
        assert "n" not in cache

    def test_incr_of_an_expired_key_is_an_error(self, cache, clock):
        cache.set("n", 1, 10)
        clock.shift(10)
        with pytest.raises(ValueError, match="not found"):
            cache.incr("n")

    def test_incr_of_what_is_no_number_is_an_error_and_changes_nothing(self, cache):
        cache.set("n", "one")
        with pytest.raises(TypeError):
            cache.incr("n")
        assert cache.get("n") == "one"

    def test_incr_leaves_the_expiry(self, cache, clock):
        cache.set("n", 1, 1000)
        cache.incr("n")
        clock.shift(999)
        assert cache.get("n") == 2
        clock.shift(1)
        assert cache.get("n") is None

    # Many

    def test_get_many_leaves_out_what_is_missing(self, cache):
        cache.set_many({"a": 1, "b": None})
        assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": None}
        assert cache.get_many(iter("ab")) == {"a": 1, "b": None}
        assert cache.get_many([]) == {}

    def test_set_many_returns_an_empty_list(self, cache):
        assert cache.set_many({"a": 1, "b": 2}) == []
        assert cache.set_many({}) == []
        assert (cache.get("a"), cache.get("b")) == (1, 2)

    def test_set_many_takes_a_timeout_and_a_version(self, cache, clock):
        cache.set_many({"a": 1, "b": 2}, 10, version=2)
        assert cache.get_many("ab", version=2) == {"a": 1, "b": 2}
        clock.shift(10)
        assert cache.get_many("ab", version=2) == {}

    def test_delete_many_forgets_those_keys(self, cache):
        cache.set_many({"a": 1, "b": 2, "c": 3})
        assert cache.delete_many(iter(["a", "b", "missing"])) is None
        assert cache.get_many("abc") == {"c": 3}

    def test_clear_forgets_every_key(self, cache):
        cache.set_many({"a": 1, "b": 2})
        cache.set("a", 3, version=2)
        assert cache.clear() is None
        assert cache.get_many("ab") == {}
        assert cache.get("a", version=2) is None

    # Versions, prefixes and key functions

    def test_versions_are_apart(self, cache):
        cache.set("colour", "red")
        cache.set("colour", "blue", version=2)
        assert cache.get("colour", version=1) == "red"
        assert cache.get("colour", version=2) == "blue"
        assert cache.has_key("colour", version=3) is False

    def test_every_method_takes_a_version(self, cache):
        assert cache.add("n", 1, version=2) is True
        assert cache.incr("n", version=2) == 2
        assert cache.decr("n", 5, version=2) == -3
        assert cache.touch("n", version=2) is True
        assert cache.touch("n") is False
        assert cache.delete("n") is False
        assert cache.delete("n", version=2) is True

    def test_a_version_of_its_own(self, cache):
        second = self.make(VERSION=2)
        second.set("colour", "blue")
        assert cache.get("colour") is None
        assert cache.get("colour", version=2) == "blue"
        assert second.get("colour") == "blue"

    def test_incr_version_moves_the_key(self, cache):
        cache.set("colour", "red")
        assert cache.incr_version("colour") == 2
        assert cache.get("colour") is None
        assert cache.get("colour", version=2) == "red"
        assert cache.incr_version("colour", 3, version=2) == 5
        assert cache.get("colour", version=5) == "red"

    def test_decr_version_moves_the_key(self, cache):
        cache.set("colour", None, version=2)
        assert cache.decr_version("colour", version=2) == 1
        assert "colour" in cache
        assert cache.has_key("colour", version=2) is False

    @pytest.mark.parametrize("method", ["incr_version", "decr_version"])
    def test_a_missing_key_has_no_version_to_move(self, cache, method):
        with pytest.raises(ValueError, match="not found"):
            getattr(cache, method)("colour")

    def test_prefixes_are_apart(self, cache):
        prefixed = self.make(KEY_PREFIX="mine")
        cache.set("colour", "red")
        prefixed.set("colour", "blue")
        assert cache.get("colour") == "red"
        assert prefixed.get("colour") == "blue"

    @pytest.mark.parametrize("function", [starred_key, f"{__name__}.starred_key"])
    def test_a_key_function_makes_the_keys(self, cache, function):
        starred = self.make(KEY_FUNCTION=function, KEY_PREFIX="p")
        plain = self.make(KEY_FUNCTION=lambda key, key_prefix, version: key)
        starred.set("colour", "red")
        assert plain.get("*p*1*colour") == "red"
        assert cache.get("colour") is None

    def test_a_key_that_is_no_string_is_its_text(self, cache):
        cache.set(1, "one")
        assert cache.get("1") == "one"

    @pytest.mark.parametrize("key", ["häuser", "🏠", "a:b", "1", "\udc80"])
    def test_keys_of_any_characters(self, cache, key):
        cache.set(key, "red")
        assert cache.get_many([key, key + key]) == {key: "red"}

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    @pytest.mark.parametrize("key", ["two words", "tab\t", "delete\x7f"])
    def test_a_key_with_blanks_draws_a_warning(self, cache, call, key):
        with pytest.warns(CacheKeyWarning, match="characters that will cause errors"):
            call(cache, key)

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    def test_a_long_key_draws_a_warning(self, cache, call):
        call(cache, "k" * 247)  # ":1:" comes before it
        with pytest.warns(CacheKeyWarning, match="longer than 250"):
            call(cache, "k" * 248)

    def test_a_key_that_draws_a_warning_works(self, cache):
        with pytest.warns(CacheKeyWarning):
            cache.set("two words", 1)
        with pytest.warns(CacheKeyWarning):
            assert cache.incr("two words") == 2

    # Timeouts

    def test_a_key_lives_until_its_timeout(self, cache, clock):
        cache.set("colour", "red", 10)
        clock.shift(9.5)
        assert cache.get("colour") == "red"
        clock.shift(0.5)
        assert cache.get("colour") is None

    def test_every_method_misses_an_expired_key(self, cache, clock):
        cache.set("n", 1, 10)
        clock.shift(10)
        assert cache.get("n", "gone") == "gone"
        assert cache.get_many(["n"]) == {}
        assert cache.has_key("n") is False
        assert "n" not in cache

    def test_a_timeout_may_be_a_fraction(self, cache, clock):
        cache.set("colour", "red", 0.5)
        assert "colour" in cache
        clock.shift(0.5)
        assert "colour" not in cache

    def test_set_again_starts_the_timeout_anew(self, cache, clock):
        cache.set("colour", "red", 10)
        clock.shift(9)
        cache.set("colour", "red", 10)
        clock.shift(9)
        assert "colour" in cache

    def test_set_again_may_shorten_the_timeout(self, cache, clock):
        cache.set("colour", "red", 100)
        cache.set("colour", "red", 10)
        clock.shift(10)
        assert "colour" not in cache

    def test_the_timeout_is_300_seconds_unless_told(self, cache, clock):
        cache.set("colour", "red")
        clock.shift(299)
        assert "colour" in cache
        clock.shift(1)
        assert "colour" not in cache

    @pytest.mark.parametrize("method", ["set", "add", "get_or_set"])
    def test_the_default_timeout_can_be_told(self, cache, clock, method):
        getattr(self.make(TIMEOUT=1000), method)("colour", "red")
        clock.shift(999)
        assert "colour" in cache
        clock.shift(1)
        assert "colour" not in cache

    def test_a_default_timeout_of_none_is_for_ever(self, cache, clock):
        self.make(TIMEOUT=None).set("colour", "red")
        clock.shift(timedelta(days=36500))
        assert cache.get("colour") == "red"

    def test_a_default_timeout_of_zero_keeps_nothing(self, cache):
        self.make(TIMEOUT=0).set("colour", "red")
        assert "colour" not in cache

    def test_none_is_for_ever(self, cache, clock):
        cache.set("colour", "red", None)
        cache.add("shape", "round", None)
        clock.shift(timedelta(days=36500))
        assert cache.get_many(["colour", "shape"]) == {"colour": "red", "shape": "round"}

    @pytest.mark.parametrize("timeout", [0, -1, -0.5, -(10**9)])
    def test_no_time_left_keeps_nothing(self, cache, timeout):
        cache.set("colour", "red", timeout)
        assert cache.add("shape", "round", timeout) is True
        assert cache.set_many({"size": 1}, timeout) == []
        assert cache.get_many(["colour", "shape", "size"]) == {}

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_set_with_no_time_left_forgets_the_key(self, cache, timeout):
        cache.set("colour", "red")
        cache.set("colour", "blue", timeout)
        assert cache.get("colour") is None

    # Values

    @pytest.mark.parametrize("value", VALUES, ids=ascii)
    def test_a_value_comes_back_as_it_was(self, cache, value):
        cache.set("key", value)
        assert cache.get("key", "missing") == value
        assert type(cache.get("key")) is type(value)

    def test_a_value_may_contain_itself(self, cache):
        value = []
        value.append(value)
        cache.set("key", value)
        assert (got := cache.get("key"))[0] is got

    def test_what_the_caller_changes_later_is_not_changed_in_the_cache(self, cache):
        value = {"colours": ["red"]}
        cache.set("set", value)
        cache.add("add", value)
        value["colours"].append("blue")
        assert cache.get("set") == {"colours": ["red"]}
        assert cache.get("add") == {"colours": ["red"]}

    def test_changing_what_get_returned_does_not_change_the_cache(self, cache):
        cache.set("key", {"colours": ["red"]})
        cache.get("key")["colours"].append("blue")
        assert cache.get("key") == {"colours": ["red"]}

    @pytest.mark.parametrize("method", ["set", "add", "get_or_set"])
    def test_a_value_that_cannot_be_pickled_is_an_error(self, cache, method):
        with pytest.raises(TypeError, match="pickle"):
            getattr(cache, method)("key", threading.Lock())
        assert "key" not in cache

    def test_a_value_that_cannot_be_pickled_changes_nothing(self, cache):
        cache.set("key", "red")
        with pytest.raises(TypeError, match="pickle"):
            cache.set("key", threading.Lock())
        assert cache.get("key") == "red"

    # Locations, threads and async

    def test_one_location_is_one_cache(self, cache):
        cache.set("colour", "red")
        again = self.make()
        assert again.get("colour") == "red"
        again.delete("colour")
        assert cache.get("colour") is None

    def test_two_locations_are_two_caches(self, cache):
        other = self.make(self.other_location)
        cache.set("colour", "red")
        other.set("colour", "blue")
        cache.clear()
        assert cache.get("colour") is None
        assert other.get("colour") == "blue"

    @pytest.mark.usefixtures("restless_threads")
    def test_threads_do_not_lose_an_increment(self, cache):
        cache.set("n", 0)
        caches = [self.make() for _ in range(4)]  # Django builds one a thread
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda cache: [cache.incr("n") for _ in range(250)], caches))
        assert cache.get("n") == 1000

    @pytest.mark.usefixtures("restless_threads")
    def test_one_thread_wins_add(self, cache):
        with ThreadPoolExecutor(4) as pool:
            wins = list(pool.map(lambda _: [cache.add(n, 1) for n in range(100)], range(4)))
        assert [sum(won) for won in zip(*wins, strict=True)] == [1] * 100

    def test_the_async_forms(self, cache):
        async def use() -> None:
            assert await cache.aadd("n", 1) is True
            assert await cache.aget("n") == 1
            await cache.aset("n", 2, 10)
            assert await cache.aincr("n") == 3
            assert await cache.aget_many(["n", "missing"]) == {"n": 3}
            assert await cache.ahas_key("n") is True
            assert await cache.adelete("n") is True

        async_to_sync(use)()
        assert "n" not in cache
