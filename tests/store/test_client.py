"""The client of a store: what it refuses, and how long it waits."""

import socket
import time

import pytest

from collector.cache import Unavailable
from collector.cache.connection import TIMEOUT, Client, packed
from tests.servers import free_port

PROBE = (b"1", b"test_client:", b"probe", b"0", b"0", b"0")


@pytest.fixture
def raw(redis_server):
    yield redis_server.client
    redis_server.client.config_set("save", "")
    redis_server.client.delete("test_client:meta")


@pytest.fixture
def user(raw):
    """One who may not read the configuration."""
    raw.acl_setuser("limited", enabled=True, nopass=True, commands=["+@all", "-config"], keys=["*"])
    yield "limited"
    raw.acl_deluser("limited")


def test_it_works(redis_server, raw):
    client = Client(redis_server.url, unchecked=False)
    assert client.run(*PROBE) is None
    assert client.unmet() == []


def test_a_command_is_written_as_the_protocol_has_it():
    assert packed(b"GET", b"a\r\n") == b"*2\r\n$3\r\nGET\r\n$3\r\na\r\n\r\n"


def test_a_server_that_would_write_to_disk_is_refused(redis_server, raw, caplog):
    raw.config_set("save", "60 1")
    client = Client(redis_server.url, unchecked=False)
    with pytest.raises(Unavailable, match="redis-cli CONFIG SET save ''"):
        client.run(*PROBE)
    with pytest.raises(Unavailable):
        client.run(*PROBE)
    assert len(caplog.records) == 1


def test_a_server_that_would_write_to_disk_by_now_is_refused(redis_server, raw):
    """Also on the connections that are open already."""
    client = Client(redis_server.url, unchecked=False)
    client.run(*PROBE)
    raw.config_set("save", "60 1")
    with pytest.raises(Unavailable, match="redis-cli CONFIG SET save ''"):
        client.look()
    client.away_until = 0
    with pytest.raises(Unavailable, match="redis-cli CONFIG SET save ''"):
        client.run(*PROBE)


def test_to_look_takes_no_new_connection_and_heals_a_closed_one(redis_server, raw):
    client = Client(redis_server.url, unchecked=False)
    client.look()
    before = raw.info("stats")["total_connections_received"]
    for _ in range(9):
        client.look()
    assert raw.info("stats")["total_connections_received"] == before
    raw.client_kill_filter(_type="normal", skipme=True)
    client.look()


def test_what_is_told_once_is_taken_back(redis_server, raw, caplog):
    raw.config_set("save", "60 1")
    client = Client(redis_server.url, unchecked=False)
    with pytest.raises(Unavailable):
        client.run(*PROBE)
    raw.config_set("save", "")
    client.away_until = 0
    client.run(*PROBE)
    assert [record.getMessage() for record in caplog.records][1:] == [
        "The store takes reports again."
    ]


def test_a_server_that_does_not_tell_is_refused_unless_it_is_to_be_taken(redis_server, user):
    url = redis_server.url.replace("//", f"//{user}:x@")
    with pytest.raises(Unavailable, match="say so with REDIS_UNCHECKED=1"):
        Client(url, unchecked=False).run(*PROBE)
    assert Client(url, unchecked=True).run(*PROBE) is None


def test_a_connection_that_was_closed_is_opened_anew(redis_server, raw):
    client = Client(redis_server.url, unchecked=False)
    client.run(*PROBE)
    raw.client_kill_filter(_type="normal", skipme=True)
    assert client.run(*PROBE) is None
    raw.client_kill_filter(_type="normal", skipme=True)
    assert client.unmet() == []


def test_nobody_there():
    with pytest.raises(Unavailable, match="ConnectionError"):
        Client(f"redis://127.0.0.1:{free_port()}/0", unchecked=True).run(*PROBE)


def test_one_that_does_not_answer_is_not_asked_again_for_a_moment(monkeypatch):
    monkeypatch.setattr("collector.cache.connection.TIMEOUT", TIMEOUT)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = Client(f"redis://127.0.0.1:{silent.getsockname()[1]}/0", unchecked=True)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="TimeoutError"):
            client.run(*PROBE)
        assert time.monotonic() - began < TIMEOUT + 1
        began = time.monotonic()
        with pytest.raises(Unavailable, match="a moment ago"):
            client.run(*PROBE)
        assert time.monotonic() - began < 0.1
