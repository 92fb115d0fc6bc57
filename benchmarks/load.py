"""A load generator: many requests, some at once, a connection for each, every status checked."""

import resource
import select
import time
from collections.abc import Iterable
from socket import socket as plain_socket

import gevent
from gevent import socket
from gevent.pool import Pool

TIMEOUT = 30  # seconds for one request
PAUSE = 0.01  # seconds between two looks of `saturate` at what was answered


def report(body: bytes) -> bytes:
    """The request with which an installation reports; the body is one of `fleet.reports`."""
    return (
        b"POST / HTTP/1.1\r\nHost: tracker.example\r\nUser-Agent: Faraday v2.14.0\r\n"
        b"Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\nAccept: */*\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
        % (len(body), body)
    )


def get(path: str) -> bytes:
    """The request for a page."""
    return b"GET %b HTTP/1.1\r\nHost: tracker.example\r\nConnection: close\r\n\r\n" % path.encode()


def send(port: int, requests: Iterable[bytes], status: int, at_once: int = 1) -> set[int]:
    """Send each request on a connection of its own; the lengths of the answers' bodies.

    Raises RuntimeError for an answer that has another status.
    """
    awake = gevent.spawn(stay_awake)
    try:
        answers = Pool(at_once).imap_unordered(lambda each: exchange(port, each, status), requests)
        return set(answers)
    finally:
        awake.kill()


def saturate(port: int, requests: Iterable[bytes], status: int, at_once: int) -> None:
    """Do as `send`, with 60 us of CPU a request, and in bursts: for more than one process.

    They need the processors themselves. One that woke for each answer would take a processor from
    a worker each time, which costs that more than the turn itself.
    Raises RuntimeError for an answer that has another status, or none within TIMEOUT seconds.
    """
    rest = iter(requests)
    answers: dict[int, tuple[plain_socket, bytearray]] = {}
    with select.epoll() as poll:

        def begin() -> None:
            for request in rest:
                connection = plain_socket()
                connection.connect(("127.0.0.1", port))
                connection.sendall(request)
                answers[connection.fileno()] = connection, bytearray()
                poll.register(connection, select.EPOLLIN)
                return

        for _ in range(at_once):
            begin()
        while answers:
            # What is answered meanwhile is taken in one turn: a turn for each answer would push a
            # worker off its processor each time.
            time.sleep(PAUSE)
            ready = poll.poll(TIMEOUT)
            if not ready:
                raise RuntimeError(f"nothing was answered within {TIMEOUT} s")
            for number, _ in ready:
                connection, answer = answers[number]
                received = connection.recv(65_536)
                answer += received
                if not received:
                    check(answer, status)
                    del answers[number]
                    connection.close()
                    begin()


def stay_awake() -> None:
    """Keep this process from sleeping while it waits for answers.

    On a virtual machine the server pays some 10 us to wake a client that sleeps, and a faster
    server would find it awake more often: that is the generator's cost, and not to be compared.
    """
    while True:
        gevent.sleep(0)


def exchange(port: int, request: bytes, status: int) -> int:
    """Send one request; the length of the answer's body."""
    return len(ask(port, request, status))


def ask(port: int, request: bytes, *statuses: int) -> bytes:
    """Send one request; the answer's body. Raises RuntimeError for any other status."""
    answer = bytearray()  # bytes would be copied for each piece of a long one
    with gevent.Timeout(TIMEOUT), socket.socket() as connection:
        # Not `create_connection`: that asks a resolver in a thread, which `stay_awake` can starve.
        connection.connect(("127.0.0.1", port))
        connection.sendall(request)
        while received := connection.recv(65_536):
            answer += received
    return check(answer, *statuses)


def check(answer: bytearray, *statuses: int) -> bytes:
    """The body of an answer. Raises RuntimeError if it has any other status."""
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] not in [[b"%d" % status] for status in statuses]:
        raise RuntimeError(f"expected {statuses}, got {answer[:500]!r}")
    return body


def allow_connections(count: int = 8192) -> None:
    """Raise this process's limit of open files, as far as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, count), most))
