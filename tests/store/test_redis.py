import os
import random
import time

import pytest
from django.test import override_settings

from collector.cache import CacheFull, TooManyValues, Unavailable
from collector.cache.redis import RedisCache
from tests.unit.cache.tally_contract import DAY, KEYS, TODAY, TallyContract, assert_tally, rows_of

GRANULARITY = 2  # seconds; the shortest day


class TestRedisCache(TallyContract):
    backend = "collector.cache.redis.RedisCache"

    @pytest.fixture(autouse=True)
    def raw(self, redis_server):
        """A client of the test's own, and two databases of the server, empty, as locations."""
        self.location = f"redis://127.0.0.1:{redis_server.port}/0"
        self.other_location = f"redis://127.0.0.1:{redis_server.port}/1"
        redis_server.client.flushall()
        return redis_server.client

    # What the store holds

    def test_the_store_holds_neither_a_key_nor_the_secret(self, cache, raw):
        cache.set("fdb45536-cba8-4204-b352-71fc1062fd95", "a value")
        assert b"a value" in everything(raw)
        assert b"fdb45536" not in everything(raw)
        assert cache._secret not in everything(raw)

    def test_clear_leaves_other_keys_of_the_server_alone(self, raw):
        raw.set("of somebody else", "x")
        daily = self.daily()
        daily.set_many({"a": "red", "b": None}, 7 * DAY)
        daily.clear()
        assert raw.keys(daily.prefix + "*") == [daily.prefix.encode() + b"meta"]
        assert raw.delete("of somebody else") == 1

    def test_changing_keys_leaves_nothing_behind(self, cache, raw):
        for n in range(1000):
            cache.set("a", n, n + 1)
            cache.set("b", n)
            cache.delete("b")
        sizes = {
            name: size(raw, cache.prefix + name) for name in ("live", "ids", "values", "changed")
        }
        assert sizes == {"live": 1, "ids": 1, "values": 1, "changed": 1}
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
        keys = raw.keys(daily.prefix + "*")
        assert len(keys) > 9
        assert [key for key in keys if raw.pexpiretime(key) < 0] == []

    def test_other_code_starts_from_zero(self, cache, monkeypatch):
        cache.set("a", "red")
        with monkeypatch.context() as patch:
            patch.setattr("collector.cache.redis.fingerprint", lambda: "other")
            assert_tally(self.make())
        assert self.make().get("a") == "red"

    def test_another_secret_starts_from_zero(self, cache):
        cache.set("a", "red")
        with override_settings(SECRET_KEY="another"):
            assert_tally(self.make())
        assert self.make().get("a") == "red"

    def test_a_longer_retention_starts_from_zero(self, clock):
        """Else an old report would be shown under a wrong day, and its instance as established."""
        week, month = self.retaining(7), self.retaining(30)
        week.put("a", "red")
        assert_tally(month)
        expiry = month.put("a", "red")
        assert_tally(month, ("red", expiry, False, 1))

    def test_a_shorter_retention_never_counts_an_older_report(self, clock):
        month, week = self.retaining(30), self.retaining(7)
        month.put("a", "red")
        clock.shift(10 * DAY)
        assert_tally(week)
        assert month.tally().size == 1

    @pytest.mark.parametrize("options", [{"GRANULARITY": DAY // 2}, {"HISTORY": 2}])
    def test_other_periods_start_from_zero(self, clock, options):
        daily, other = self.daily(), self.limited(**{"GRANULARITY": DAY, "HISTORY": 90} | options)
        daily.set("a", "red", 7 * DAY)
        clock.shift(DAY)
        assert_tally(other)
        assert other.history() == {}
        assert len(daily.history()) == 1

    def retaining(self, days):
        """A cache of reports with this retention."""
        return self.make(TIMEOUT=days * DAY, OPTIONS={"GRANULARITY": DAY, "HISTORY": 90})

    def test_a_value_that_we_did_not_write_is_not_loaded(self, cache, raw):
        cache.set("a", "red")
        raw.hset(cache.prefix + "values", 1, b"\0" * 16 + b"cos\nsystem\n(S'true'\ntR.")
        with pytest.raises(Unavailable):
            cache.get("a")
        with pytest.raises(Unavailable):
            self.make().tally()

    @pytest.mark.parametrize(
        ("key", "field", "text"),
        [
            ("meta", "since", "nan"),
            ("meta", "since", "abc"),
            ("counts", "1", "abc"),
            ("tally:inf", "2", "abc"),
            ("tally:inf", "abc", "1"),
        ],
    )
    def test_a_number_that_we_did_not_write_is_refused(self, cache, raw, key, field, text):
        cache.set("a", "red", None)
        raw.hset(cache.prefix + key, field, text)
        with pytest.raises(Unavailable):
            [self.make().since, self.make().tally()]
        raw.delete(*raw.keys(cache.prefix + "*"))  # `clear` would refuse it too

    @pytest.mark.parametrize("expiry", ["nan", "1e999"])
    def test_an_expiry_that_we_did_not_write_is_refused(self, cache, raw, expiry):
        cache.set("a", "red", None)
        raw.zadd(cache.prefix + "live", {expiry: "inf"})
        raw.copy(cache.prefix + "tally:inf", cache.prefix + f"tally:{expiry}")
        with pytest.raises(Unavailable):
            self.make().tally()
        raw.delete(*raw.keys(cache.prefix + "*"))

    def test_a_process_drops_a_value_that_another_one_erased(self, cache):
        cache.set("a", "vermilion")
        cache.tally()
        self.make().delete("a")
        assert "vermilion" in repr(vars(cache))
        cache.free_expired()
        assert "vermilion" not in repr(vars(cache))
        assert cache.tally().size == 0

    def test_a_value_does_not_pass_for_a_summary(self, clock, raw):
        daily = self.daily()
        daily.set("a", "red", 7 * DAY)
        clock.shift(DAY)
        daily.set("b", "red", 7 * DAY)
        (day,) = daily.history()
        raw.set(f"{daily.prefix}summary:{day}", raw.hget(daily.prefix + "values", "1"))
        with pytest.raises(Unavailable):
            self.daily().history()

    # Time

    def test_the_server_drops_a_record_at_its_expiry_and_its_tally_with_the_history(
        self, clock, raw
    ):
        daily = self.daily()
        end = daily.put("a", "red", 7 * DAY)
        expiries = [raw.pexpiretime(f"{daily.prefix}{kind}:{end}") for kind in ("records", "tally")]
        assert expiries == [end * 1000, (end + 91 * DAY) * 1000]

    def test_a_closed_tally_is_exact_though_the_server_has_dropped_the_records(self, clock, raw):
        daily = self.daily()
        end = daily.put("a", "red", 1)
        daily.set_many({"b": "blue", "c": None}, 7 * DAY)
        expected = rows_of(daily.tally())
        clock.shift(3 * DAY)
        assert raw.delete(f"{daily.prefix}records:{end}") == 1
        daily.set("d", "green", 7 * DAY)
        ((start, tally),) = self.daily().history().items()
        assert start == TODAY
        assert rows_of(tally) == expected
        assert daily.tally().size == 3

    def test_a_period_is_closed_once_whoever_comes_first(self, clock):
        caches = [self.daily() for _ in range(4)]
        caches[0].set("a", "red", 7 * DAY)
        for _ in range(3):
            clock.shift(DAY)
            for cache in caches:
                cache.set("a", "blue", 7 * DAY)
                cache.free_expired()
        histories = [
            {start: rows_of(tally) for start, tally in cache.history().items()} for cache in caches
        ]
        assert histories[0] == histories[1] == histories[2] == histories[3]
        assert len(histories[0]) == 3

    def test_a_summary_of_one_process_is_seen_by_the_others(self, clock):
        one, other = self.daily(), self.daily()
        one.set("a", "red", 7 * DAY)
        clock.shift(DAY)
        (start,) = other.history()
        one.summarize(start, "a summary")
        assert one.history() == other.history() == {start: "a summary"}

    def test_a_clock_that_is_a_second_behind_does_not_turn_back_the_day(self, clock):
        daily = self.daily()
        daily.set("a", "red", 7 * DAY)
        clock.shift(DAY / 2)
        daily.set("b", "red", 7 * DAY)
        clock.shift(-1)
        daily.set("c", "red", 7 * DAY)
        assert len(daily.history()) == 1
        assert daily.tally().size == 3

    def test_a_store_whose_clock_is_far_ahead_is_unavailable(self, clock):
        clock.move_to("2001-01-01T00:00:00Z")
        with pytest.raises(Unavailable, match="far ahead"):
            self.daily().changes()

    # Several processes

    def test_the_tally_of_one_process_follows_the_others(self, clock):
        one, other = self.daily(), self.daily()
        dice = random.Random(3)
        for _ in range(200):
            user = dice.choice([one, other])
            user.set(
                dice.choice(KEYS), dice.choice(["a", "b", "c", None]), dice.choice([1, 9 * DAY])
            )
            user.delete(dice.choice(KEYS))
            clock.shift(dice.choice([0, DAY / 4]))
            complete = rows_of(self.daily().tally())
            for cache in (one, other):
                assert rows_of(cache.tally()) == complete

    def test_a_process_that_knows_more_changes_than_the_store_asks_for_everything(self, cache, raw):
        """A replica that lagged behind may become the primary server."""
        cache.set("a", "red", None)
        cache.tally()
        raw.hset(cache.prefix + "meta", "changes", 1)
        raw.hset(cache.prefix + "tally:inf", 2, 5)
        raw.hset(cache.prefix + "counts", 1, 5)
        assert_tally(cache, ("red", None, False, 5))

    def test_the_number_of_entries_is_limited_for_all_processes(self, cache):
        one, other = self.limited(MAX_ENTRIES=1), self.limited(MAX_ENTRIES=1)
        one.set("a", "red")
        with pytest.raises(CacheFull):
            other.set("b", "red")
        other.set("a", "blue")

    def test_the_number_of_values_is_limited_for_all_processes(self, cache):
        one, other = self.limited(MAX_VALUES=1), self.limited(MAX_VALUES=1)
        one.set("a", "red")
        with pytest.raises(TooManyValues):
            other.set("b", "blue")
        other.set_many({"b": "red", "c": None})
        one.delete("a")
        other.set("b", "blue")
        assert one.get_many("abc") == {"b": "blue", "c": None}

    def test_cache_objects_share_connections_and_a_child_process_opens_its_own(self, cache, raw):
        cache.set("a", "red")
        before = raw.info("stats")["total_connections_received"]
        self.make().get("a")
        assert raw.info("stats")["total_connections_received"] == before
        if (child := os.fork()) == 0:
            os._exit(0 if cache.get("a") == "red" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert raw.info("stats")["total_connections_received"] == before + 1
        assert cache.get("a") == "red"

    def test_setting_a_key_takes_one_round_trip(self, cache, raw):
        cache.set("a", "red")
        scripts = raw.info("commandstats")["cmdstat_evalsha"]["calls"]
        for n in range(10):
            cache.put(n, "red")
        assert raw.info("commandstats")["cmdstat_evalsha"]["calls"] - scripts == 10

    def test_the_script_is_sent_again_if_the_server_has_lost_it(self, cache, raw):
        cache.set("a", "red")
        raw.script_flush()
        assert cache.get("a") == "red"

    # A store that has no memory or takes no writes

    def test_without_memory_a_key_is_erased_and_none_is_set(self, cache, raw):
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
        assert [count for *_, count in rows_of(cache.tally())] == [1]

    def test_without_memory_a_new_day_begins_and_reading_works(self, clock, raw):
        daily = self.daily()
        daily.set("a", "red", 1)
        clock.shift(DAY)
        raw.config_set("maxmemory", 1)
        try:
            assert daily.tally().size == 0
            assert len(daily.history()) == 1
        except Unavailable:
            pytest.fail("reading needs memory")
        finally:
            raw.config_set("maxmemory", 0)

    def test_a_replica_can_be_read_and_refuses_writes(self, cache, raw):
        cache.set("a", "red")
        raw.replicaof("127.0.0.1", 1)
        try:
            with pytest.raises(Unavailable, match="ReadOnly"):
                cache.probe()
            assert cache.get("a") == "red"
        finally:
            raw.replicaof("NO", "ONE")
        cache.probe()


def test_the_server_drops_records_at_their_expiry_though_nobody_asks(redis_server):
    """By the clock of the server; the test only looks."""
    url, raw = redis_server.url, redis_server.client
    cache = RedisCache(url, {"OPTIONS": {"GRANULARITY": GRANULARITY}})
    cache.clear()
    end = cache.put("a", "red", 1)
    keys = [f"{cache.prefix}{kind}:{end}" for kind in ("records", "tally")]
    seen = []
    while (existing := raw.exists(*keys)) and time.time() < end + 5:
        seen.append(existing)
        time.sleep(0.01)  # between two looks
    assert set(seen) == {2}  # without a history, both go at once
    assert abs(time.time() - end) < 1


def everything(raw):
    """Return all that the server holds as one text."""
    dumps = {
        b"hash": lambda key: repr(raw.hgetall(key)),
        b"zset": lambda key: repr(raw.zrange(key, 0, -1)),
        b"string": lambda key: repr(raw.get(key)),
    }
    return "".join(f"{key} {dumps[raw.type(key)](key)}" for key in raw.scan_iter()).encode()


def size(raw, key):
    return raw.zcard(key) if raw.type(key) == b"zset" else raw.hlen(key)
