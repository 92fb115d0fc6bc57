"""The contract of both backends, on a real server, and what only a store can do wrong."""

import os
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import cycle
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from unittest.mock import Mock

import pytest
from django.test import override_settings
from hypothesis import settings
from hypothesis.stateful import invariant

from collector.cache import connection
from collector.cache.redis import RedisCache
from collector.cache.server_requirements import REQUIREMENTS
from collector.cache.tally import Tally, Unavailable, encode
from collector.conf import records_cache
from tests.conftest import NOON
from tests.store.redis_server import RedisServer
from tests.unit.cache.model import CONFIGURATION, SUMMARY, Model
from tests.unit.numbers.window import Window

DAY = 86400
TODAY = 20522  # the day on which the clock of the tests stands still
RETENTION = 7
GRACE = 600
RED, BLUE, GREEN = {"app": "red"}, {"app": "blue"}, {"app": "green"}


class InTurn:
    """Several servers on one store: each call goes to the next one."""

    def __init__(self, *caches):
        self.caches = cycle(caches)

    def __getattr__(self, name):
        return getattr(next(self.caches), name)

    def __contains__(self, key):
        return key in next(self.caches)


class Store(Model):
    server: RedisServer

    def make_cache(self):
        return InTurn(*(new_process(self.server, **CONFIGURATION) for _ in range(2)))

    def lose(self):
        self.server.client.flushall()

    @invariant()
    def all_keys_but_those_of_days_have_the_same_deadline(self):
        found = deadlines(self.cache, self.server.client)
        common = [found[name] for name in found if not name.startswith("day:")]
        # They are durations, and Redis reads its clock anew for each of them.
        assert max(common, default=0) - min(common, default=0) < 1
        assert all(deadline > 0 for deadline in found.values())


class StoreWindow(Window):
    """The window of a server with a store."""

    def __init__(self):
        Store.server.reset()  # other tests leave contents that make the store unavailable
        super().__init__()


TestStore = Store.TestCase
TestStore.settings = settings(stateful_step_count=40)
TestStoreWindow = StoreWindow.TestCase
TestStoreWindow.settings = settings(stateful_step_count=30)


@pytest.fixture(autouse=True, scope="module")
def _server_of_the_models(redis_server):
    Store.server = redis_server
    StoreWindow.settings = {"CACHES": {"records": records_cache(redis_url=redis_server.url)}}


def new_process(server, **changes):
    """Return a cache that has connections of its own."""
    connection.client.cache_clear()
    configuration = {"TIMEOUT": RETENTION * DAY, "OPTIONS": {"HISTORY": 90}}
    return RedisCache(server.url, configuration | changes)


@pytest.fixture
def raw(redis_server):
    """A client of the test's own, and a server without what other tests have left there."""
    redis_server.reset()
    return redis_server.client


@pytest.fixture
def cache(raw, redis_server):
    return new_process(redis_server)


@pytest.fixture
def full(clock, cache):
    """A cache in a store that has all keys which a store can have. It is the third day."""
    cache.put("a", RED)
    cache.put("b", None)
    clock.shift(DAY)
    cache.put("c", BLUE)
    cache.keep(TODAY, SUMMARY)
    clock.shift(DAY)
    cache.put("b", None, ["x=1"])
    return cache


def names(cache, raw):
    """Return the names of all keys of the server, without prefix and numbers."""
    found = sorted(name.decode() for name in raw.scan_iter())
    assert all(name.startswith(cache.prefix) for name in found)
    return [re.sub(r"\d+", "#", name.removeprefix(cache.prefix)) for name in found]


def dump(raw):
    """Return all that the server holds, in its order."""
    return {name: raw.dump(name) for name in raw.scan_iter()}


def calls(raw):
    """Return how many times the server has run a script."""
    return raw.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]


def connections(raw):
    return raw.info("stats")["total_connections_received"]


def size(cache):
    return cache.read().tally.size


# Which keys exist, and until when


def test_the_store_has_values_as_json_but_neither_keys_nor_the_secret(cache, raw):
    cache.put("fdb45536-cba8-4204-b352-71fc1062fd95", RED)
    assert raw.hgetall(cache.prefix + "values") == {b"1": encode(RED)}
    everything = b"".join([*dump(raw), *dump(raw).values()])
    assert b"fdb45536" not in everything
    assert cache._secret not in everything


