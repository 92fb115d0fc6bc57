"""Time of a request while two thousand slow clients are connected, compared with none.

A thousand connections are silent, and a thousand stop in the middle of the head or the body. Goal:
the 99th percentile of `GET /stats`, one after another, is at most twice that without them, in the
median round.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median, quantiles

from benchmarks import fleet, load
from benchmarks.goals import Goal, at_most, run
from benchmarks.servers import Server, headcount

GOAL = 2.0
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HALVES = (
    b"PO",
    HEAD + b"Content-Le",
    HEAD + b"Content-Length: 100\r\n\r\n",
    HEAD + b'Content-Length: 100\r\n\r\n{"id":"fdb',
)
SLOW = [b"", b"", b"", b"", *HALVES] * 250


def measure(quick: bool) -> Iterator[Goal]:
    """Measure in rounds, without and with the slow clients."""
    requests, rounds = (100, 1) if quick else (400, 7)
    load.allow_connections()
    results = []
    with headcount() as server:
        load.send(server.port, map(load.report, fleet.reports(2000, seed=0)), 201, 8)
        percentile_99(server, requests)
        for _ in range(rounds):
            quiet = percentile_99(server, requests)
            with slow_clients(server):
                results.append((percentile_99(server, requests), quiet))
    slow, quiet = (median(column) for column in zip(*results, strict=True))
    print(f"99th percentile: {slow:.2f} ms with {len(SLOW):,} slow clients, {quiet:.2f} ms without")
    yield at_most("99th percentile", median(slow / quiet for slow, quiet in results), GOAL)


def percentile_99(server: Server, requests: int) -> float:
    """Return the 99th percentile of the milliseconds that a request takes."""
    durations = []
    for _ in range(requests):
        begin = time.perf_counter()
        load.ask(server.port, load.get("/stats"), 200)
        durations.append((time.perf_counter() - begin) * 1000)
    return quantiles(durations, n=100, method="inclusive")[98]


@contextmanager
def slow_clients(server: Server) -> Iterator[None]:
    """Connect the slow clients; the server holds all of them until the end."""
    worker = server.worker()
    before = worker.num_fds()
    with ExitStack() as connections:
        for half in SLOW:
            connection = socket.create_connection(("127.0.0.1", server.port))
            connections.enter_context(connection).sendall(half)
        server.wait_until(lambda: worker.num_fds() >= before + len(SLOW))
        yield
        if worker.num_fds() < before + len(SLOW):
            raise RuntimeError("the server ended slow clients during the round; send less")
    server.wait_until(lambda: worker.num_fds() <= before)


if __name__ == "__main__":
    run(measure)
