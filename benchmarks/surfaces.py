"""Everything that can be asked with a GET: unchanged, after a report, polled, and at its longest.

A million installations of 400 versions, spread over the window and half of them renewed, and a
history of 90 days. The surfaces are the named paths of `collector.urls`, and filters. Goals:

- unchanged: at most 3 times the CPU of an empty view, whatever was asked the last time too;
- changed: at most 20 ms of CPU after a report, which is subtracted;
- the dashboard: 5 times and 50 ms, and under 60 kB compressed with all that it loads;
- polled: reports keep half their rate while 200 clients poll the surfaces;
- long: `/stats` is under 200 kB, also with 10,000 versions of the longest names.

Two loads of pollers are judged: each asks once a second beside 32 reports at once, and each asks
again at once beside 500. Asking again at once beside 32 is printed and not judged: a server that
takes all in turn leaves the reports 32 of 232 turns, 0.14 of them, however cheap a poll is.
Polls once a second are as many on a busy machine, where reports are fewer: measure on a quiet one.
"""

import gzip
import http.client
import re
import sys
import time
from collections.abc import Iterator, Set
from contextlib import contextmanager
from itertools import takewhile
from operator import length_hint
from statistics import median
from typing import NamedTuple

import gevent
from django.urls import reverse

from benchmarks import fleet, load
from benchmarks.goals import arguments, verdict
from benchmarks.servers import Server, baseline, headcount, use_django
from benchmarks.stats import one_round

DASHBOARD = "/dashboard"
UNCHANGED_GOAL = 3.0  # empty views; of the dashboard:
UNCHANGED_DASHBOARD_GOAL = 5.0
CHANGED_GOAL = 20.0  # milliseconds; of the dashboard:
CHANGED_DASHBOARD_GOAL = 50.0
COMPRESSED_GOAL = 60_000  # bytes of the dashboard with all that it loads
POLLED_GOAL = 0.5  # of the rate without pollers
LONG_GOAL = 200_000  # bytes
DISTINCT = 400
LONGEST = 10_000  # distinct versions; no more are kept
FILTERS = {
    "collector-stats": (
        "app=v0.100.0",
        "app=v*&image=*&arch=*",
        "release=0*&repository=e*&family=6*",
    ),
    "collector-badge-svg": ("release=0*",),
    "collector-dashboard": ("release=0*",),
}
FILLED = {"FILL_DISTINCT": str(DISTINCT), "FILL_SHAPE": "spread", "FILL_HISTORY": "90"}
# A minimum is more work: filters group what they match.
RULES = {"MIN_GROUP": "5"}
POLLERS = 200
# Reports at once, and seconds between two polls of a client; none: it does not wait.
JUDGED = ((32, 1.0), (500, 0.0))
LOADS = (*JUDGED, (32, 0.0))


class Surface(NamedTuple):
    """A path, the status of its answer and the length of the body."""

    path: str
    status: int
    length: int


class Sent(NamedTuple):
    """Reports that were sent, in how many seconds, and the CPU seconds of the server meanwhile."""

    reports: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Reports a second."""
        return self.reports / self.seconds


def main() -> int:
    """Measure, print the figures and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="installations")
    parser.add_argument("--requests", type=int, default=300, help="to an unchanged surface")
    parser.add_argument("--changes", type=int, default=40, help="reports, each with a GET after it")
    parser.add_argument("--seconds", type=float, default=2.0, help="of reports with pollers")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    use_django()
    room = {"FILL": str(options.count), "MAX_INSTANCES": str(options.count * 2)}
    with headcount("benchmarks.filled", **room, **FILLED, **RULES) as ours, baseline() as empty:
        surfaces = [look(ours, path) for path in paths()]
        load.send(empty.port, [load.get("/")] * options.requests, 201, 8)
        results = costs(ours, empty, surfaces, options) + polled(ours, surfaces, options)
    return verdict(*results, longest())