def test_which_keys_exist_after_a_report_after_a_day_and_after_the_last_instance(clock, cache, raw):
    assert cache.put("a", None) == TODAY + RETENTION + 1
    assert names(cache, raw) == ["day:#", "meta", "tally:#"]
    cache.put("a", RED, ["x=1"])
    values = ["counts", "ids", "values"]
    assert names(cache, raw) == sorted(["day:#", "meta", "tally:#", *values])
    clock.shift(DAY)
    cache.expire()
    assert names(cache, raw) == sorted(["day:#", "meta", "raw", "tally:#", *values])
    cache.put("a", RED, ["x=1"])
    cache.keep(TODAY, SUMMARY)
    assert names(cache, raw) == sorted(["answers", "closed", "day:#", "meta", "tally:#", *values])
    clock.shift(8 * DAY)
    cache.expire()
    assert names(cache, raw) == ["closed", "meta", "raw"]
    cache.clear()
    assert names(cache, raw) == ["meta"]


def test_values_that_no_key_has_leave_nothing_behind(clock, cache, raw):
    for n in range(100):
        cache.put("a", n)
        cache.put("b", n + 1)
        cache.delete("b")
    assert [raw.hlen(cache.prefix + name) for name in ("ids", "values", "counts")] == [1] * 3
    clock.shift(DAY)
    cache.put("b", 99)  # the value of the other key, which expires before it
    clock.shift(RETENTION * DAY)
    assert size(cache) == 1
    cache.delete("b")
    assert names(cache, raw) == ["meta", "raw"]


def test_clocks_that_disagree_leave_no_empty_days_behind(clock, cache, raw):
    for _ in range(5):
        cache.expire()
        clock.shift(DAY)
        cache.expire()
        clock.shift(-DAY)
    assert raw.hget(cache.prefix + "meta", "days").count(b" ") == 1


def deadlines(cache, raw):
    """Return the deadline of each key in POSIX seconds, without the prefix and in its order."""
    found = sorted(raw.keys(f"{cache.prefix}*"))
    with raw.pipeline() as pipeline:
        for name in found:
            pipeline.pexpiretime(name)
        times = pipeline.execute()
    names = [name.decode().removeprefix(cache.prefix) for name in found]
    return {name: time / 1000 for name, time in zip(names, times, strict=True)}


def test_every_key_has_a_deadline_some_minutes_after_its_last_day(full, raw):
    before, _ = raw.time()
    full.expire()
    after = raw.time()[0] + 1
    left = (RETENTION + 0.5) * DAY + GRACE
    found = deadlines(full, raw)
    days = [found.pop(name) for name in [*found] if name.startswith("day:")]
    assert len(found) == 10
    assert all(before + left <= each <= after + left for each in found.values())
    assert sorted(round(found["meta"] - each) for each in days) == [0, DAY, 2 * DAY]


def test_deadlines_follow_the_clock(clock, full, raw):
    full.expire()
    before = deadlines(full, raw)
    for shift in (-DAY / 4, DAY / 2):
        clock.shift(shift)
        full.expire()
        after = deadlines(full, raw)
        assert after.keys() == before.keys()
        assert {round((before[name] - after[name]) / 60) for name in after} == {shift / 60}
        before = after
    clock.shift(-2 * DAY)
    full.expire()
    days = {name: each for name, each in deadlines(full, raw).items() if name.startswith("day:")}
    assert {round((deadlines(full, raw)["meta"] - each) / 60) for each in days.values()} == {0}


def test_clear_touches_nothing_of_others_and_begins_on_the_day_of_the_clock(clock, cache, raw):
    raw.set("of somebody else", "x")
    clock.move_to((TODAY + 1) * DAY)
    cache.put("a", RED)
    clock.shift(-30)  # by itself, that is too little to return to the day before
    cache.clear()
    assert size(cache) == 0
    assert cache.put("a", RED) == TODAY + RETENTION + 1
    assert raw.delete("of somebody else") == 1


@pytest.mark.parametrize("other", ["code", "secret", "retention", "history"])
def test_other_code_secrets_and_options_start_from_zero(cache, redis_server, other, monkeypatch):
    cache.put("a", RED)
    changes = {"retention": {"TIMEOUT": DAY}, "history": {"OPTIONS": {"HISTORY": 3}}}
    with override_settings(**({"SECRET_KEY": "another"} if other == "secret" else {})):
        if other == "code":
            monkeypatch.setattr("collector.cache.redis.fingerprint", lambda *names: "other")
        assert size(new_process(redis_server, **changes.get(other, {}))) == 0
    monkeypatch.undo()
    assert size(new_process(redis_server)) == 1


