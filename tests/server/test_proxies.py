"""The proxy configurations in `deploy/`, in front of the real server."""

import os
import socket
import subprocess
from contextlib import contextmanager

import pytest

from tests.servers import ROOT, START_TIMEOUT, Server, free_port, needs, report


class Proxy(Server):
    """A proxy in front of a server."""

    def __init__(self, command, port, behind, **environ):
        self.port = port
        self.behind = behind
        self.output = ""  # `end` returns what the proxy prints
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": os.environ["PATH"]} | environ,
        )

    def end(self):
        """Stop the proxy; return what it printed."""
        self.process.terminate()
        output, _ = self.process.communicate(timeout=START_TIMEOUT)
        return output


@contextmanager
def in_front(behind, port, name, command, replacements, folder):
    """Run a proxy with its file from `deploy/`, in which some addresses and paths are replaced."""
    text = (ROOT / "deploy" / name).read_text()
    for old, new in replacements.items():
        assert old in text
        text = text.replace(old, new)
    (folder / name).write_text(text)
    proxy = Proxy([*command, folder / name], port, behind, HOME=str(folder))
    try:
        yield proxy.answers("/readyz")
    finally:
        proxy.printed = proxy.end()


@pytest.fixture
def behind(start):
    return start().wait_until_ready()


@pytest.fixture
def nginx(behind, tmp_path):
    needs("nginx", "nginx")
    port = free_port()
    replacements = {
        "listen 80 ": f"listen 127.0.0.1:{port} ",
        "127.0.0.1:8000": behind.address,
        "/dev/shm/nginx-headcount.pid": str(tmp_path / "nginx.pid"),
    }
    command = ["nginx", "-p", tmp_path, "-g", "daemon off;", "-c"]
    with in_front(behind, port, "nginx.conf", command, replacements, tmp_path) as proxy:
        yield proxy
    assert proxy.printed == ""


@pytest.fixture
def caddy(behind, tmp_path):
    needs("caddy", "caddy")
    port = free_port()
    replacements = {
        "{$DOMAIN:localhost} {": f"http://127.0.0.1:{port} {{",
        "headcount:9292": behind.address,
    }
    command = ["caddy", "run", "--adapter", "caddyfile", "--config"]
    with in_front(behind, port, "Caddyfile", command, replacements, tmp_path) as proxy:
        yield proxy
    assert "127.0.0" not in proxy.printed


@pytest.fixture(params=["nginx", "caddy"])
def proxy(request):
    return request.getfixturevalue(request.param)


def test_a_proxy_passes_reports_on(proxy):
    assert proxy.post(report()).status == 201
    assert proxy.stats()["instances"] == 1


def test_a_proxy_passes_on_the_refusal_of_a_body_that_is_too_large(proxy):
    assert proxy.post(report() | {"more": "x" * 5000}).status == 413


def test_a_proxy_compresses_a_long_page(proxy):
    response = proxy.request("GET", "/docs", headers={"Accept-Encoding": "gzip"})
    assert response.headers["Content-Encoding"] == "gzip"
    known = {"If-None-Match": response.headers["ETag"], "Accept-Encoding": "gzip"}
    assert proxy.request("GET", "/docs", headers=known).status == 304


def test_nginx_refuses_reports_when_an_address_sends_too_many(nginx):
    statuses = [nginx.post(report()).status for _ in range(40)]
    assert statuses[:20] == [201] * 20
    assert set(statuses) == {201, 429}
    assert nginx.stats()["instances"] == statuses.count(201)


def test_nginx_waits_for_slow_clients_so_that_headcount_does_not_have_to(nginx):
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


def test_caddy_logs_no_address_of_a_malformed_request_or_when_headcount_is_stopped(caddy):
    for garbage in (b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"):
        with caddy.connect("127.0.0.77") as connection:
            connection.sendall(garbage)
            connection.recv(65536)
    caddy.behind.stop()
    assert caddy.post(report()).status == 502


def test_the_caddyfile_is_valid():
    needs("caddy", "caddy")
    validate = ["caddy", "validate", "--adapter", "caddyfile", "--config", "deploy/Caddyfile"]
    environ = {"PATH": os.environ["PATH"], "DOMAIN": "count.example"}
    subprocess.run(validate, cwd=ROOT, env=environ, check=True, capture_output=True)
