"""Several servers on one store, and every way in which the store can fail them."""

import json
import os
import random
import re
import secrets
import signal
import threading
import time
from contextlib import suppress
from http.client import HTTPException

import psutil
import pytest
import trustme

from collector.cache.connection import CONNECTIONS
from tests.servers import free_port
from tests.store.redis_server import RedisServer

SECRET = secrets.token_urlsafe(40)
LATEST = 2  # seconds for a refusal


@pytest.fixture
def store_with():
    """Start stores with options; they end with the test."""
    stores = []

    def begin(*options):
        stores.append(RedisServer(*map(str, options)))
        return stores[-1]

    yield begin
    for server in stores:
        server.thaw()
        server.stop()


@pytest.fixture
def store(store_with):
    return store_with()


@pytest.fixture
def begin(start, store):
    """Start a server of ours on the store."""

    def begin(*arguments, **environ):
        return start(*arguments, REDIS_URL=store.url, SECRET_KEY=SECRET, **environ)

    return begin


def report(number, app="1"):
    name = f"fdb45536-cba8-4204-b352-{number:012}"
    return {"id": name, "version": {"app": app, "sha": "x", "image": None, "arch": "arm"}}


def statistics(server):
    """Return what `/stats` answers."""
    return server.request("GET", "/stats").content


# Several processes


def test_every_worker_and_server_answers_the_same_at_once(begin):
    servers = [begin("--workers", "2").wait_until_ready(), begin().wait_until_ready()]
    for n in range(20):
        servers[n % 2].post(report(n, app=str(n % 3)))
        assert len({statistics(server) for server in servers for _ in range(4)}) == 1
    assert servers[0].stats()["instances"] == 20


def test_nothing_is_forgotten_when_workers_come_and_go(begin, store):
    server = begin().wait_until_ready()
    server.post(report(1))
    server.process.send_signal(signal.SIGTTIN)
    wait_until(lambda: len(server.workers()) == 2)
    wait_until_connected(server, store)
    server.process.send_signal(signal.SIGHUP)
    server.wait_for("Worker exiting")
    wait_until_connected(server, store)
    assert server.stats()["instances"] == 1
    server.stop()
    assert begin().wait_until_ready().stats()["instances"] == 1