def paths() -> Iterator[str]:
    """The named paths that take a GET, and some of them with filters."""
    from collector.urls import urlpatterns

    for pattern in urlpatterns:
        if pattern.name and hasattr(pattern.callback.view_class, "get"):
            path = reverse(pattern.name)
            yield path
            yield from (f"{path}?{query}" for query in FILTERS.get(pattern.name, ()))


def look(server: Server, path: str) -> Surface:
    """A surface as it answers now."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.request("GET", path)
    response = connection.getresponse()
    if response.status >= 400:
        raise RuntimeError(f"{path} answers {response.status}")
    surface = Surface(path, response.status, len(response.read()))
    connection.close()
    return surface


def costs(ours: Server, empty: Server, surfaces: list[Surface], options) -> list[tuple[str, bool]]:
    """Print what each surface takes, unchanged and changed; both results."""
    ratios: dict[str, float] = {}
    taken: dict[str, float] = {}
    print(f"CPU of a GET, {options.count:,} installations, median of {options.rounds} rounds:")
    print(f"  {'':<42} {'bytes':>7}  unchanged / empty view  changed")
    for path, status, length in surfaces:
        rounds = [
            (cpu(ours, path, status, options.requests), cpu(empty, "/", 201, options.requests))
            for _ in range(options.rounds)
        ]
        ratios[path] = median(mine / other for mine, other in rounds)
        taken[path] = 1000 * median(
            one_round(ours, options.changes, (path, number), DISTINCT, path, status)
            for number in range(options.rounds)
        )
        us, empty_us = (median(column) * 1e6 for column in zip(*rounds, strict=True))
        print(
            f"  {path:<42} {length:>7,}  {us:4.0f} us / {empty_us:3.0f} = {ratios[path]:4.2f}"
            f"   {taken[path]:6.2f} ms"
        )
    times, pages = "times the empty view", set(filter(is_dashboard, ratios))
    rest = ratios.keys() - pages
    return [
        at_most("unchanged", of(rest, ratios), UNCHANGED_GOAL, times),
        at_most("changed", of(rest, taken), CHANGED_GOAL, "ms"),
        at_most("dashboard unchanged", of(pages, ratios), UNCHANGED_DASHBOARD_GOAL, times),
        at_most("dashboard changed", of(pages, taken), CHANGED_DASHBOARD_GOAL, "ms"),
        compressed(ours),
    ]


def is_dashboard(path: str) -> bool:
    """Whether a path is the dashboard's, with filters or without."""
    return path.startswith(DASHBOARD)


def of(paths: Set[str], figures: dict[str, float]) -> dict[str, float]:
    """The figures of some paths."""
    return {path: figures[path] for path in paths}


def compressed(server: Server) -> tuple[str, bool]:
    """The bytes of the dashboard, its stylesheet and its icon, as gzip makes them."""
    page = load.ask(server.port, load.get(DASHBOARD), 200)
    files = re.findall(rb'<link rel="(?:stylesheet|icon)" href="([^"]+)"', page)
    loaded = [load.ask(server.port, load.get(path.decode()), 200) for path in files]
    size = sum(len(gzip.compress(each)) for each in (page, *loaded))
    return f"dashboard: under {COMPRESSED_GOAL:,} bytes: {size:,}", size < COMPRESSED_GOAL


def at_most(name: str, figures: dict[str, float], goal: float, unit: str) -> tuple[str, bool]:
    """The result of the surface that takes the most."""
    worst = max(figures, key=figures.__getitem__)
    said = f"{name}: at most {goal:.0f} {unit}: {figures[worst]:.2f} ({worst})"
    return said, figures[worst] <= goal


def cpu(server: Server, path: str, status: int, requests: int) -> float:
    """CPU seconds of a GET, 8 at once."""
    before = server.cpu()
    load.send(server.port, [load.get(path)] * requests, status, 8)
    return (server.cpu() - before) / requests


