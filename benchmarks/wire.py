"""Any bytes on a connection of their own, and the responses in what comes back."""

import re
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

TIMEOUT = 30  # seconds without a byte
RESET = struct.pack("ii", 1, 0)  # for SO_LINGER: closing the connection resets it
HEAD = re.compile(rb"HTTP/\d\.\d (\d{3})[^\r\n]*\r\n.*?\r\n\r\n", re.DOTALL)
CHUNKED = re.compile(rb"\r\nTransfer-Encoding: chunked\r\n")
LAST_CHUNK = b"0\r\n\r\n"
LENGTH = re.compile(rb"\r\nContent-Length: (\d+)\r\n", re.IGNORECASE)
NOT_HTTP = 599  # the status of a response that has none


def exchange(port: int, *parts: bytes) -> list[tuple[int, bytes]]:
    """Send all parts, close the sending side, and return the status and body of each response."""
    received = b""
    with connected(port) as connection, suppress(ConnectionError):
        # A server that refuses a request may close before it has read all of it.
        with suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        with suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
        while piece := connection.recv(65_536):
            received += piece
    return list(responses(received))


def leave(port: int, sent: bytes, reset: bool) -> None:
    """Send as much as the server accepts at once, and close or reset the connection."""
    with connected(port) as connection, suppress(ConnectionError, BlockingIOError):
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        connection.setblocking(False)
        connection.send(sent)


def connected(port: int) -> socket.socket:
    """Return a connection that sends small parts without delay."""
    connection = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def responses(received: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the status and body of each response; NOT_HTTP for what is not one."""
    while received:
        head = HEAD.match(received)
        if head is None:
            yield NOT_HTTP, received
            return
        rest = received[head.end() :]
        size = size_of_body(head[0], rest)
        yield int(head[1]), rest[:size]
        received = rest[size:]


def size_of_body(head: bytes, rest: bytes) -> int:
    """Return how many of the bytes after a head are its body; a response to HEAD has none."""
    if HEAD.match(rest):
        return 0
    if CHUNKED.search(head):
        return rest.find(LAST_CHUNK) + len(LAST_CHUNK)
    if length := LENGTH.search(head):
        return int(length[1])
    return len(rest) if head.startswith(b"HTTP/1.0") else 0
