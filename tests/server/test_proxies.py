"""The proxies' configurations in `deploy/`, in front of the real server."""

import os
import socket
import subprocess
from contextlib import contextmanager
from uuid import uuid4

import pytest

from tests.servers import ROOT, START_TIMEOUT, Server, free_port, needs


class Proxy(Server):
    """A proxy in front of a server, as its file in `deploy/` says, on a port of its own."""

    def __init__(self, command, port, **environ):
        self.port = port
        self.output = ""  # what is printed comes at the end
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": os.environ["PATH"]} | environ,
        )

    def wait_until_ready(self):
        return self.answers("/readyz")

    def end(self):
        """End it; what it printed."""
        self.process.terminate()
        output, _ = self.process.communicate(timeout=START_TIMEOUT)
        return output


@contextmanager
def in_front(behind, name, command, places, tmp_path):
    """A proxy with its file of `deploy/`, in which some places are others here; ended after."""
    text = (ROOT / "deploy" / name).read_text()
    for place, here in places.items():
        assert place in text
        text = text.replace(place, here)
    configuration = tmp_path / name
    configuration.write_text(text)
    proxy = Proxy([*command, configuration], behind.proxy_port, HOME=str(tmp_path))
    proxy.behind = behind
    try:
        yield proxy.wait_until_ready()
    finally:
        proxy.printed = proxy.end()


@pytest.fixture
def behind(start):
    """The server behind, and a port for the proxy."""
    server = start().wait_until_ready()
    server.proxy_port = free_port()
    return server


@pytest.fixture
def nginx(behind, tmp_path):
    needs("nginx", "nginx")
    places = {
        "listen 80 ": f"listen 127.0.0.1:{behind.proxy_port} ",
        "127.0.0.1:8000": behind.address,
        "/dev/shm/nginx-headcount.pid": str(tmp_path / "nginx.pid"),
    }
    command = ["nginx", "-p", tmp_path, "-g", "daemon off;", "-c"]
    with in_front(behind, "nginx.conf", command, places, tmp_path) as proxy:
        yield proxy
    assert proxy.printed == ""


@pytest.fixture
def caddy(behind, tmp_path):
    needs("caddy", "caddy")
    places = {
        "{$DOMAIN:localhost} {": f"http://127.0.0.1:{behind.proxy_port} {{",
        "headcount:9292": behind.address,
    }
    command = ["caddy", "run", "--adapter", "caddyfile", "--config"]
    with in_front(behind, "Caddyfile", command, places, tmp_path) as proxy:
        yield proxy
    assert "127.0.0" not in proxy.printed


def report():
    version = {"app": "1", "sha": "x", "image": None, "arch": "arm"}
    return {"id": str(uuid4()), "version": version}


def test_nginx_passes_reports_on_until_an_address_sends_too_many(nginx):
    statuses = [nginx.post(report()).status for _ in range(40)]
    assert statuses[:20] == [201] * 20
    assert set(statuses) == {201, 429}
    assert nginx.stats()["instances"] == statuses.count(201)


def test_nginx_refuses_a_body_that_is_too_large(nginx):
    assert nginx.post(report() | {"more": "x" * 5000}).status == 413


def test_nginx_compresses_what_is_long(nginx):
    answer = nginx.request("GET", "/docs", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    known = {"If-None-Match": answer.headers["ETag"]}
    assert nginx.request("GET", "/docs", headers=known).status == 304


def test_nginx_waits_for_no_one_in_headcount_s_place(nginx):
    """Half a body never reaches the server behind."""
    with socket.create_connection(("127.0.0.1", nginx.port)) as slow:
        slow.sendall(
            b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        assert nginx.post(report()).status == 201
        metrics = nginx.behind.request("GET", "/metrics").content.decode()
        assert 'outcome="accepted"} 1.0' in metrics
        assert 'outcome="refused: body too slow"} 0.0' in metrics


def test_caddy_s_file_is_valid():
    needs("caddy", "caddy")
    validated = ["caddy", "validate", "--adapter", "caddyfile", "--config", "deploy/Caddyfile"]
    environ = {"PATH": os.environ["PATH"], "DOMAIN": "count.example"}
    subprocess.run(validated, cwd=ROOT, env=environ, check=True, capture_output=True)


def test_caddy_passes_reports_on_and_says_nothing_of_who_sent_them(caddy):
    assert caddy.post(report()).status == 201
    assert caddy.stats()["instances"] == 1
    for garbage in (b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"):
        with caddy.connect("127.0.0.77") as connection:
            connection.sendall(garbage)
            connection.recv(65536)


def test_caddy_refuses_a_body_that_is_too_large(caddy):
    assert caddy.post(report() | {"more": "x" * 5000}).status == 413


def test_caddy_tells_nobody_s_address_when_headcount_is_away(caddy):
    caddy.behind.stop()
    assert caddy.post(report()).status == 502


def test_caddy_compresses_what_is_long(caddy):
    answer = caddy.request("GET", "/docs", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
