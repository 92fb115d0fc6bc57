"""The proxy configurations in `deploy/`, in front of the real server."""

import http.client
import http.server
import json
import re
import socket
import tempfile
import threading
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.servers import ID, ROOT, Server, free_port, needs, report

NGINX = (ROOT / "deploy" / "nginx.conf").read_text()
TRUST = {
    "# set_real_ip_from 192.0.2.7;": "set_real_ip_from 127.0.0.1;",
    "# real_ip": "real_ip",
    "burst=1000": "burst=9",
}


def statuses(proxy, bodies, source="127.0.0.1", path="/", **headers):
    """Send a body after the other on one connection; return the statuses."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, source_address=(source, 0))
    headers = {"Content-Type": "application/json"} | headers
    with closing(connection):
        statuses = []
        for body in bodies:
            connection.request("POST", path, body, headers)
            with connection.getresponse() as response:
                response.read()
                statuses.append(response.status)
        return statuses


@contextmanager
def in_front(port, name, command, replacements, folder):
    """Run a proxy with its file from `deploy/`, in which some addresses and paths are replaced."""
    text = (ROOT / "deploy" / name).read_text()
    for old, new in replacements.items():
        assert old in text
        text = text.replace(old, new)
    (folder / name).write_text(text)
    proxy = Server(command=[*command, folder / name], port=port, HOME=str(folder))
    try:
        yield proxy.wait_for_response("/readyz")
    finally:
        proxy.stop()


@contextmanager
def nginx_in_front(behind, folder, changes=MappingProxyType({})):
    needs("nginx", "nginx")
    port = free_port()
    replacements = {
        "listen 80 ": f"listen 127.0.0.1:{port} ",
        "listen [::]:80 ": f"listen [::1]:{port} ",
        "127.0.0.1:8000": behind.address,
        "/dev/shm/nginx-headcount.pid": str(folder / "nginx.pid"),
    }
    command = ["nginx", "-p", folder, "-g", "daemon off;", "-c"]
    with in_front(port, "nginx.conf", command, replacements | changes, folder) as proxy:
        yield proxy
    assert proxy.output == ""


@contextmanager
def caddy_in_front(behind, folder):
    needs("caddy", "caddy")
    port = free_port()
    replacements = {"{$DOMAIN:localhost} {": f"http://:{port} {{", "headcount:9292": behind.address}
    command = ["caddy", "run", "--adapter", "caddyfile", "--config"]
    with in_front(port, "Caddyfile", command, replacements, folder) as proxy:
        yield proxy
    assert "127.0.0" not in proxy.output


@pytest.fixture
def behind(start):
    return start().wait_until_ready()


@pytest.fixture
def nginx(behind, tmp_path):
    with nginx_in_front(behind, tmp_path) as proxy:
        yield proxy


@pytest.fixture
def syslog():
    """A socket like /dev/log: anyone may write to it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log,
    ):
        log.bind(f"{folder}/log")
        log.setblocking(False)
        Path(folder).chmod(0o755)
        Path(folder, "log").chmod(0o666)
        yield log


@pytest.fixture
def caddy(behind, tmp_path):
    with caddy_in_front(behind, tmp_path) as proxy:
        yield proxy


@pytest.fixture(params=["nginx", "caddy"])
def proxy(request):
    return request.getfixturevalue(request.param)


class Echo(http.server.BaseHTTPRequestHandler):
    """Responds to a request with its headers."""

    def do_GET(self):
        body = str(self.headers).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def echo():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        server.address = f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_proxy_passes_reports_on_and_listens_on_ipv6(proxy):
    assert proxy.post(report()).status == 201
    assert proxy.stats()["instances"] == 1
    with socket.create_connection(("::1", proxy.port), timeout=60) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("in_front", [nginx_in_front, caddy_in_front])
def test_a_proxy_passes_on_neither_a_cookie_nor_who_asks(in_front, echo, tmp_path):
    cookie = "a=secret" + "x" * 8192  # a proxy accepts as many as Headcount itself
    private = {"Cookie": cookie, "X-Forwarded-For": "192.0.2.77", "User-Agent": "secret"}
    with in_front(echo, tmp_path) as proxy:
        received = proxy.request("GET", "/", headers=private | {"If-None-Match": '"etag"'}).content
    assert b"etag" in received
    for secret in (b"secret", b"192.0.2.77", b"Forwarded", b"127.0.0.1\r\n"):
        assert secret not in received