def polled(server: Server, surfaces: list[Surface], options) -> list[tuple[str, bool]]:
    """Print the rate of reports with pollers and without; the results of those that are judged."""
    ratios = {}
    for at_once, pause in LOADS:
        rounds = []
        for number in range(options.rounds):
            seed = (at_once, pause, number)
            alone = rate(server, at_once, options.seconds, seed)
            with pollers(server, surfaces, pause) as polls:
                beside = rate(server, at_once, options.seconds, (seed, "polled"))
                answered = max(len(polls), 1)
            poll_ms = 1000 * (beside.cpu - beside.reports * alone.cpu / alone.reports) / answered
            every = POLLERS * beside.seconds / answered
            rounds.append((beside.rate / alone.rate, alone.rate, beside.rate, every, poll_ms))
        ratio, alone_rate, rate_beside, every, poll_ms = map(median, zip(*rounds, strict=True))
        ratios[at_once, pause] = ratio
        print(
            f"{POLLERS} pollers that wait {pause:.0f} s, {at_once} reports at once: "
            f"{rate_beside:,.0f} of {alone_rate:,.0f} reports/s, ratio {ratio:.2f}; "
            f"each polls every {every:.2f} s, a poll takes {poll_ms:.2f} ms of CPU"
        )
    return [reached(ratios[judged], *judged) for judged in JUDGED]


def reached(ratio: float, at_once: int, pause: float) -> tuple[str, bool]:
    """The result of one load of pollers."""
    polls = f"{at_once} reports at once, pollers that wait {pause:.0f} s"
    said = f"polled: at least {POLLED_GOAL} of the reports' rate, {polls}: {ratio:.2f}"
    return said, ratio >= POLLED_GOAL


def rate(server: Server, at_once: int, seconds: float, seed: object) -> Sent:
    """Send reports for so long."""
    reports = list(map(load.report, fleet.reports(int(10_000 * seconds), seed, DISTINCT)))
    waiting = iter(reports)
    before, begin = server.cpu(), time.monotonic()
    in_time = takewhile(lambda _: time.monotonic() < begin + seconds, waiting)
    load.send(server.port, in_time, 201, at_once)
    took = time.monotonic() - begin
    return Sent(len(reports) - length_hint(waiting), took, server.cpu() - before)


@contextmanager
def pollers(server: Server, surfaces: list[Surface], pause: float) -> Iterator[list[int]]:
    """200 clients, each with one surface, as evenly as it goes; inside, they poll.

    The list grows by the length of each answer.
    """
    answers: list[int] = []
    clients = [
        gevent.spawn(poll, server.port, surfaces[number % len(surfaces)], number, pause, answers)
        for number in range(POLLERS)
    ]
    try:
        yield answers
        for client in clients:
            if client.ready():
                client.get()  # raises what ended it
    finally:
        gevent.killall(clients)


def poll(port: int, surface: Surface, number: int, pause: float, answers: list[int]) -> None:
    """Ask for a surface again and again, and begin later than the clients before."""
    request = load.get(surface.path)
    gevent.sleep(pause * number / POLLERS)
    while True:
        due = time.monotonic() + pause
        answers.append(load.exchange(port, request, surface.status))
        gevent.sleep(max(0, due - time.monotonic()))


def longest() -> tuple[str, bool]:
    """Fill another server with the longest names, print what `/stats` takes; the result."""
    with headcount() as server:
        load.send(server.port, map(load.report, fleet.longest_reports(LONGEST, seed=0)), 201, 32)
        length = max(look(server, path).length for path in paths() if path.startswith("/stats"))
        seconds = median(one_round(server, 10, number, DISTINCT) for number in range(3))
    print(f"{LONGEST:,} versions of the longest names: {length:,} bytes, {seconds * 1000:.0f} ms")
    return f"long: under {LONG_GOAL:,} bytes: {length:,}", length < LONG_GOAL


if __name__ == "__main__":
    sys.exit(main())