@pytest.mark.parametrize("number", [1, 200])
def test_the_store_does_not_tell_who_answered_what(clock, cache, raw, number):
    x, y = ([f"{n}={value}" for n in range(number)] for value in "xy")
    dumps = []
    for a, b in ((x, y), (y, x)):
        clock.move_to(NOON)
        cache.clear()
        raw.hset(cache.prefix + "meta", "epoch", "the same")
        cache.set_many({"a": RED, "b": BLUE})
        clock.shift(DAY)
        cache.put("a", RED, a)
        cache.put("b", BLUE, b)
        today = dump(raw)
        clock.shift(DAY)
        cache.expire()
        dumps.append((today, dump(raw)))
    assert dumps[0] == dumps[1]
    assert cache.prefix.encode() + b"answers" in today


# Round trips


def test_each_operation_is_one_run_and_the_first_of_a_day_three(clock, cache, raw):
    cache.put("a", RED)
    cache.put("b", RED)
    for shift, number in ((0, 1), (DAY, 3), (0, 1)):
        clock.shift(shift)
        before = calls(raw), connections(raw)
        cache.put("a", BLUE, ["x=1", "y=2"])
        assert (calls(raw) - before[0], connections(raw) - before[1]) == (number, 0)
    before = calls(raw)
    operations = [lambda: cache.get("a"), cache.read, lambda: cache.delete("a"), cache.expire]
    for operation in operations:
        operation()
    assert calls(raw) - before == len(operations)


@pytest.mark.parametrize("operation", ["put", "get", "delete"])
def test_what_has_a_digest_does_nothing_on_a_new_day(clock, full, raw, operation):
    """The server keeps the arguments of a slow command, and a new day is slow."""
    clock.shift(DAY)
    before, run = dump(raw), full.client.run
    arguments = {"put": (b"null", 1, 1)}.get(operation, ())
    digest = full._digest("a")
    constants = time.time(), RETENTION, 60
    with connection.deadline():
        assert run(full.prefix, operation, *constants, digest, *arguments) == b"NewDay"
    assert dump(raw) == before


def test_servers_whose_clocks_differ_too_much_do_not_take_turns_forever(cache, monkeypatch):
    monkeypatch.setattr(cache, "_expire", lambda: None)
    with pytest.raises(Unavailable, match="clocks"):
        cache.get("a")


def test_days_that_are_over_are_sent_again_only_if_one_has_changed(full):
    known = full.read()
    full.put("e", RED)
    new = full.read(known)
    full.put("e", RED)
    assert full.read(new) is None
    assert new.closed is known.closed
    assert new == full.read()
    full.keep(TODAY + 1, SUMMARY)
    latest = full.read(new)
    assert latest.closed == {TODAY: SUMMARY, TODAY + 1: SUMMARY}
    assert latest == full.read()
    full.put("f", RED)
    assert full.read(latest).closed is latest.closed
    assert len({known.change, new.change, latest.change}) == 3


def test_many_threads_share_eight_connections(cache, raw):
    before = connections(raw)
    with ThreadPoolExecutor(50) as threads:
        [*threads.map(lambda n: cache.put(n, RED), range(500))]
    assert size(cache) == 500
    assert connections(raw) - before <= 8


