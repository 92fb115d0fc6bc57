"""What the connections to a store refuse, and how long they wait."""

import socket
import threading
import time

import pytest

from collector.cache import InvalidURL, Unavailable
from collector.cache.connection import CONNECTIONS, TIMEOUT, StoreClient
from tests.servers import free_port

PREFIX = "test_connection:"
PROBE = (PREFIX, "probe", "0", "0", "0")


@pytest.fixture
def raw(redis_server):
    yield redis_server.client
    redis_server.client.config_set("save", "")
    redis_server.client.delete(f"{PREFIX}meta")


@pytest.fixture
def client(redis_server):
    client = StoreClient(redis_server.url, unchecked=False)
    yield client
    client.pool.disconnect()


@pytest.fixture
def user(raw):
    """A user who may not read the configuration."""
    raw.acl_setuser("limited", enabled=True, nopass=True, commands=["+@all", "-config"], keys=["*"])
    yield "limited"
    raw.acl_deluser("limited")


@pytest.fixture
def silent_server():
    """The URL of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=CONNECTIONS) as silent:
        yield f"redis://127.0.0.1:{silent.getsockname()[1]}/0"


def assert_refused(client):
    with pytest.raises(Unavailable, match="redis-cli CONFIG SET save ''"):
        client.run(*PROBE)


def test_a_server_that_would_write_to_disk_is_refused_and_logged_once(raw, client, caplog):
    raw.config_set("save", "60 1")
    for _ in range(2):
        assert_refused(client)
    assert [each.option for each in client.unmet_requirements()] == ["save"]
    assert len(caplog.records) == 1


def test_a_server_that_begins_to_write_to_disk_is_refused_on_open_connections_too(raw, client):
    client.run(*PROBE)
    raw.config_set("save", "60 1")
    with pytest.raises(Unavailable, match="redis-cli CONFIG SET save ''"):
        client.check()
    assert_refused(client)


def test_a_server_that_is_configured_well_again_is_accepted_and_logged(raw, client, caplog):
    raw.config_set("save", "60 1")
    assert_refused(client)
    raw.config_set("save", "")
    client.run(*PROBE)
    assert caplog.records[-1].getMessage() == "The store takes reports again."


def test_a_server_that_forbids_config_is_refused_unless_unchecked(redis_server, user):
    url = redis_server.url.replace("//", f"//{user}:x@")
    with pytest.raises(Unavailable, match="REDIS_UNCHECKED=1"):
        StoreClient(url, unchecked=False).run(*PROBE)
    assert StoreClient(url, unchecked=True).run(*PROBE) is None


def test_checking_opens_no_connection(raw, client):
    client.check()
    before = raw.info("stats")["total_connections_received"]
    for _ in range(9):
        client.check()
    assert raw.info("stats")["total_connections_received"] == before


@pytest.mark.parametrize("action", ["run", "check"])
def test_a_connection_that_the_server_closed_is_opened_again(raw, client, action):
    client.run(*PROBE)
    raw.client_kill_filter(_type="normal", skipme=True)
    client.run(*PROBE) if action == "run" else client.check()


def test_a_server_that_is_not_there_is_unavailable():
    with pytest.raises(Unavailable, match="ConnectionError"):
        StoreClient(f"redis://127.0.0.1:{free_port()}/0", unchecked=True).run(*PROBE)


def test_every_request_to_a_server_that_never_answers_is_refused_in_time(
    silent_server, monkeypatch
):
    monkeypatch.setattr("collector.cache.connection.TIMEOUT", TIMEOUT)  # as in production
    client, refused = StoreClient(silent_server, unchecked=True), []

    def ask():
        began = time.monotonic()
        with pytest.raises(Unavailable):
            client.run(*PROBE)
        refused.append(time.monotonic() - began)

    threads = [threading.Thread(target=ask) for _ in range(3 * CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == len(threads)
    assert max(refused) < TIMEOUT + 1  # a hundred threads take time too


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@127.0.0.1:port/0",
        "redis://:hunter2@127.0.0.1:1/zero",
        "redis://:hunter2@127.0.0.1:1/0?socket_timeout=99",
    ],
)
def test_an_invalid_url_is_refused_without_quoting_it(url):
    with pytest.raises(InvalidURL) as caught:
        StoreClient(url, unchecked=True)
    assert "hunter2" not in str(caught.value)
