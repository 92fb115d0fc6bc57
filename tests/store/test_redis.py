"""Tests of the Redis backend: the contract of all backends, and faults that only a store has."""

import os
import random
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock

import pytest
from django.test import override_settings

from collector.cache import CacheFull, TooManyValues, Unavailable, connection
from collector.cache.redis import RedisCache
from tests.unit.cache.tally_contract import (
    DAY,
    KEYS,
    MIDNIGHT,
    TODAY,
    TallyContract,
    assert_tally,
    rows_of,
)


class TestRedisCache(TallyContract):
    backend = "collector.cache.redis.RedisCache"

    @pytest.fixture(autouse=True)
    def raw(self, redis_server):
        """A client of the test's own. Two databases of the server are the locations."""
        self.location = f"redis://127.0.0.1:{redis_server.port}/0"
        self.other_location = f"redis://127.0.0.1:{redis_server.port}/1"
        connection.client.cache_clear()
        redis_server.reset()
        self.client = redis_server.client
        return redis_server.client

    def keeping(self, days, history=90):
        """A cache as the app has it, with this retention and length of the history."""
        return self.make(TIMEOUT=days * DAY, OPTIONS={"GRANULARITY": DAY, "HISTORY": history})

    def stored_order(self, section, keys):
        """The keys in the order in which the store has their digests."""
        names = {section._digest(key, None): key for key in keys}
        (records,) = self.client.keys(section.prefix + "records:*")
        return [names[digest] for digest in self.client.hkeys(records)]

    # What the server holds

    def test_the_store_has_values_but_neither_keys_nor_the_secret(self, cache, raw):
        cache.set("fdb45536-cba8-4204-b352-71fc1062fd95", "a value")
        assert b"a value" in everything(raw)
        assert b"fdb45536" not in everything(raw)
        assert cache._secret not in everything(raw)

    def test_clear_leaves_nothing_and_touches_nothing_of_others(self, clock, raw):
        raw.set("of somebody else", "x")
        daily = self.daily()
        daily.set_many({"a": "red", "b": None}, 7 * DAY)
        clock.shift(DAY)
        daily.history()
        daily.clear()
        assert raw.keys(daily.prefix + "*") == [daily.prefix.encode() + b"meta"]
        assert raw.delete("of somebody else") == 1

    def test_keys_that_move_leave_nothing_behind(self, cache, raw):
        for n in range(1000):
            cache.set("a", n, n + 1)
            cache.set("b", n)
            cache.delete("b")
        assert len(raw.keys(cache.prefix + "*")) == 7
        assert raw.zcard(cache.prefix + "live") == 1
        assert [raw.hlen(cache.prefix + name) for name in ("ids", "values", "counts")] == [1] * 3
        assert raw.hlen(cache.prefix + "meta") < 10

    def test_every_key_of_the_server_has_an_expiry(self, clock, raw):
        daily = self.daily()
        daily.set("a", None, 7 * DAY)
        daily.set("b", "red", 7 * DAY)
        daily.delete("b")
        daily.set("b", "blue", 7 * DAY)
        clock.shift(DAY)
        daily.free_expired()
        daily.set("c", "green", 7 * DAY)
        daily.summarize(TODAY, "a summary")
        clock.shift(DAY)
        daily.set("c", "blue", 7 * DAY)
        names = raw.keys(daily.prefix + "*")
        assert len(names) == 12
        assert [name for name in names if raw.pexpiretime(name) < 0] == []

    def test_an_abandoned_store_drops_records_at_their_expiry_and_the_rest_with_the_history(
        self, raw
    ):
        daily = self.daily()
        end = daily.put("a", "red", 7 * DAY)
        expiries = {name.removeprefix(daily.prefix): raw.pexpiretime(name) for name in names(raw)}
        assert expiries.pop(f"records:{end}") == end * 1000
        assert set(expiries.values()) == {(end + 91 * DAY) * 1000}

    # Other code, secrets and options

    @pytest.mark.parametrize("other", ["code", "secret"])
    def test_other_code_and_another_secret_start_from_zero(self, cache, other, monkeypatch):
        cache.set("a", "red")
        if other == "code":
            monkeypatch.setattr("collector.cache.redis.fingerprint", lambda: "other")
            assert_tally(self.make())
            monkeypatch.undo()
        else:
            with override_settings(SECRET_KEY="another"):
                assert_tally(self.make())
        assert self.make().get("a") == "red"

    def test_a_longer_retention_starts_from_zero_and_no_key_counts_as_renewed(self):
        self.keeping(7).set("a", "red")
        month = self.keeping(30)
        assert_tally(month)
        month.set("a", "red")
        assert_tally(month, ("red", MIDNIGHT + 30 * DAY, False, 1))

    def test_a_shorter_retention_keeps_no_key_for_longer(self, clock):
        self.keeping(30).set("a", "red")
        week = self.keeping(7)
        clock.shift(10 * DAY)
        assert week.get("a") is None
        assert_tally(week)

    def test_another_length_of_the_history_starts_from_zero(self, clock):
        self.keeping(7).set("a", "red")
        clock.shift(DAY)
        assert [*self.keeping(7).history()] == [TODAY]
        assert self.keeping(7, history=2).history() == {}

    # What others may have written to the store

    def test_a_value_that_is_not_sealed_is_not_unpickled(self, cache, raw):
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
            ("meta", "values", "abc"),
            ("tally:{end}", "2", "abc"),
            ("tally:{end}", "abc", "1"),
            ("tally:{end}", "100", "1"),
        ],
    )
    def test_numbers_that_others_wrote_are_refused(self, cache, raw, key, field, text):
        end = int(cache.put("a", "red"))
        raw.hset(cache.prefix + key.format(end=end), field, text)
        with pytest.raises(Unavailable):
            [self.make().since, self.make().tally()]

    def test_a_sealed_value_is_not_accepted_as_a_summary(self, clock, raw):
        daily = self.daily()
        daily.set("a", "red", 7 * DAY)
        clock.shift(DAY)
        daily.set("b", "red", 7 * DAY)
        value = raw.hget(daily.prefix + "values", "1")
        raw.hset(f"{daily.prefix}history:{TODAY}", "summary", value)
        with pytest.raises(Unavailable):
            daily.history()

    # Time

    def test_the_closing_tally_is_exact_without_the_records(self, clock, raw):
        """The server drops them at midnight, and the next operation may come days later."""
        daily = self.daily()
        daily.set("a", "red", 1)
        daily.set_many({"b": "blue", "c": None}, 7 * DAY)
        clock.shift(3 * DAY)
        assert raw.delete(f"{daily.prefix}records:{TODAY + DAY}") == 1
        daily.set("d", "green", 7 * DAY)
        (start, tally), *_ = self.daily().history().items()
        assert start == TODAY
        assert rows_of(tally) == [
            ("blue", TODAY + 8 * DAY, False, 1),
            ("red", TODAY + DAY, False, 1),
            (None, TODAY + 8 * DAY, False, 1),
        ]
        assert daily.tally().size == 3

    def test_a_day_that_the_server_dropped_is_missing_and_cannot_be_summarized(self, clock, raw):
        """The server's clock may be ahead of ours at the moment when the day's time is over."""
        daily = self.daily()
        daily.set("a", "red", 7 * DAY)
        clock.shift(DAY)
        assert [*daily.history()] == [TODAY]
        raw.delete(f"{daily.prefix}history:{TODAY}")
        daily.summarize(TODAY, "a summary")
        assert self.daily().history() == {}

    def test_a_period_is_closed_once_by_whichever_process_comes_first(self, clock):
        every = [self.daily() for _ in range(4)]
        every[0].set("a", "red", 7 * DAY)
        for _ in range(3):
            clock.shift(DAY)
            for one in every:
                one.set("a", "blue", 7 * DAY)
                one.free_expired()
        histories = [one.history() for one in every]
        assert all(history == histories[0] for history in histories)
        assert len(histories[0]) == 3

    def test_clocks_that_differ_a_little_do_not_reopen_a_period(self, clock):
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

    def test_tallies_follow_what_other_processes_do(self, clock):
        processes = [self.daily(), self.daily()]
        dice = random.Random(3)
        for _ in range(200):
            user = dice.choice(processes)
            value, timeout = dice.choice(["a", "b", "c", None]), dice.choice([1, 9 * DAY])
            user.set(dice.choice(KEYS), value, timeout)
            user.delete(dice.choice(KEYS))
            clock.shift(dice.choice([0, DAY / 4]))
            rows = rows_of(self.daily().tally())
            assert [rows_of(each.tally()) for each in processes] == [rows, rows]

    def test_a_tally_follows_a_store_that_was_emptied_while_the_clock_went_back(
        self, cache, clock, raw
    ):
        cache.set("a", "red", 60)
        cache.tally()
        raw.flushall()
        clock.shift(-10)
        self.make().set("a", "blue", 60)
        assert [row[0] for row in rows_of(cache.tally())] == ["blue"]

    def test_a_value_that_the_store_forgot_is_forgotten_by_the_process_too(self, cache):
        cache.set("a", "vermilion")
        cache.tally()
        self.make().delete("a")
        assert "vermilion" in repr(vars(cache))
        cache.free_expired()
        assert "vermilion" not in repr(vars(cache))
        assert cache.tally().size == 0

    def test_the_limits_hold_for_all_processes_together(self, cache):
        one, other = (self.limited(MAX_ENTRIES=3, MAX_VALUES=1) for _ in range(2))
        one.set("a", "red")
        with pytest.raises(TooManyValues):
            other.set("b", "blue")
        other.set_many({"b": "red", "c": None})
        with pytest.raises(CacheFull):
            one.set("d", "red")
        one.delete("a")
        other.set("b", "blue")
        assert one.get_many("abcd") == {"b": "blue", "c": None}

    def test_objects_share_a_client_and_a_forked_process_has_its_own(self, cache):
        cache.set("a", "red")
        own = cache._client()
        assert self.make()._client() is own
        if (child := os.fork()) == 0:
            os._exit(0 if cache._client() is not own and cache.get("a") == "red" else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert cache.get("a") == "red"

    def test_each_put_is_one_round_trip_on_one_connection(self, cache, raw):
        cache.set("a", "red")
        before = raw.info("all")
        for n in range(10):
            cache.put(n, "red")
        after = raw.info("all")
        calls = [each["cmdstat_evalsha"]["calls"] for each in (before, after)]
        assert calls[1] - calls[0] == 10
        assert after["total_connections_received"] == before["total_connections_received"]

    def test_a_report_with_answers_is_one_round_trip_and_one_script(self, cache, raw):
        cache.put_all("a", "red", {"one": 1, "two": 2})
        before = raw.info("commandstats")
        cache.put_all("a", "blue", {"one": 2, "two": None})
        after = raw.info("commandstats")
        calls = {
            name: after[name]["calls"] - before.get(name, {"calls": 0})["calls"] for name in after
        }
        assert calls["cmdstat_evalsha"] == 1
        assert not {"cmdstat_eval", "cmdstat_script|load"} & {n for n, c in calls.items() if c}

    # Processes with different tables of questions

    def test_a_section_that_another_process_knows_loses_the_key(self, cache):
        other = self.make()
        cache.put_all("a", "red", {"old": 1})
        other.put_all("a", "red", {"new": 2})
        assert (cache.section("old").get("a"), cache.section("new").get("a")) == (None, 2)
        cache.put_all("a", "red", {"old": 1})
        assert (cache.section("old").get("a"), cache.section("new").get("a")) == (1, None)

    def test_a_section_that_only_another_process_knows_costs_a_round_trip_once(self, cache, raw):
        other = self.make()
        cache.put_all("a", "red", {"old": 1})
        cache.put_all("b", "red", {"old": 1})
        sections = cache.prefix + "sections"
        calls = []
        for key in "abc":
            before = raw.info("commandstats")["cmdstat_evalsha"]["calls"]
            other.put_all(key, "red", {})
            calls.append(raw.info("commandstats")["cmdstat_evalsha"]["calls"] - before)
        assert calls == [2, 1, 1]
        assert raw.smembers(sections) == set()
        cache.put_all("a", "red", {"old": 1})
        assert raw.smembers(sections) == {b"old"}

    def test_a_key_is_deleted_in_sections_that_only_another_process_knows(self, cache):
        cache.put_all("a", "red", {"old": 1})
        cache.put_all("b", "red", {"old": 1})
        assert self.make().delete_all("a", ["new"]) is True
        assert cache.section("old").get_many("ab") == {"b": 1}
        self.make().clear()
        assert cache.section("old").get_many("ab") == {}

    def test_no_record_of_the_store_has_two_answers_or_an_answer_and_a_value(self, cache, raw):
        keys = [f"key{n}" for n in range(50)]
        for key in keys:
            cache.put_all(key, "red", {"one": key, "two": f"2{key}"})
        records = [raw.hgetall(name) for name in raw.scan_iter("*:records:*")]
        digests = [digest for each in records for digest in each]
        assert len(records) == 3
        assert len(set(digests)) == len(digests) == 150
        assert all(code.isdigit() for each in records for code in each.values())
        for name in raw.scan_iter():
            dumped = raw.dump(name)
            assert not (b"key7" in dumped and b"2key8" in dumped)
            assert not (b"red" in dumped and b"key7" in dumped)

    def test_every_key_of_a_section_has_an_expiry(self, clock, raw):
        daily = self.keeping(7)
        daily.put_all("a", "red", {"one": 1})
        clock.shift(DAY)
        daily.put_all("a", "red", {"one": 1})
        daily.section("one").history()
        assert all(raw.pttl(name) > 0 for name in raw.scan_iter())

    def test_calls_at_the_same_time_share_a_round_trip(self, cache, monkeypatch):
        cache.probe()  # from now on, the server has the script
        client, pipelines = cache._client(), []
        send = client._send_pipeline
        monkeypatch.setattr(client, "_send_pipeline", lambda c: pipelines.append(len(c)) or send(c))
        with ThreadPoolExecutor() as threads:
            with client.turn:
                answers = [threads.submit(cache.add, n % 3, "red") for n in range(4)]
                self.wait_for_calls(client, 4)
            assert sorted(each.result() for each in answers) == [False, True, True, True]
        assert pipelines == [4]
        assert cache.tally().size == 3

    def test_a_call_that_fails_does_not_fail_others_in_its_pipeline(self, cache, raw):
        cache.set("a", "red")
        client = cache._client()
        raw.config_set("maxmemory", 1)
        with ThreadPoolExecutor() as threads:
            with client.turn:
                refused = threads.submit(cache.set, "b", "red")
                self.wait_for_calls(client, 1)
                accepted = threads.submit(cache.get, "a")
                self.wait_for_calls(client, 2)
            assert accepted.result() == "red"
            with pytest.raises(Unavailable, match="OutOfMemory"):
                refused.result()

    def test_calls_whose_pipeline_is_interrupted_fail_and_the_next_one_succeeds(
        self, cache, monkeypatch
    ):
        client = cache._client()
        with ThreadPoolExecutor() as threads, monkeypatch.context() as patch:
            patch.setattr(client, "_send_pipeline", Mock(side_effect=SystemExit))
            with client.turn:
                calls = [threads.submit(cache.get, "a") for _ in range(3)]
                self.wait_for_calls(client, 3)
            errors = {type(call.exception()) for call in calls}
            assert errors == {SystemExit, Unavailable}
        assert cache.get("a") is None

    def test_checks_of_the_server_at_the_same_time_share_its_connection(self, cache, raw):
        client = cache._client()
        cache.get("a")
        before = raw.info()["total_connections_received"]
        with ThreadPoolExecutor(50) as threads:
            for check in [threads.submit(cache.probe) for _ in range(50)]:
                check.result()
        assert raw.info()["total_connections_received"] == before
        assert not client.waiting

    @staticmethod
    def wait_for_calls(client, number):
        while len(client.waiting) < number:
            time.sleep(0.01)  # between two looks, while the threads start

    # The server

    def test_a_script_that_the_server_lost_is_sent_again(self, cache, raw):
        cache.set("a", "red")
        raw.script_flush()
        assert cache.get("a") == "red"

    def test_a_connection_that_the_server_closed_is_opened_again(self, cache, raw):
        cache.set("a", "red")
        for call in (lambda: cache.get("a"), cache.probe, cache.free_expired):
            raw.client_kill_filter(_type="normal", skipme=True)
            call()
        before = raw.info("stats")["total_connections_received"]
        for _ in range(9):
            cache.probe()
        assert raw.info("stats")["total_connections_received"] == before

    def test_the_log_says_once_that_a_store_is_refused_and_once_that_it_is_back(
        self, cache, raw, caplog
    ):
        raw.config_set("save", "60 1")
        for _ in range(2):
            with pytest.raises(Unavailable):
                cache.set("a", "red")
        raw.config_set("save", "")
        cache._client().away_until = 0
        cache.get("a")
        cache.set("a", "red")
        refusal, recovery = [record.getMessage() for record in caplog.records]
        assert "redis-cli CONFIG SET save ''" in refusal
        assert recovery == "The store takes reports again."

    def test_a_store_that_does_not_answer_is_not_asked_again_for_a_moment(self, monkeypatch):
        monkeypatch.setattr(connection, "TIMEOUT", 0.2)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            cache = RedisCache(f"redis://127.0.0.1:{port}/0", {"OPTIONS": {"UNCHECKED": True}})
            began = time.perf_counter()
            with pytest.raises(Unavailable, match="cannot be reached"):
                cache.changes()
            assert 0.2 <= time.perf_counter() - began < 1
            with pytest.raises(Unavailable, match="a moment ago"):
                cache.changes()

    def test_without_memory_reading_and_forgetting_work_and_a_refused_put_changes_nothing(
        self, cache, raw
    ):
        cache.set_many({"a": "red", "b": "red"}, 10)
        before = rows_of(cache.tally())
        raw.config_set("maxmemory", 1)
        for call in (cache.probe, lambda: cache.set("a", "blue"), lambda: cache.set("c", 1)):
            with pytest.raises(Unavailable, match="OutOfMemory"):
                call()
        assert rows_of(self.make().tally()) == before
        assert cache.delete("b") is True
        assert cache.get_many("abc") == {"a": "red"}
        assert cache.tally().size == 1

    def test_without_memory_a_new_day_begins(self, clock, raw):
        daily = self.daily()
        daily.set("a", "red", 1)
        clock.shift(DAY)
        raw.config_set("maxmemory", 1)
        assert_tally(daily)
        assert len(daily.history()) == 1

    def test_a_replica_accepts_no_writes_and_is_left_at_once(self, cache, raw):
        cache.set("a", "red")
        raw.replicaof("127.0.0.1", 1)
        before = raw.info("stats")["total_connections_received"]
        with pytest.raises(Unavailable, match="ReadOnly"):
            cache.probe()
        assert cache.get("a") == "red"
        assert raw.info("stats")["total_connections_received"] == before + 1
        raw.replicaof("NO", "ONE")
        cache.probe()


def test_records_vanish_at_their_expiry_by_the_clock_of_the_server(redis_server):
    redis_server.reset()
    cache = RedisCache(redis_server.url, {"OPTIONS": {"GRANULARITY": 2}})
    cache.clear()
    end = cache.put("a", "red", 1)
    records = f"{cache.prefix}records:{end}"
    while redis_server.client.exists(records):
        assert time.time() < end + 1
        time.sleep(0.01)  # between two looks
    assert time.time() >= end - 0.1
    assert_tally(cache)


def names(raw):
    return [name.decode() for name in raw.scan_iter()]


def everything(raw):
    """All that the server holds, as one text."""
    dumps = {
        b"hash": raw.hgetall,
        b"zset": lambda name: raw.zrange(name, 0, -1),
        b"string": raw.get,
    }
    return "".join(f"{name} {dumps[raw.type(name)](name)}" for name in names(raw)).encode()
