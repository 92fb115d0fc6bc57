"""A load generator: one connection for each request; the status of every answer is checked."""

import resource
import select
import socket as blocking
import time
from collections.abc import Iterable
from typing import Any

import gevent
from gevent import socket
from gevent.pool import Pool

TIMEOUT = 30  # seconds for one request
PAUSE = 0.01  # seconds between two checks of `saturate` for answers


def report(body: bytes, path: str = "/") -> bytes:
    """Return the request with which an instance reports."""
    return (
        b"POST %b HTTP/1.1\r\nHost: tracker.example\r\nUser-Agent: Faraday v2.14.0\r\n"
        b"Accept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\nAccept: */*\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
        % (path.encode(), len(body), body)
    )


def get(path: str) -> bytes:
    """Return the request for a page."""
    return b"GET %b HTTP/1.1\r\nHost: tracker.example\r\nConnection: close\r\n\r\n" % path.encode()


def ask(port: int, request: bytes, *statuses: int) -> bytes:
    """Send a request and return the body of its answer; raise RuntimeError for another status."""
    answer = bytearray()
    with gevent.Timeout(TIMEOUT), socket.socket() as connection:
        # `create_connection` would resolve the name in a thread, which `_stay_awake` can starve.
        connection.connect(("127.0.0.1", port))
        connection.sendall(request)
        while received := connection.recv(65_536):
            answer += received
    return _body(answer, *statuses)


def send(port: int, requests: Iterable[bytes], status: int, at_once: int = 1) -> set[int]:
    """Send requests and return the lengths of the bodies; raise RuntimeError as `ask` does."""
    awake = gevent.spawn(_stay_awake)
    try:
        pool = Pool(at_once)
        return set(pool.imap_unordered(lambda each: len(ask(port, each, status)), requests))
    finally:
        awake.kill()


def saturate(port: int, requests: Iterable[bytes], status: int, at_once: int) -> None:
    """Do what `send` does with little CPU time, so that several processes can be saturated.

    The generator shares the processors with the server. If it woke for each answer, it would
    preempt a worker each time; so it handles the answers of PAUSE seconds in one go.
    """
    rest = iter(requests)
    answers: dict[int, tuple[blocking.socket, bytearray]] = {}
    with select.epoll() as poll:

        def start_next() -> None:
            for request in rest:
                connection = blocking.create_connection(("127.0.0.1", port))
                connection.sendall(request)
                answers[connection.fileno()] = connection, bytearray()
                poll.register(connection, select.EPOLLIN)
                return

        for _ in range(at_once):
            start_next()
        while answers:
            time.sleep(PAUSE)  # so that the generator rarely takes a processor from a worker
            if not (ready := poll.poll(TIMEOUT)):
                raise RuntimeError(f"no answer came within {TIMEOUT} s")
            for number, _ in ready:
                connection, answer = answers[number]
                if received := connection.recv(65_536):
                    answer += received
                    continue
                _body(answer, status)
                del answers[number]
                connection.close()
                start_next()


def cpu(server: Any, requests: list[bytes], status: int, at_once: int = 8) -> float:
    """Send requests and return the CPU seconds that one takes the server."""
    before = server.cpu()
    send(server.port, requests, status, at_once)
    return (server.cpu() - before) / len(requests)


def cpu_after_report(server: Any, path: str, reports: Iterable[bytes], status: int = 200) -> float:
    """Return the CPU seconds of a GET that follows a report, without those of the report."""
    sent, request = list(map(report, reports)), get(path)
    alone, followed = sent[::2], sent[1::2]
    start = server.cpu()
    for each in alone:
        ask(server.port, each, 201)
    middle = server.cpu()
    for each in followed:
        ask(server.port, each, 201)
        ask(server.port, request, status)
    return (server.cpu() - middle) / len(followed) - (middle - start) / len(alone)


def allow_connections(count: int = 8192) -> None:
    """Raise this process's limit of open files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, count), most))


def _stay_awake() -> None:
    """Keep this process from sleeping while it waits for answers.

    On a virtual machine, waking a client that sleeps takes the server some 10 us. A faster server
    would have to wake it less often, so these microseconds would distort a comparison.
    """
    while True:
        gevent.sleep(0)


def _body(answer: bytearray, *statuses: int) -> bytes:
    head, _, body = answer.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] not in [[b"%d" % status] for status in statuses]:
        raise RuntimeError(f"expected {statuses}, got {bytes(answer[:500])!r}")
    return bytes(body)
