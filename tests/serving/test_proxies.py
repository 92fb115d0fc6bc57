"""The proxies' configurations in `deploy/`, in front of the real server."""

import os
import socket
import subprocess
import time
from uuid import uuid4

import pytest

from tests.serving.conftest import ROOT, START_TIMEOUT, Server, free_port, needs


class Proxy(Server):
    """A proxy in front of a server, as its file in `deploy/` says, on a port of its own."""

    def __init__(self, command, port, **environ):
        self.port = port
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": os.environ["PATH"]} | environ,
        )

    def wait_until_ready(self):
        until = time.monotonic() + START_TIMEOUT
        while time.monotonic() < until and self.process.poll() is None:
            try:
                assert self.request("GET", "/readyz").status == 200
                return self
            except ConnectionError:
                time.sleep(0.01)  # between two tries, while it starts
        raise AssertionError(self.end())

    def end(self):
        """End it; what it printed."""
        self.process.terminate()
        output, _ = self.process.communicate(timeout=START_TIMEOUT)
        return output


@pytest.fixture
def nginx(start, tmp_path):
    needs("nginx", "nginx")
    behind, port = start().wait_until_ready(), free_port()
    text = (ROOT / "deploy" / "nginx.conf").read_text()
    text = text.replace("listen 80 ", f"listen 127.0.0.1:{port} ")
    text = text.replace("127.0.0.1:8000", behind.address)
    text = text.replace("/dev/shm/nginx-headcount.pid", str(tmp_path / "nginx.pid"))
    configuration = tmp_path / "nginx.conf"
    configuration.write_text(text)
    command = ["nginx", "-p", tmp_path, "-c", configuration, "-g", "daemon off;"]
    proxy = Proxy(command, port).wait_until_ready()
    proxy.behind = behind
    yield proxy
    assert proxy.end() == ""


@pytest.fixture
def caddy(start, tmp_path):
    needs("caddy", "caddy")
    behind, port = start().wait_until_ready(), free_port()
    text = (ROOT / "deploy" / "Caddyfile").read_text()
    text = text.replace("{$DOMAIN:localhost} {", f"http://127.0.0.1:{port} {{")
    text = text.replace("headcount:9292", behind.address)
    configuration = tmp_path / "Caddyfile"
    configuration.write_text(text)
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", configuration]
    proxy = Proxy(command, port, HOME=str(tmp_path)).wait_until_ready()
    proxy.behind = behind
    yield proxy
    assert "127.0.0" not in proxy.end()


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
