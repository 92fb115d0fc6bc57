"""A load generator: one connection for each request; the status of every response is checked."""

from collections.abc import Iterable

import gevent
from gevent import socket
from gevent.pool import Pool

from benchmarks import fleet
from benchmarks.goals import Row
from benchmarks.servers import Server

TIMEOUT = 30  # seconds for one request
DISTINCT = 1000  # versions of the fleets whose `/stats` are compared


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
    """Send a request and return the body of its response; raise RuntimeError for another status."""
    response = bytearray()
    with gevent.Timeout(TIMEOUT), socket.socket() as connection:
        # `create_connection` would resolve the name in a thread, which `_stay_awake` can starve.
        connection.connect(("127.0.0.1", port))
        connection.sendall(request)
        while received := connection.recv(65_536):
            response += received
    head, _, body = response.partition(b"\r\n\r\n")
    if head.split(b" ", 2)[1:2] not in [[b"%d" % status] for status in statuses]:
        raise RuntimeError(f"expected {statuses}, got {bytes(response[:500])!r}")
    return bytes(body)


def send(port: int, requests: Iterable[bytes], at_once: int) -> None:
    """Send requests; raise RuntimeError if one gets another status than 200 or 201."""
    awake = gevent.spawn(_stay_awake)
    try:
        for _ in Pool(at_once).imap_unordered(lambda each: ask(port, each, 200, 201), requests):
            pass
    finally:
        awake.kill()


def cpu(server: Server, requests: list[bytes], at_once: int) -> float:
    """Send requests and return the CPU seconds that one takes the server."""
    before = server.cpu()
    send(server.port, requests, at_once)
    return (server.cpu() - before) / len(requests)


def stats_after_report(server: Server, reports: Iterable[bytes]) -> float:
    """Return the CPU seconds of `GET /stats` after a report, without those of the report."""
    sent = list(map(report, reports))
    alone, followed = sent[::2], sent[1::2]
    start = server.cpu()
    for each in alone:
        ask(server.port, each, 201)
    middle = server.cpu()
    for each in followed:
        ask(server.port, each, 201)
        ask(server.port, get("/stats"), 200)
    return (server.cpu() - middle) / len(followed) - (middle - start) / len(alone)


def compare_stats(one: Server, other: Server, rounds: int, requests: int) -> list[Row]:
    """Return the CPU seconds of `GET /stats` after a report on two servers, in rounds."""
    return [
        tuple(
            stats_after_report(server, fleet.reports(2 * requests, (seed, "stats"), DISTINCT))
            for server in (one, other)
        )
        for seed in range(rounds + 1)
    ][1:]  # the first round warms up


def _stay_awake() -> None:
    """Keep this process from sleeping while it waits for responses.

    On a virtual machine, waking a client that sleeps takes the server some 10 us. A faster server
    would have to wake it less often, so these microseconds would distort a comparison.
    """
    while True:
        gevent.sleep(0)
