import os
import random
import time
from collections import Counter

import pytest
from django.test import override_settings

from collector.cache import TooManyValues, Totals, Unavailable
from collector.cache.redis import RedisCache
from tests.unit.cache.tally_contract import DAY, KEYS, TallyContract, in_any_order

GRANULARITY = 2  # seconds; the shortest day


def summary(totals, start):
    """A summary that keeps all."""
    return in_any_order(totals)


class TestRedisCache(TallyContract):
    backend = "collector.cache.redis.RedisCache"

    @pytest.fixture(autouse=True)
    def raw(self, redis_server):
        """A client of the test's own, and two databases of the server, empty, as locations."""
        self.location = f"redis://127.0.0.1:{redis_server.port}/0"
        self.other_location = f"redis://127.0.0.1:{redis_server.port}/1"
        redis_server.client.flushall()
        return redis_server.client

    def daily(self, **options):
        path = f"{__name__}.summary"
        return self.limited(GRANULARITY=DAY, HISTORY=90, SUMMARY=path, **options)

    # What is kept

    def test_neither_key_nor_secret_is_kept(self, cache, raw):
        cache.set("fdb45536-cba8-4204-b352-71fc1062fd95", "a value")
        assert b"a value" in everything(raw)
        assert b"fdb45536" not in everything(raw)
        assert cache._secret not in everything(raw)

    def test_nothing_is_left_after_clear_and_nothing_else_is_touched(self, raw):
        raw.set("of somebody else", "x")
        daily = self.daily()
        daily.set_many({"a": "red", "b": None}, 7 * DAY)
        daily.clear()
        assert raw.keys(daily.prefix + "*") == [daily.prefix.encode() + b"meta"]
        assert raw.delete("of somebody else") == 1

    def test_moving_keys_about_leaves_nothing_behind(self, cache, raw):
        for n in range(1000):
            cache.set("a", n, n + 1)
            cache.set("b", n)
            cache.delete("b")
        sizes = {name: size(raw, cache.prefix + name) for name in ("live", "ids", "values", "ends")}
        assert sizes == {"live": 1, "ids": 1, "values": 1, "ends": 1}
        assert len(raw.keys(cache.prefix + "*")) == 8

    def test_every_key_has_an_expiry(self, clock, raw):
        daily = self.daily()
        daily.set("a", None, 7 * DAY)
        daily.set("b", "red", 7 * DAY)
        daily.delete("b")
        daily.set("b", "blue", 7 * DAY)
        clock.shift(DAY)
        daily.free_expired()
        daily.set("c", "green", 7 * DAY)
        clock.shift(DAY)
        daily.set("c", "blue", 7 * DAY)
        kept = raw.keys(daily.prefix + "*")
        assert len(kept) > 9
        assert [key for key in kept if raw.pexpiretime(key) < 0] == []

    @pytest.mark.parametrize("other", ["code", "secret"])
    def test_other_code_and_another_secret_start_from_zero(self, cache, other, monkeypatch):
        cache.set("a", "red")
        if other == "code":
            monkeypatch.setattr("collector.cache.redis.fingerprint", lambda: "other")
            assert self.make().tally() == []
            monkeypatch.undo()
        else:
            with override_settings(SECRET_KEY="another"):
                assert self.make().tally() == []
        assert self.make().get("a") == "red"

    def test_a_value_that_is_not_ours_is_not_loaded(self, cache, raw):
        cache.set("a", "red")
        raw.hset(cache.prefix + "values", 1, b"\0" * 16 + b"cos\nsystem\n(S'true'\ntR.")
        with pytest.raises(Unavailable):
            cache.get("a")
        with pytest.raises(Unavailable):
            self.make().totals()

    @pytest.mark.parametrize(
        ("key", "field", "text"),
        [
            ("meta", "since", "nan"),
            ("meta", "since", "abc"),
            ("counts", "1", "abc"),
            ("ends", "abc|0", "1"),
            ("ends", "nan|0", "1"),
            ("ends", "1e999|0", "1"),
        ],
    )
    def test_numbers_that_are_none_are_no_numbers(self, cache, raw, key, field, text):
        cache.set("a", "red")
        raw.hset(cache.prefix + key, field, text)
        with pytest.raises(Unavailable):
            [self.make().since, self.make().totals()]
        raw.delete(*raw.keys(cache.prefix + "*"))  # `clear` would not take it either

    def test_a_value_that_is_forgotten_is_no_longer_known(self, cache):
        cache.set("a", "vermilion")
        cache.totals()
        self.make().delete("a")
        assert "vermilion" in repr(vars(cache))
        cache.free_expired()
        assert "vermilion" not in repr(vars(cache))
        assert cache.totals().size == 0

    def test_a_value_is_no_history(self, clock, raw):
        daily = self.daily()
        daily.set("a", "red", 7 * DAY)
        clock.shift(DAY)
        daily.set("b", "red", 7 * DAY)
        (day,) = daily.history()
        raw.set(f"{daily.prefix}history:{day}", raw.hget(daily.prefix + "values", "1"))
        with pytest.raises(Unavailable):
            self.daily().history()
        daily.clear()

    # Time

    def test_a_record_and_its_count_have_one_expiry(self, clock, raw):
        daily = self.daily()
        end = daily.put("a", "red", 7 * DAY)
        keys = [f"{daily.prefix}{kind}:{end}" for kind in ("records", "tally")]
        assert [raw.pexpiretime(key) for key in keys] == [end * 1000] * 2

    def test_the_closing_tally_needs_no_record(self, clock, raw):
        """The server has dropped them when someone comes, after midnight or days later."""
        daily = self.daily()
        daily.set("a", "red", 1)
        daily.set_many({"b": "blue", "c": None}, 7 * DAY)
        start = int(time.time() // DAY) * DAY
        clock.shift(3 * DAY)
        gone = [f"{daily.prefix}{kind}:{start + DAY}" for kind in ("records", "tally")]
        assert raw.delete(*gone) == 2
        daily.set("d", "green", 7 * DAY)
        (closed,) = self.daily().history().items()
        assert closed[0] == start
        assert closed[1][0] == Counter([("red", 1), ("blue", 1), (None, 1)])
        assert in_any_order(daily.totals()) == in_any_order(Totals.of(daily.tally()))

    def test_another_length_of_the_history_holds_for_what_is_closed(self, clock, raw):
        path = f"{__name__}.summary"
        long, short, none = (
            self.limited(GRANULARITY=DAY, HISTORY=kept, SUMMARY=path) for kept in (90, 2, 0)
        )
        for _ in range(5):
            long.set("a", "red", 7 * DAY)
            clock.shift(DAY)
        assert len(long.history()) == 5
        assert len(short.history()) == 2
        assert none.history() == {}
        assert [key for key in raw.keys(none.prefix + "*") if b"history" in key] == []
        short.set("a", "red", 7 * DAY)
        clock.shift(DAY)
        (day,) = short.history()
        (kept,) = long.history()
        assert kept == day
        assert raw.pexpiretime(f"{long.prefix}history:{day}") == (day + 91 * DAY) * 1000

    def test_a_period_is_closed_once_whoever_comes(self, clock):
        every = [self.daily() for _ in range(4)]
        every[0].set("a", "red", 7 * DAY)
        for _ in range(3):
            clock.shift(DAY)
            for one in every:
                one.set("a", "blue", 7 * DAY)
                one.free_expired()
        told = [one.history() for one in every]
        assert told[0] == told[1] == told[2] == told[3]
        assert len(told[0]) == 3

    def test_clocks_that_differ_a_little_do_not_turn_back_the_day(self, clock):
        daily = self.daily()
        daily.set("a", "red", 7 * DAY)
        clock.shift(DAY / 2)
        daily.set("b", "red", 7 * DAY)
        clock.shift(-1)
        daily.set("c", "red", 7 * DAY)
        assert len(daily.history()) == 1
        assert daily.totals().size == 3

    def test_a_store_whose_clock_is_far_ahead_is_no_store(self, clock):
        clock.move_to("2001-01-01T00:00:00Z")
        with pytest.raises(Unavailable, match="far ahead"):
            self.daily().changes()

    # Several processes

    def test_what_one_knows_of_the_values_follows_the_others(self, clock):
        one, other = self.daily(), self.daily()
        dice = random.Random(3)
        for _ in range(200):
            user = dice.choice([one, other])
            user.set(
                dice.choice(KEYS), dice.choice(["a", "b", "c", None]), dice.choice([1, 9 * DAY])
            )
            user.delete(dice.choice(KEYS))
            clock.shift(dice.choice([0, DAY / 4]))
            for cache in (one, other):
                assert in_any_order(cache.totals()) == in_any_order(Totals.of(cache.tally()))

    def test_limits_hold_for_all(self, cache):
        one, other = self.limited(MAX_ENTRIES=1), self.limited(MAX_ENTRIES=1)
        one.set("a", "red")
        assert other.set_many({"b": "red", "a": "blue"}) == ["b"]

    def test_distinct_values_are_limited_for_all(self, cache):
        one, other = self.limited(MAX_VALUES=1), self.limited(MAX_VALUES=1)
        one.set("a", "red")
        with pytest.raises(TooManyValues):
            other.set("b", "blue")
        other.set_many({"b": "red", "c": None})
        one.delete("a")
        other.set("b", "blue")
        assert one.get_many("abc") == {"b": "blue", "c": None}

    def test_objects_share_a_client_and_a_child_has_its_own(self, cache):
        cache.set("a", "red")
        mine = cache._client()
        assert self.make()._client() is mine
        if (child := os.fork()) == 0:
            os._exit(0 if cache._client() is not mine and cache.get("a") == "red" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert cache.get("a") == "red"

    def test_a_report_is_one_round_trip(self, cache, raw):
        cache.set("a", "red")
        scripts = raw.info("commandstats")["cmdstat_evalsha"]["calls"]
        for n in range(10):
            cache.put(n, "red")
        assert raw.info("commandstats")["cmdstat_evalsha"]["calls"] - scripts == 10

    def test_a_script_that_the_server_lost_is_sent_again(self, cache, raw):
        cache.set("a", "red")
        raw.script_flush()
        assert cache.get("a") == "red"

    # A store that has no memory or takes no writes

    def test_without_memory_nothing_changes_and_forgetting_works(self, cache, raw):
        cache.set_many({"a": "red", "b": "red"}, 10)
        raw.config_set("maxmemory", 1)
        try:
            for call in (cache.probe, lambda: cache.set("a", "blue"), lambda: cache.set("c", 1)):
                with pytest.raises(Unavailable, match="OutOfMemory"):
                    call()
            assert cache.get_many("abc") == {"a": "red", "b": "red"}
            assert cache.delete("b") is True
        finally:
            raw.config_set("maxmemory", 0)
        assert in_any_order(cache.totals()) == in_any_order(Totals.of(cache.tally()))
        assert cache.totals().size == 1

    def test_without_memory_a_new_day_begins(self, clock, raw):
        daily = self.daily()
        daily.set("a", "red", 1)
        clock.shift(DAY)
        raw.config_set("maxmemory", 1)
        try:
            assert daily.totals().size == 0
            assert len(daily.history()) == 1
        except Unavailable:
            pytest.fail("reading needs memory")
        finally:
            raw.config_set("maxmemory", 0)

    def test_a_replica_takes_no_writes(self, cache, raw):
        cache.set("a", "red")
        raw.replicaof("127.0.0.1", 1)
        try:
            with pytest.raises(Unavailable, match="ReadOnly"):
                cache.probe()
            assert cache.get("a") == "red"
        finally:
            raw.replicaof("NO", "ONE")
        cache.probe()


def test_a_record_and_its_count_vanish_together_and_nobody_sweeps(redis_server):
    """By the server's own clock; the one who watches asks for nothing else."""
    url, raw = redis_server.url, redis_server.client
    cache = RedisCache(url, {"OPTIONS": {"GRANULARITY": GRANULARITY}})
    cache.clear()
    end = cache.put("a", "red", 1)
    keys = [f"{cache.prefix}{kind}:{end}" for kind in ("records", "tally")]
    seen = []
    while (there := raw.exists(*keys)) and time.time() < end + 5:
        seen.append(there)
        time.sleep(0.01)  # between two looks
    assert set(seen) == {2}
    assert abs(time.time() - end) < 1
    assert raw.exists(*keys) == 0


def everything(raw):
    """All that the server keeps, as one text."""
    dumps = {
        b"hash": lambda key: repr(raw.hgetall(key)),
        b"zset": lambda key: repr(raw.zrange(key, 0, -1)),
        b"string": lambda key: repr(raw.get(key)),
    }
    return "".join(f"{key} {dumps[raw.type(key)](key)}" for key in raw.scan_iter()).encode()


def size(raw, key):
    return raw.zcard(key) if raw.type(key) == b"zset" else raw.hlen(key)
