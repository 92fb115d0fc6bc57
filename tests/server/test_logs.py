"""The logs name no one, whatever arrives, at any level, with the access log turned on."""

import socket
import struct

import pytest

from tests.servers import ID, free_port

AGENT = "Manyfold-UsageReportingJob"
HOST = f"{ID}.example.org"
FORWARDED = "203.0.113.9"
LOUD = ("--log-level", "debug", "--access-logfile", "-")

COMMON = f"Host: {HOST}\r\nUser-Agent: {AGENT}\r\nX-Forwarded-For: {FORWARDED}\r\n"
JSON = f"{COMMON}Content-Type: application/json\r\n"
REPORT = f'{{"id":"{ID}","version":{{"app":"1","sha":"x"}}}}'


def post(body, path="/", headers=JSON):
    return f"POST {path} HTTP/1.1\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}"


def get(path, method="GET", headers=COMMON, version="HTTP/1.1"):
    return f"{method} {path} {version}\r\n{headers}\r\n"


def chunked(body):
    return f"POST / HTTP/1.1\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n{body}"


SERVED = {
    "a report": post(REPORT),
    "a bad id": post(f'{{"id":"{ID}x"}}'),
    "a form": post(f"id={ID}", headers=COMMON),
    "forget": post(f'{{"id":"{ID}"}}', "/forget"),
    "too long": f"POST / HTTP/1.1\r\n{JSON}Content-Length: 99999\r\n\r\n",
    "an unknown path": get(f"/{ID}"),
    "a path that is no UTF-8": get(f"/%ff{ID}"),
    "too many filters": get("/stats?" + f"app={ID}&" * 21),
    "too many parameters": get("/stats?" + "&a" * 1500 + ID),
    "another method": get("/stats", method="DELETE"),
    "a method of its own": get("/stats", method=ID.upper()),
    "no host": get("/stats", headers=""),
    "a host with an underscore": get("/stats", headers=f"Host: a_{ID}\r\n"),
}
MALFORMED = {
    "a lower-case method": get("/", method=ID),
    "another version": get(f"/{ID}", version=f"HTTP/{ID}"),
    "a target that is no ASCII": get(f"/{ID}é"),
    "a header name with a blank": get("/", headers=f"{COMMON}{ID} x: y\r\n"),
    "a header with NUL": get("/", headers=f"{COMMON}X: {ID}\0\r\n"),
    "a long line": get(f"/{ID}" * 300),
    "a long header": get("/", headers=f"X: {ID * 300}\r\n"),
    "a long head": get("/", headers=f"X: {ID * 200}\r\n" * 5),
    "two lengths": post(REPORT, headers=f"{JSON}Content-Length: 1\r\n"),
    "an encoding": get("/", headers=f"{COMMON}Transfer-Encoding: {ID}\r\n"),
    "an expectation": get("/", headers=f"{COMMON}Expect: {ID}\r\n"),
    "a chunk size": chunked(f"{ID}\r\n"),
    "a trailer": chunked(f"0\r\n{ID}\r\n\r\n"),
    "a TLS hello": "\x16\x03\x01\x02" + ID,
}
FAILING = {
    "in a view": get(f"/stats?app={ID}"),
    "in the application": get(f"/wsgi?{ID}"),
    "in a header of ours": get(f"/header?{ID}"),
    "beside a request": get(f"/greenlet?{ID}"),
}


def cut(server, source, text):
    """Send a text and disconnect: first with a FIN, then with a RST."""
    for linger in (struct.pack("ii", 0, 0), struct.pack("ii", 1, 0)):
        with server.connect(source) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.sendall(text.encode("latin-1"))


def assert_names_no_one(text, source):
    for quoted in (ID, ID.upper(), source, AGENT, HOST, FORWARDED, "/stats", "/forget", "DELETE"):
        assert quoted not in text


@pytest.mark.parametrize("source", ["127.0.0.77", "::1"])
def test_no_line_names_anyone_whatever_arrives(start, source):
    port = free_port()
    host = "[::1]" if ":" in source else "127.0.0.1"
    server = start(*LOUD, "--bind", f"{host}:{port}", port=port).wait_for("Booting worker")
    for name, text in (SERVED | MALFORMED).items():
        response = server.exchange(text.encode("latin-1"), source=source)
        if name in SERVED:
            assert response.startswith((b"HTTP/1.1 2", b"HTTP/1.1 4")), name
        else:
            assert response[9:12] not in (b"200", b"500"), name
        cut(server, source, text[: len(text) // 2])
    server.stop()
    lines = server.output[server.output.index("Booting worker") :]
    assert_names_no_one(lines, source)
    assert "[WARNING] gunicorn.error: glogging.py:" in lines
    access = [line for line in lines.splitlines() if line.startswith("- ")]
    assert len(access) >= len(SERVED)
    assert all(line.endswith('"-" "-"') for line in access)


def test_a_failure_is_logged_with_its_location_and_without_the_request(start):
    server = start(*LOUD, wsgi="tests.server.failing").wait_until_ready()
    began = len(server.output)
    for text in FAILING.values():
        server.exchange(text.encode("latin-1"), source="127.0.0.77")
    server.wait_for("gevent: ")
    server.stop()
    lines = server.output[began:]
    assert_names_no_one(lines, "127.0.0.77")
    assert "[ERROR] django.request: status 500, ValueError at exports.py:" in lines
    assert "[ERROR] gunicorn.error: ValueError at failing.py:" in lines
    assert "[ERROR] gevent: ValueError at failing.py:" in lines