def test_a_proxy_logs_no_address_when_headcount_is_stopped(proxy, behind):
    behind.stop()
    assert proxy.post(report()).status == 502


def test_a_proxy_does_not_pass_on_the_metrics(proxy):
    for path in ("/metrics", "/metrics/", "/%6detrics", "//metrics", "/x/../metrics"):
        response = proxy.request("GET", path)
        assert response.status == 404
        assert b"headcount" not in response.content


def test_nginx_accepts_300_instances_behind_one_address_at_once(nginx):
    """Each connection has sent most of its report before the first one sends the rest."""
    body = b'{"id": "00000000-0000-4000-8000-%012d", "version": {"app": "1", "sha": "x"}}'
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    connections = [nginx.connect() for _ in range(300)]
    for number, connection in enumerate(connections):
        text = body % number
        connection.sendall(head + b"Content-Length: %d\r\n\r\n" % len(text) + text[:-1])
    for connection in connections:
        connection.sendall(b"}")
    responses = []
    for connection in connections:
        with connection:
            responses.append(connection.recv(65536)[:12])
    assert responses == [b"HTTP/1.1 201"] * 300


def test_nginx_accepts_at_most_2500_reports_a_day_from_a_network():
    (rate,) = re.findall(r"zone=reports:10m rate=(\d+)r/m", NGINX)
    (burst,) = re.findall(r"zone=reports burst=(\d+) nodelay", NGINX)
    assert 1 + int(burst) + int(rate) * 24 * 60 <= 2500


def test_nginx_refuses_reports_when_a_network_sends_too_many(nginx):
    """Neither another address of the network nor a made-up header is a way around the limit."""
    received = []
    for number in range(1, 11):
        header = {"X-Forwarded-For": f"192.0.{number}.1"}
        received += statuses(nginx, ["{}"] * 101, f"127.0.0.{number}", **header)
    assert 1 <= received.count(429) <= 9  # 1,001 are accepted at once, and one more each minute
    assert statuses(nginx, ["{}"], "127.0.1.1") == [400]
    assert statuses(nginx, [json.dumps({"id": ID})] * 20, path="/forget") == [204] * 20
    assert nginx.request("GET", "/stats").status == 200


def test_nginx_logs_its_refusals_without_an_address(behind, tmp_path, syslog):
    changes = {"burst=1000": "burst=2", "unix:/dev/log": f"unix:{syslog.getsockname()}"}
    with nginx_in_front(behind, tmp_path, changes) as nginx:
        assert statuses(nginx, ["{}"] * 5) == [400] * 3 + [429] * 2
        assert statuses(nginx, ["{}"] * 4, path="/forget") == [400] * 3 + [429]
    lines = [syslog.recv(4096).decode() for _ in range(3)]
    kinds = [line.partition(" headcount_nginx: ")[2] for line in lines]
    assert kinds == ["refused: report", "refused: report", "refused: erasure"]
    assert "127.0.0" not in "".join(lines)


def test_nginx_limits_networks_by_the_real_address_behind_a_proxy_that_it_trusts(behind, tmp_path):
    with nginx_in_front(behind, tmp_path, TRUST) as nginx:

        def forwarded(*addresses):
            """Report as a proxy on this machine would, for each address; return the statuses."""
            return [
                statuses(nginx, ["{}"], **{"X-Forwarded-For": address})[0] for address in addresses
            ]

        assert forwarded(*(f"10.10.10.{number}" for number in range(10))) == [400] * 10
        assert forwarded("10.10.10.99", "8.8.8.8, 10.10.10.9", "::ffff:10.10.10.9") == [429] * 3
        assert forwarded("10.10.10.9, 127.0.0.1") == [429]  # two proxies, both trusted
        assert forwarded("10.10.11.1", "10.10.10.9, 10.9.10.1", "::ffff:10.10.9.1") == [400] * 3
        assert forwarded(*(f"2001:a0a:0:{number}00::1" for number in range(10))) == [400] * 10
        assert forwarded("2001:a0a::1", "2001:a0a:0:ffff:1:2:3:4") == [429] * 2
        assert forwarded("2001:a0a:1::1", "2002:a0a::1") == [400] * 2
