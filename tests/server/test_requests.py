"""What only a connection can send: short, long and chunked bodies, and HEAD."""

import re
import socket

import pytest

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
REPORT = (
    b'{"id":"fdb45536-cba8-4204-b352-71fc1062fd95","version":{"app":"1","sha":"x","arch":"arm"}}'
)


def exchange(server, *parts):
    """The status of the answer to what is sent, and all of the answer."""
    with server.connect() as connection:
        for part in parts:
            connection.sendall(part)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    return int(answer.split()[1]), answer


def flood(connection, most):
    """Send chunks of a byte as fast as they are taken."""
    sent = 0
    while sent < most:
        sent += connection.send(b"1\r\nx\r\n" * 10_000)


def with_length(length):
    return HEAD + b"Content-Length: %d\r\n\r\n" % length


def test_a_report(server):
    assert exchange(server, with_length(len(REPORT)), REPORT)[0] == 201


def test_no_length_is_411(server):
    chunked = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5a\r\n" + REPORT + b"\r\n0\r\n\r\n"
    assert exchange(server, chunked)[0] == 411
    assert exchange(server, HEAD + b"\r\n")[0] == 411


def test_an_empty_body_is_400(server):
    assert exchange(server, with_length(0))[0] == 400


def test_too_long_a_body_is_413_before_it_is_read(server):
    with server.connect() as connection:
        connection.sendall(with_length(10**12))
        assert b" 413 " in connection.recv(65536)


def test_a_body_shorter_than_it_says_is_400(server):
    assert exchange(server, with_length(len(REPORT) + 1), REPORT)[0] == 400


@pytest.mark.parametrize("body", [b"\xff", b'{"x":' + b"[" * 4000 + b"}", b"\0" * 4096])
def test_garbage_is_400(server, body):
    status, answer = exchange(server, with_length(len(body)), body)
    assert status == 400
    assert b'{"error":' in answer


@pytest.mark.parametrize(
    "head",
    [
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n",
        HEAD + b"Content-Length: 999999999999\r\n\r\n",
    ],
)
def test_a_body_that_floods_is_cut_off(server, head):
    with server.connect() as connection:
        connection.sendall(head)
        with pytest.raises(ConnectionError):
            flood(connection, 200_000_000)
    assert server.request("GET", "/healthz").status == 200


@pytest.mark.parametrize("value", ["utf-99''x", "utf-8''%ff", "undefined'x'%ff"])
def test_an_extended_charset_is_not_read_either(server, value):
    head = HEAD.replace(b"json", f"json; charset*={value}".encode())
    sent = head + b"Content-Length: %d\r\n\r\n" % len(REPORT)
    assert exchange(server, sent, REPORT)[0] == 201


@pytest.mark.parametrize("path", ["/", "/healthz", "/stats", "/nothing"])
@pytest.mark.parametrize("charset", ["hex", "undefined", "idna", "utf-8", "utf-16", "none-such"])
def test_a_charset_is_not_read(server, path, charset):
    for query in ("a=1", "app=1", "a&" * 1001):
        request = f"GET {path}?{query} HTTP/1.1\r\nHost: x\r\nContent-Type: a/b; charset={charset}"
        assert exchange(server, request.encode() + b"\r\n\r\n")[0] < 500
    head = HEAD.replace(b"json", f"json; charset={charset}".encode())
    sent = head + b"Content-Length: %d\r\n\r\n" % len(REPORT)
    assert exchange(server, sent, REPORT)[0] == 201


def test_a_head_has_no_body_and_draws_no_warning(server):
    for path in ("/", "/stats", "/badge", "/docs", "/healthz", "/nothing"):
        _, answer = exchange(server, f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert answer.endswith(b"\r\n\r\n")
        assert b"Content-Length" in answer
    assert "WSGI app sent body bytes" not in server.output


@pytest.mark.parametrize(
    "header",
    [b"SCRIPT_NAME: /x", b"PATH_INFO: /x", b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off"],
)
def test_no_header_of_a_proxy_is_believed(server, header):
    request = b"GET /stats HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n"
    assert exchange(server, request)[0] == 200


def test_answers_have_a_length(server):
    for path in ("/", "/stats", "/badge", "/docs", "/healthz", "/nothing"):
        _, answer = exchange(server, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b"chunked" not in answer


def test_under_a_path_prefix_every_link_has_it(start):
    server = start(PATH_PREFIX="/tracker").wait_until_ready()
    assert server.request("GET", "/").headers["Location"] == "/tracker/docs"
    page = server.request("GET", "/docs").content.decode()
    links = re.findall(r'(?:href|src)="(/[^"]*)"', page)
    assert len(links) >= 3
    for link in links:
        assert link.startswith("/tracker/")
        assert server.request("GET", link.removeprefix("/tracker")).status == 200