def test_a_worker_opens_few_connections_however_many_instances_report(begin, store):
    server = begin("--workers", "2").wait_until_ready()
    for n in range(100):  # one after the other
        server.post(report(n))
    assert connections(store) <= 4
    threads = [threading.Thread(target=server.post, args=[report(n)]) for n in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert connections(store) <= 2 * CONNECTIONS
    assert server.stats()["instances"] == 200


def connections(store):
    """Return how many connections there are besides the one of this test."""
    return len(store.client.client_list()) - 1


def test_the_tally_agrees_with_a_recount_after_workers_were_killed_in_a_storm(begin, store):
    server = begin("--workers", "2").wait_until_ready()
    ended = threading.Event()

    def storm(seed):
        dice = random.Random(seed)
        while not ended.is_set():
            sent = report(dice.randrange(200), app=str(dice.randrange(9)))
            with suppress(OSError, HTTPException):  # the worker was killed
                if dice.random() < 0.2:
                    server.post({"id": sent["id"]}, "/forget")
                else:
                    server.post(sent)

    threads = [threading.Thread(target=storm, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(8):
        time.sleep(0.4)  # of storm
        with suppress(ProcessLookupError):
            os.kill(random.choice(server.workers()), signal.SIGKILL)
    ended.set()
    for thread in threads:
        thread.join()
    wait_until_connected(server, store)
    assert counted(store) == recounted(store)
    assert server.stats()["instances"] == sum(counted(store).values()) > 50


def counted(store):
    """Return the tally as the store holds it, by expiry and code."""
    return {
        (key.rpartition(b":")[2], code): int(size)
        for key in store.client.scan_iter("*}:tally:*")
        for code, size in store.client.hgetall(key).items()
    }


def recounted(store):
    """Return the same, counted record by record."""
    sums = {}
    for key in store.client.scan_iter("*}:records:*"):
        for code in store.client.hvals(key):
            place = (key.rpartition(b":")[2], code)
            sums[place] = sums.get(place, 0) + 1
    return sums


# Outages


def test_a_server_starts_without_its_store_and_uses_it_when_it_comes(begin, store):
    store.stop()
    server = begin().wait_for("Booting worker")
    server.answers("/healthz")
    assert_away(server)
    store.start()
    assert_back(server)


def test_reports_are_refused_while_the_store_is_gone_and_accepted_when_it_is_back(begin, store):
    server = begin().wait_until_ready()
    server.post(report(1))
    store.stop()
    assert_away(server)
    store.start()
    assert_back(server)
    assert server.stats()["instances"] == 1


def test_reports_are_refused_in_time_while_the_store_is_frozen(begin, store):
    server = begin().wait_until_ready()
    server.post(report(2))
    store.freeze()
    assert_away(server)
    store.thaw()
    assert_back(server)


def test_a_crowd_of_reports_is_refused_in_time_while_the_store_is_frozen(begin, store):
    server = begin().wait_until_ready()
    store.freeze()
    took = []

    def visit(n):
        began = time.monotonic()
        assert server.post(report(n)).status == 503
        took.append(time.monotonic() - began)

    threads = [threading.Thread(target=visit, args=(n,)) for n in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(took) == 100
    assert max(took) < LATEST + 1  # a hundred clients of one process take time too


def test_a_store_without_memory_refuses_reports_and_can_be_read(begin, store):
    server = begin().wait_until_ready()
    server.post(report(1))
    store.client.config_set("maxmemory", 1)
    assert_takes_no_reports(server)
    for n in range(9):  # reading works, and is no reason for a line
        assert server.stats()["instances"] == 1
        assert server.post(report(n)).status == 503
    assert server.output.count("The store takes") == 1
    assert server.post({"id": report(1)["id"]}, "/forget").status == 204
    store.client.config_set("maxmemory", 0)
    assert_back(server)


def test_a_store_that_became_a_replica_refuses_reports(begin, store):
    server = begin().wait_until_ready()
    server.post(report(1))
    store.client.replicaof("127.0.0.1", 1)
    assert_takes_no_reports(server)
    store.client.replicaof("NO", "ONE")
    assert_back(server)


def test_a_store_that_comes_back_configured_to_write_to_disk_is_refused(begin, store, tmp_path):
    server = begin().wait_until_ready()
    store.stop()
    store.options = ("--save", "3600 1", "--dir", str(tmp_path))
    store.start()
    assert server.post(report(1)).status == 503
    wait_until(lambda: "would write to disk: its option `save` is on" in server.output)
    store.client.config_set("save", "")
    assert_back(server)


def test_a_store_that_is_configured_to_write_to_disk_meanwhile_is_refused(
    start, store_with, tmp_path
):
    store = store_with("--dir", tmp_path)
    server = start(REDIS_URL=store.url, SECRET_KEY=SECRET).wait_until_ready()
    server.post(report(1))
    store.client.config_set("save", "3600 1")
    assert is_refused(server, "GET", "/readyz")
    assert server.post(report(1)).status == 503
    assert "redis-cli CONFIG SET save ''" in server.output
    store.client.config_set("save", "")
    assert_back(server)


def assert_away(server):
    assert_takes_no_reports(server)
    assert is_refused(server, "GET", "/stats")
    for path in ("/badge.json", "/badge.svg"):
        assert b"unknown" in server.request("GET", path).content


def assert_takes_no_reports(server):
    for _ in range(5):
        assert is_refused(server, "POST", "/", report(1))
        assert is_refused(server, "GET", "/readyz")
    for path, status in (("/healthz", 200), ("/docs", 200), ("/", 302)):
        assert server.request("GET", path).status == status
    assert "Traceback" not in server.output
    assert len(re.findall("takes no reports", server.output)) == 1
    assert len(server.output.splitlines()) < 20


def is_refused(server, method, path, body=None):
    """Return whether a request is refused in time, with the time to try again."""
    began = time.monotonic()
    headers = {"Content-Type": "application/json"}
    answer = server.request(method, path, json.dumps(body), headers)
    assert time.monotonic() - began < LATEST
    return answer.status == 503 and answer.headers["Retry-After"] == "60"


def assert_back(server):
    """Reports are accepted soon, without restarting anything."""
    wait_until(lambda: server.request("GET", "/readyz").status == 200)
    assert server.post(report(1)).status == 201
    wait_until(lambda: "The store takes reports again" in server.output)
    assert "Traceback" not in server.output


def wait_until_connected(server, store):
    """Wait until every worker is connected: gunicorn loses a signal to one that is starting."""
    wait_until(lambda: all(is_connected(worker, store.port) for worker in server.workers()))


def is_connected(worker, port):
    with suppress(psutil.Error):
        connections = psutil.Process(worker).net_connections("tcp")
        return any(each.raddr and each.raddr.port == port for each in connections)
    return False


def wait_until(condition):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)  # between two looks


# What is refused at the start


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("save", "3600 1", "redis-cli CONFIG SET save ''"),
        ("appendonly", "yes", "redis-cli CONFIG SET appendonly no"),
        ("maxmemory-policy", "allkeys-lru", "redis-cli CONFIG SET maxmemory-policy noeviction"),
    ],
)
def test_a_store_that_would_break_a_promise_aborts_startup(
    begin, store, tmp_path, option, value, sentence
):
    store.stop()
    store.options = ("--dir", str(tmp_path), f"--{option}", value)
    store.start()
    server = begin()
    assert server.wait_until_ended() > 0
    assert sentence in server.output
    assert "Traceback" not in server.output


def test_a_store_that_forbids_config_is_accepted_only_if_unchecked(begin, store):
    store.client.acl_setuser(
        "default", enabled=True, nopass=True, commands=["+@all", "-config"], keys=["*"]
    )
    server = begin()
    assert server.wait_until_ended() > 0
    assert "say so with REDIS_UNCHECKED=1" in server.output
    server = begin(REDIS_UNCHECKED="1").wait_until_ready()
    assert server.post(report(1)).status == 201


def test_a_store_without_a_secret_aborts_startup(start, store):
    server = start(REDIS_URL=store.url)
    assert server.wait_until_ended() == 1
    assert "Set SECRET_KEY" in server.output
    assert "Traceback" not in server.output


# Ways to reach it


def test_a_store_is_reached_with_a_password_and_through_a_socket(start, store_with, tmp_path):
    where = tmp_path / "store.sock"
    locked = store_with("--unixsocket", where, "--unixsocketperm", 700)
    locked.client.config_set("requirepass", "hunter2")
    for url in (f"unix://:hunter2@{where}?db=1", f"redis://:hunter2@127.0.0.1:{locked.port}/1"):
        server = start(REDIS_URL=url, SECRET_KEY=SECRET).wait_until_ready()
        assert server.post(report(1)).status == 201
        assert server.stats()["instances"] == 1
        assert "hunter2" not in server.output
        server.stop()
    server = start(REDIS_URL=locked.url, SECRET_KEY=SECRET).wait_for("Booting worker")
    server.answers("/healthz")
    assert server.post(report(1)).status == 503
    assert "AuthenticationError" in server.output


def test_a_store_is_reached_by_tls_only_if_its_certificate_is_trusted(start, store_with, tmp_path):
    authority, certificate = tmp_path / "authority.pem", tmp_path / "certificate.pem"
    made = trustme.CA()
    made.cert_pem.write_to_path(authority)
    made.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    port = free_port()
    options = ("--tls-port", port, "--tls-auth-clients", "no", "--tls-ca-cert-file", authority)
    files = ("--tls-cert-file", certificate, "--tls-key-file", certificate)
    locked = store_with(*options, *files)
    url = f"rediss://127.0.0.1:{port}/0"
    for trusting in (
        {"REDIS_URL": f"{url}?ssl_ca_certs={authority}"},
        {"REDIS_URL": url, "SSL_CERT_FILE": str(authority)},
    ):
        server = start(SECRET_KEY=SECRET, **trusting).wait_until_ready()
        assert server.post(report(1)).status == 201
        assert server.stats()["instances"] == 1
        server.stop()
    server = start(REDIS_URL=url, SECRET_KEY=SECRET).wait_for("Booting worker")
    server.answers("/healthz")
    assert_takes_no_reports(server)
    assert locked.client.dbsize() > 0  # what the others reported
