"""Normal requests while two thousand slow clients are connected.

A thousand connections are silent, and a thousand stop halfway, in the head or in the body. In each
round `GET /stats`, a connection each and one after the other, is timed without them and with them.
Goal: the 99th percentile with them is at most twice the quiet one, the median of the rounds.
"""

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import median, quantiles

import psutil

from benchmarks import fleet, load
from benchmarks.goals import arguments, verdict
from benchmarks.servers import Server, headcount

GOAL = 2.0
SILENT = HALF_SENT = 1000
SETTLED_WITHIN = 30  # seconds
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HALVES = (
    b"PO",
    HEAD + b"Content-Le",
    HEAD + b"Content-Length: 100\r\n\r\n",
    HEAD + b'Content-Length: 100\r\n\r\n{"id":"fdb',
)


def main() -> int:
    """Measure in rounds, print the percentiles and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--requests", type=int, default=400, help="of a kind in a round")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    load.allow_connections()
    with headcount() as server:
        load.send(server.port, map(load.report, fleet.reports(2000, seed=0)), 201, 8)
        timed(server, options.requests)
        rounds = [one_round(server, options.requests) for _ in range(options.rounds)]
    print(f"GET /stats, {options.requests} in a row, {options.rounds} rounds, ms:")
    print(f"  {'':<10} median   p99 (median of the rounds, least to most)")
    for name, column in zip(("quiet", "with them"), zip(*rounds, strict=True), strict=True):
        middles, tails = zip(*column, strict=True)
        print(
            f"  {name:<10} {median(middles):6.2f} {median(tails):6.2f}"
            f"  ({min(tails):.2f} to {max(tails):.2f})"
        )
    ratios = sorted(slow[1] / quiet[1] for quiet, slow in rounds)
    print(f"  p99 ratio {median(ratios):.2f}  (rounds {ratios[0]:.2f} to {ratios[-1]:.2f})")
    return verdict((f"p99 ratio at most {GOAL}: {median(ratios):.2f}", median(ratios) <= GOAL))


def one_round(server: Server, requests: int) -> list[tuple[float, float]]:
    """Median and 99th percentile in milliseconds, quiet and with the slow clients."""
    quiet = timed(server, requests)
    with slow_clients(server):
        slow = timed(server, requests)
    return [quiet, slow]


def timed(server: Server, requests: int) -> tuple[float, float]:
    """Median and 99th percentile of that many requests, milliseconds."""
    request = load.get("/stats")
    taken = []
    for _ in range(requests):
        begin = time.perf_counter()
        load.exchange(server.port, request, 200)
        taken.append((time.perf_counter() - begin) * 1000)
    percentiles = quantiles(taken, n=100, method="inclusive")
    return percentiles[49], percentiles[98]


@contextmanager
def slow_clients(server: Server) -> Iterator[None]:
    """Two thousand connections; inside, the server holds all of them, also at the end."""
    worker = psutil.Process(server.worker())
    before = worker.num_fds()
    sent = [b""] * SILENT + [HALVES[number % len(HALVES)] for number in range(HALF_SENT)]
    with ExitStack() as connections:
        for half in sent:
            connection = socket.create_connection(("127.0.0.1", server.port))
            connections.enter_context(connection)
            connection.sendall(half)
        settle(lambda: worker.num_fds() >= before + len(sent))
        yield
        if worker.num_fds() < before + len(sent):
            raise RuntimeError("the server ended slow clients during the round; ask for less")
    settle(lambda: worker.num_fds() <= before)


def settle(condition) -> None:
    """Wait for a condition; RuntimeError if it does not come true."""
    deadline = time.monotonic() + SETTLED_WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"the server did not settle within {SETTLED_WITHIN} s")
        # The server closes thousands of connections on the same processors and tells nobody when
        # it is done: to look without a pause would slow it.
        time.sleep(0.05)


if __name__ == "__main__":
    sys.exit(main())
