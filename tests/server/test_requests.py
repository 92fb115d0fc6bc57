"""What only a raw connection can send: short, long and chunked bodies, odd headers, and HEAD."""

import re

import pytest

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
REPORT = (
    b'{"id":"fdb45536-cba8-4204-b352-71fc1062fd95","version":{"app":"1","sha":"x","arch":"arm"}}'
)


def status_of(response):
    return int(response.split()[1])


def flood(connection, most):
    """Send chunks of one byte as fast as the server reads them."""
    sent = 0
    while sent < most:
        sent += connection.send(b"1\r\nx\r\n" * 10_000)


def with_length(length, head=HEAD):
    return head + b"Content-Length: %d\r\n\r\n" % length


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        (with_length(len(REPORT)), REPORT, 201),
        (HEAD + CHUNKED, b"5a\r\n" + REPORT + b"\r\n0\r\n\r\n", 411),
        (with_length(len(REPORT) + 1), REPORT, 400),
        (with_length(10**12), b"", 413),
    ],
    ids=["report", "chunks", "too short", "too long"],
)
def test_the_status_depends_on_the_length_and_the_body(server, head, body, status):
    response = server.exchange(head, body)
    assert status_of(response) == status
    assert (b'{"error":' in response) == (status >= 400)


@pytest.mark.parametrize("head", [b"GET /healthz HTTP/1.1\r\nHost: x\r\n", HEAD])
@pytest.mark.parametrize("framing", [CHUNKED, b"Content-Length: 999999999999\r\n\r\n"])
def test_a_client_that_floods_the_server_with_a_body_is_cut_off(server, head, framing):
    with server.connect() as connection:
        connection.sendall(head + framing)
        with pytest.raises(ConnectionError):
            flood(connection, 200_000_000)
    assert server.request("GET", "/healthz").status == 200


@pytest.mark.parametrize(
    "charset",
    ["charset=hex", "charset=undefined", "charset*=utf-99''x", "charset*=undefined'x'%ff"],
)
def test_no_charset_changes_or_breaks_a_response(server, charset):
    for path in ("/", "/healthz", "/stats", "/nothing"):
        for query in ("a=1", "app=1", "a&" * 1001):
            request = f"GET {path}?{query} HTTP/1.1\r\nHost: x\r\nContent-Type: a/b; {charset}"
            assert status_of(server.exchange(request.encode() + b"\r\n\r\n")) < 500
    head = HEAD.replace(b"json", f"json; {charset}".encode())
    assert status_of(server.exchange(with_length(len(REPORT), head), REPORT)) == 201


@pytest.mark.parametrize(
    ("fields", "passes"),
    [
        ([8000], True),  # of cookies, as other programs on the same host set them
        ([4000, 4000, 4000], True),
        ([100] * 90, True),
        ([9000], False),
        ([8000, 8000, 8000, 8000], False),
        ([10] * 101, False),
    ],
)
def test_a_long_head_passes_up_to_a_limit(server, fields, passes):
    lines = b"".join(b"Cookie: a=%s\r\n" % (b"0" * length) for length in fields)
    response = server.exchange(b"GET /dashboard HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n")
    # A client that still sends may see the reset before it sees the refusal.
    assert response[9:12] in ((b"200",) if passes else (b"431", b""))


@pytest.mark.parametrize(
    "header",
    [b"SCRIPT_NAME: /x", b"PATH_INFO: /x", b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off"],
)
def test_the_server_trusts_no_header_of_a_proxy(server, header):
    request = b"GET /stats HTTP/1.1\r\nHost: x\r\n" + header + b"\r\n\r\n"
    assert status_of(server.exchange(request)) == 200


def test_with_a_path_prefix_every_link_has_it(start):
    server = start(PATH_PREFIX="/tracker").wait_until_ready()
    assert server.request("GET", "/").headers["Location"] == "/tracker/docs"
    page = server.request("GET", "/docs").content.decode()
    links = re.findall(r'(?:href|src)="(/[^"]*)"', page)
    assert len(links) >= 3
    for link in links:
        assert link.startswith("/tracker/")
        assert server.request("GET", link.removeprefix("/tracker")).status == 200