def test_a_forked_process_has_connections_of_its_own(cache, raw):
    cache.put("a", RED)
    before = connections(raw)
    if (child := os.fork()) == 0:
        os._exit(0 if cache.get("a") == RED else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert cache.get("a") == RED
    assert connections(raw) - before == 1


# What others may have written


@pytest.mark.parametrize(
    "name", ["answers", "closed", "counts", "day", "ids", "meta", "raw", "tally", "values"]
)
def test_a_key_of_another_type_makes_the_store_unavailable(clock, full, raw, name):
    for key in raw.keys(f"{full.prefix}{name}*"):
        raw.delete(key)
        raw.set(key, "x")
    assert_unavailable(clock, full)


@pytest.mark.parametrize(
    ("name", "field", "content"),
    [
        *(("meta", "day", each) for each in ("abc", "")),
        *(("meta", "days", each) for each in ("abc", "1 99999999999", "")),
        *(("meta", "since", each) for each in ("abc", "nan", "-inf", "1e300", b"\xff")),
        *(("meta", field, "abc") for field in ("change", "closed", "ids", "live")),
        ("meta", "epoch", b"\xff"),
        *(("tally:*", field, "1") for field in ("abc", "999", "-1", "1.5", b"\xff")),
        *(("tally:*", "0", count) for count in ("abc", "-5", "0", "1e999")),
        ("day:*", "the digest of a", "abc"),
        ("values", "1", b"\xff"),
        ("values", "1", "{"),
        *(("values", field, "1") for field in ("abc", b"\xff")),
        *(("closed", field, "{}") for field in ("abc", "-1", "99999999999", b"\xff")),
        ("closed", str(TODAY), b"\xff"),
        *(("raw", str(TODAY + 1), each) for each in (b"", b"x", b"\xff" * 9, b"\x91" * 5000)),
        ("raw", str(TODAY + 1), b"\x93\xce\x7f\xff\xff\xff\x90\x90"),  # [2147483647, [], []]
    ],
)
def test_other_contents_make_the_store_unavailable(clock, full, raw, name, field, content):
    field = full._digest(full.make_key("a")) if name == "day:*" else field
    for key in raw.keys(full.prefix + name):
        raw.hset(key, field, content)
    assert_unavailable(clock, full)


def test_no_record_returns_after_somebody_deleted_only_the_meta_key(full, raw):
    raw.delete(f"{full.prefix}meta")
    full.put("new", RED)
    full.put("e", GREEN)
    assert full.read().tally.counts == {encode(RED): 1, encode(GREEN): 1}


@pytest.mark.parametrize("name", ["ids", "values", "counts"])
def test_probe_fails_where_a_report_would_fail(full, raw, name):
    raw.delete(full.prefix + name)
    raw.set(full.prefix + name, "x")
    for operation in (full.probe, lambda: full.put("new", {"app": "new"})):
        with pytest.raises(Unavailable):
            operation()


def test_a_store_whose_list_of_days_is_lost_is_not_read_as_empty(full, raw):
    raw.hset(full.prefix + "meta", "days", "abc")
    with pytest.raises(Unavailable):
        full.read()


def assert_unavailable(clock, cache):
    """At least one operation is refused, and no other exception occurs."""
    refused = 0
    for _ in range(2):
        for operation in (
            cache.read,
            lambda: cache.get("a"),
            lambda: cache.put("c", GREEN, ["x=1"]),
            lambda: cache.put("d", BLUE),
            lambda: cache.keep(TODAY + 1, SUMMARY),
            lambda: cache.delete("a"),
            cache.expire,
            cache.probe,
        ):
            try:
                operation()
            except Unavailable:
                refused += 1
        clock.shift(DAY)
    assert refused


# Outages


@pytest.fixture
def own_server(tmp_path):
    """A server that a test may stop, freeze and configure; it would write to `tmp_path`."""
    server = RedisServer("--dir", str(tmp_path))
    yield server
    server.stop()


def test_a_store_that_is_lost_and_comes_back_is_counted_from_zero(own_server):
    cache = new_process(own_server)
    cache.put("a", RED)
    known = cache.read()
    own_server.stop()
    with pytest.raises(Unavailable, match="cannot be reached"):
        cache.put("b", RED)
    own_server.start()
    cache.put("b", BLUE)
    state = cache.read(known)
    assert state.tally.counts == {encode(BLUE): 1}
    assert state.since > known.since


def test_a_store_that_does_not_respond_is_not_asked_again_for_a_moment(own_server, monkeypatch):
    cache = new_process(own_server)
    cache.put("a", RED)
    own_server.freeze()
    monkeypatch.setattr(connection, "TIMEOUT", 0.2)
    with pytest.raises(Unavailable, match="cannot be reached"):
        cache.get("a")
    with pytest.raises(Unavailable, match="a moment ago"):
        cache.get("a")
    own_server.thaw()
    monkeypatch.undo()
    cache.client.away_until = 0
    assert cache.get("a") == RED


def copy(source, target, delay=0):
    with suppress(OSError):
        while content := source.recv(65536):
            time.sleep(delay)  # the delay is what is tested
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def slow_server(redis_server):
    """A proxy that delays each response of the server."""

    class Handler(BaseRequestHandler):
        def handle(self):
            with socket.create_connection(("127.0.0.1", redis_server.port)) as server:
                Thread(target=copy, args=(self.request, server), daemon=True).start()
                copy(server, self.request, 0.3)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as proxy:
        proxy.daemon_threads = True
        Thread(target=proxy.serve_forever, args=(0.01,)).start()
        yield Mock(url=f"redis://slow:password@127.0.0.1:{proxy.server_address[1]}/1")
        proxy.shutdown()


def test_a_slow_store_serves_but_no_call_waits_for_many_slow_responses(
    clock, redis_server, slow_server, raw, monkeypatch
):
    raw.acl_setuser("slow", enabled=True, passwords=["+password"], keys="*", categories=["+@all"])
    new_process(Mock(url=redis_server.url.replace("/0", "/1"))).put("a", RED)
    slow = new_process(slow_server)
    monkeypatch.setattr(connection, "TIMEOUT", 1)
    slow.put("a", RED)  # waits for two responses: to the login and to the script
    clock.shift(DAY)
    slow.client.redis.connection_pool.disconnect()
    with pytest.raises(Unavailable, match="cannot be reached"):
        slow.put("a", RED)  # four: the login, the script, the new day, the script again
    slow.client.away_until = 0
    slow.put("a", RED)


def test_without_memory_only_put_is_refused_and_changes_nothing(clock, full, raw):
    before = dump(raw)
    raw.config_set("maxmemory", 1)
    for call in (full.probe, lambda: full.put("a", BLUE), lambda: full.put("e", GREEN)):
        with pytest.raises(Unavailable, match="memory is full"):
            call()
    assert dump(raw) == before
    assert full.delete("b") is True
    clock.shift(DAY)
    assert (full.get("a"), full.get("b")) == (RED, None)
    full.keep(TODAY + 2, SUMMARY)
    state = full.read()
    assert (state.tally.day, state.tally.size) == (TODAY + 3, 2)
    assert [type(each) for each in state.closed.values()] == [bytes, bytes, Tally]
    raw.script_flush()  # as by a server that came back
    assert full.read() == state


def test_a_replica_is_left_at_once(cache, raw):
    cache.put("a", RED)
    raw.replicaof("127.0.0.1", 1)
    before = connections(raw)
    with pytest.raises(Unavailable, match="read-only replica"):
        cache.put("a", RED)
    raw.replicaof("NO", "ONE")
    assert cache.get("a") == RED
    assert connections(raw) == before + 1


def test_a_connection_that_the_server_closed_is_opened_again(cache, raw):
    cache.put("a", RED)
    for operation in (lambda: cache.get("a"), cache.probe, cache.expire):
        raw.client_kill_filter(_type="normal", skipme=True)
        operation()
    before = connections(raw)
    cache.probe()
    assert connections(raw) == before


# Servers that would break a promise


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("save", "60 1"),
        ("appendonly", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
        ("slowlog-log-slower-than", "10000"),
    ],
)
def test_a_server_that_would_break_a_promise_is_refused(own_server, option, value):
    cache = new_process(own_server)
    entry = {"LOCATION": own_server.url, "OPTIONS": {}}
    for operation in (cache.expire, cache.probe):
        cache.put("a", RED)  # on a connection that then stays open
        required = own_server.client.config_get(option)[option]
        own_server.client.config_set(option, value)
        for refused in (operation, lambda: cache.get("a")):
            with pytest.raises(Unavailable, match=f"CONFIG SET {option} "):
                refused()
        (unmet,) = RedisCache.unmet_requirements(entry)
        assert (unmet.option, unmet.value) == (option, required)
        assert RedisCache.unmet_requirements(entry | {"OPTIONS": {"UNCHECKED": True}}) == []
        own_server.client.config_set(option, required)


def test_all_requirements_are_tested():
    marks = test_a_server_that_would_break_a_promise_is_refused.pytestmark
    assert [option for option, _ in marks[0].args[1]] == [each.option for each in REQUIREMENTS]


def test_the_log_says_once_that_a_store_is_refused_and_once_that_it_is_back(cache, raw, caplog):
    raw.config_set("save", "60 1")
    for _ in range(2):
        with pytest.raises(Unavailable):
            cache.put("a", RED)
    raw.config_set("save", "")
    cache.get("a")
    cache.put("a", RED)
    refusal, recovery = [record.getMessage() for record in caplog.records]
    assert "redis-cli CONFIG SET save ''" in refusal
    assert recovery == "The store accepts reports again."
