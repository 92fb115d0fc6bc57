"""Tests of cache behavior that Django's own cache tests do not cover.

`.ci/django_cache_suite.py` runs Django's tests."""

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import time_machine
from django.core.cache.backends.base import CacheKeyWarning
from django.utils.module_loading import import_string

# Ahead of every real clock, so that a server with a clock of its own expires nothing early.
NOON = datetime(2040, 5, 17, 12, tzinfo=UTC)
NOW = NOON.timestamp()

# Each method that takes a key, called with the key given.
CALLS = {
    "add": lambda cache, key: cache.add(key, 1),
    "get": lambda cache, key: cache.get(key),
    "set": lambda cache, key: cache.set(key, 1),
    "put": lambda cache, key: cache.put(key, 1),
    "touch": lambda cache, key: cache.touch(key),
    "delete": lambda cache, key: cache.delete(key),
    "has_key": lambda cache, key: cache.has_key(key),
}


class PlainCacheContract:
    """A backend inherits these tests, and names its class in `backend`."""

    backend: str
    location = "here"
    other_location = "there"

    @pytest.fixture(autouse=True)
    def clock(self) -> Iterator[time_machine.Traveller]:
        with time_machine.travel(NOON, tick=False) as traveller:
            yield traveller

    @pytest.fixture
    def frequent_thread_switches(self) -> Iterator[None]:
        before = sys.getswitchinterval()
        sys.setswitchinterval(1e-6)
        yield
        sys.setswitchinterval(before)

    @pytest.fixture
    def cache(self, clock: time_machine.Traveller) -> Any:
        return self.make()

    def make(self, location: str | None = None, **params: Any) -> Any:
        """A backend object as an entry of CACHES builds it."""
        return import_string(self.backend)(location or self.location, params)

    # Expiry

    def test_a_key_lives_until_the_moment_of_its_expiry(self, cache, clock):
        cache.set("colour", "red", 10.5)
        clock.shift(10.4)
        assert cache.get("colour") == "red"
        clock.shift(0.1)
        assert cache.get("colour", "gone") == "gone"
        assert cache.get_many(["colour"]) == {}
        assert cache.has_key("colour") is False
        assert "colour" not in cache

    def test_an_expired_key_among_many_live_ones_is_gone(self, cache, clock):
        cache.set_many(dict.fromkeys(range(20), "red"), 20)
        cache.set("colour", "red", 10)
        clock.shift(10)
        assert "colour" not in cache
        assert cache.get("colour") is None
        assert cache.touch("colour") is False
        assert cache.delete("colour") is False
        assert cache.add("colour", "blue") is True
        assert cache.get("colour") == "blue"

    @pytest.mark.parametrize(("params", "seconds"), [({}, 300), ({"TIMEOUT": 1000}, 1000)])
    @pytest.mark.parametrize("method", ["set", "add"])
    def test_without_a_timeout_the_default_of_the_cache_counts(
        self, clock, params, seconds, method
    ):
        cache = self.make(**params)
        getattr(cache, method)("colour", "red")
        clock.shift(seconds - 1)
        assert "colour" in cache
        clock.shift(1)
        assert "colour" not in cache

    @pytest.mark.parametrize("method", ["set", "add", "touch"])
    def test_a_timeout_of_none_never_expires(self, cache, clock, method):
        cache.set("colour", "red", 0 if method == "add" else 10)
        getattr(cache, method)("colour", *(["red"] if method != "touch" else []), timeout=None)
        clock.shift(timedelta(days=36500))
        assert cache.get("colour") == "red"

    # Values and keys

    @pytest.mark.parametrize(
        "value", ["", "\udc80 🏠\0", b"\xff", 2**200, False, 1.5, Decimal("1.10"), {1}, [{}], len]
    )
    def test_get_returns_what_was_set(self, cache, value):
        cache.set("key", value)
        assert cache.get("key", "missing") == value
        assert type(cache.get("key")) is type(value)

    def test_a_value_may_contain_itself(self, cache):
        value = []
        value.append(value)
        cache.set("key", value)
        assert (got := cache.get("key"))[0] is got

    def test_a_caller_cannot_change_a_value_in_the_cache(self, cache):
        value = {"colours": ["red"]}
        cache.set("set", value)
        cache.add("add", value)
        value["colours"].append("blue")
        cache.get("set")["colours"].append("blue")
        assert cache.get("set") == cache.get("add") == {"colours": ["red"]}

    @pytest.mark.parametrize("method", ["set", "add"])
    def test_a_value_that_cannot_be_pickled_is_an_error_and_changes_nothing(self, cache, method):
        cache.set("key", "red")
        with pytest.raises(TypeError, match="pickle"):
            getattr(cache, method)("key", threading.Lock())
        assert cache.get("key") == "red"

    @pytest.mark.parametrize("key", ["häuser", "🏠", "a:b", "\udc80"])
    def test_a_key_may_have_any_printable_characters(self, cache, key):
        cache.set(key, "red")
        assert cache.get_many([key, key + key]) == {key: "red"}

    @pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
    @pytest.mark.parametrize("key", ["two words", "tab\t", "delete\x7f", "k" * 248])
    def test_a_key_that_memcached_would_refuse_draws_a_warning(self, cache, call, key):
        with pytest.warns(CacheKeyWarning, match=r"characters that will|longer than 250"):
            call(cache, key)

    def test_a_key_of_250_characters_draws_no_warning(self, cache):
        cache.set("k" * 247, 1)  # ":1:" comes before it
        assert cache.get("k" * 247) == 1

    # Locations and threads

    def test_backend_objects_of_one_location_share_their_keys(self, cache):
        cache.set("colour", "red")
        again = self.make()
        assert again.get("colour") == "red"
        again.delete("colour")
        assert cache.get("colour") is None

    def test_two_locations_share_nothing(self, cache):
        other = self.make(self.other_location)
        cache.set("colour", "red")
        other.set("colour", "blue")
        cache.clear()
        assert cache.get("colour") is None
        assert other.get("colour") == "blue"

    @pytest.mark.usefixtures("frequent_thread_switches")
    def test_of_several_threads_that_add_a_key_one_succeeds(self, cache):
        with ThreadPoolExecutor(4) as pool:
            added = list(pool.map(lambda _: [cache.add(n, 1) for n in range(100)], range(4)))
        assert [sum(each) for each in zip(*added, strict=True)] == [1] * 100
