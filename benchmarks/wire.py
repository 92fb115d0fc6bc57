"""Whatever bytes on a connection of their own, and the answers in what comes back."""

import re
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

TIMEOUT = 30  # seconds without a byte
RESET = struct.pack("ii", 1, 0)  # for SO_LINGER: the server learns of the end as of an error
HEAD = re.compile(rb"HTTP/\d\.\d (\d{3})[^\r\n]*\r\n.*?\r\n\r\n", re.DOTALL)
CHUNKED = re.compile(rb"\r\nTransfer-Encoding: chunked\r\n")
LAST_CHUNK = b"0\r\n\r\n"
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
NO_HTTP = 599  # the status of an answer that has none


def post(path: bytes, body: bytes) -> bytes:
    """A request with this body."""
    return (
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (path, len(body), body)
    )


def exchange(port: int, parts: list[bytes]) -> bytes:
    """Send all parts, and say that this is all; everything that is answered."""
    answer = b""
    with connected(port) as connection, suppress(ConnectionError):
        # A server that refuses may close before it has read all, and what it said still comes.
        with suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        while received := connection.recv(65_536):
            answer += received
    return answer


def go_away(port: int, sent: bytes, reset: bool) -> None:
    """Send as much as is taken at once, and wait for nothing."""
    with connected(port) as connection, suppress(ConnectionError, BlockingIOError):
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.setblocking(False)
        connection.send(sent)


def connected(port: int) -> socket.socket:
    """A connection on which nothing waits for more to be sent."""
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def split(answered: bytes) -> Iterator[tuple[int, bytes]]:
    """The statuses and bodies of answers in a row; NO_HTTP for what is none."""
    while answered:
        head = HEAD.match(answered)
        if head is None:
            yield NO_HTTP, answered
            return
        rest = answered[head.end() :]
        size = size_of_body(head[0], rest)
        yield int(head[1]), rest[:size]
        answered = rest[size:]


def size_of_body(head: bytes, rest: bytes) -> int:
    """How many of the bytes after a head are its body; an answer to HEAD has none."""
    if HEAD.match(rest):
        return 0
    if CHUNKED.search(head):
        return rest.find(LAST_CHUNK) + len(LAST_CHUNK)
    length = LENGTH.search(head)
    if length:
        return int(length[1])
    return len(rest) if head.startswith(b"HTTP/1.0") else 0
