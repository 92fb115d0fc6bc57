"""A whole fleet that reports at midnight: 100,000 reports, 2,000 at once.

Each report is sent on a connection of its own. One instance in ten reports twice, the second time
with its id in upper case, and must count once. The benchmark then runs again while 50 readers poll
every named view. Goals: according to `/stats`, no report is lost or counted twice; the slowest
response takes at most 10 seconds; every view responds to every request.

For comparison, a plain Django application in a new project gets the same reports. Goal: Headcount
accepts at least as many a second. There are no readers then, because the application counts all its
reports again for each reader.
"""

import itertools
import json
import math
import resource
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import gevent
from gevent.pool import Pool

from benchmarks import fleet, load
from benchmarks.goals import Goal, at_least, at_most, run
from benchmarks.servers import fresh_project, headcount, use_django
from simulation.fleet import Fleet

SLOWEST = 10  # seconds
READERS = 50
DAYS, RELEASES = 30, 150  # of the fleet: so few versions that /stats lists each by name


class Response(NamedTuple):
    """The body of a report, that of its receipt or None if it failed, and the seconds between."""

    sent: bytes
    receipt: bytes | None
    seconds: float

    @property
    def id(self) -> str:
        """The id of the instance."""
        return str(json.loads(self.sent)["id"]).lower()


class Herd:
    """Instances that report at once while others read."""

    def __init__(self, port: int, paths: Sequence[str] = (), readers: int = 0) -> None:
        self.port = port
        self.paths = paths
        self.readers = readers
        self.responses: list[Response] = []
        self.seconds = 0.0  # for all reports
        self.reads: Counter[str] = Counter()  # by path
        self.failed_reads = 0

    def run(self, bodies: Iterable[bytes], at_once: int) -> None:
        """Send all reports."""
        reading = [gevent.spawn(self.read, number) for number in range(self.readers)]
        begin = time.perf_counter()
        self.responses = list(Pool(at_once).imap_unordered(self.report, bodies))
        self.seconds = time.perf_counter() - begin
        gevent.killall(reading)

    def report(self, body: bytes) -> Response:
        """Send one report."""
        return Response(body, *timed(self.port, load.report(body), 201))

    def read(self, number: int) -> None:
        """Read one path after another, without end."""
        start = number % len(self.paths)
        for path in itertools.cycle([*self.paths[start:], *self.paths[:start]]):
            body, _ = timed(self.port, load.get(path), 200, 302)
            self.reads[path] += 1
            self.failed_reads += body is None

    def figures(self, stats: dict[str, Any]) -> "Figures":
        """Compare what was sent with what `/stats` returns."""
        sent = {each.id: json.loads(each.sent)["version"]["app"] for each in self.responses}
        expected, counted = Counter(sent.values()), Counter(stats["versions"])
        missing = len(sent) - stats["instances"]
        return Figures(
            sent=len(self.responses),
            instances=len(sent),
            failed=sum(each.receipt is None for each in self.responses),
            lost=max((expected - counted).total(), missing),
            doubled=max((counted - expected).total(), -missing),
            slowest=round(max(each.seconds for each in self.responses), 2),
            rate=round(len(self.responses) / self.seconds),
            reads=self.reads.total(),
            unread=self.failed_reads + len(set(self.paths) - self.reads.keys()),
        )


class Figures(NamedTuple):
    """What happened to the reports and the readers."""

    sent: int
    instances: int
    failed: int
    lost: int
    doubled: int
    slowest: float  # seconds
    rate: int  # reports a second
    reads: int
    unread: int  # reads that failed, and paths that nobody read


def surfaces() -> list[str]:
    """Return the path of every named view that takes a GET; Django must be set up."""
    from django.urls import reverse

    from collector.urls import urlpatterns

    return [
        reverse(pattern.name)
        for pattern in urlpatterns
        if pattern.name and hasattr(pattern.callback.view_class, "get")
    ]


def timed(port: int, request: bytes, *statuses: int) -> tuple[bytes | None, float]:
    """Return the body of the response and the seconds it took: None and infinity if it failed."""
    begin = time.perf_counter()
    try:
        body = load.ask(port, request, *statuses)
    except (RuntimeError, OSError, gevent.Timeout):
        return None, math.inf
    return body, time.perf_counter() - begin


def with_twins(count: int, seed: int) -> Iterator[bytes]:
    """Yield reports; one instance in ten reports again, at once or after all others."""
    later = []
    instances = count * 10 // 11
    # Some instances are silent on any day, so the fleet has a few more.
    made_up = Fleet(instances * 11 // 10, DAYS, RELEASES, seed)
    for number, sent in enumerate(itertools.islice(made_up.reports(DAYS - 1), instances)):
        body = fleet.body(*sent)
        twin = body.replace(sent[0].encode(), sent[0].upper().encode())
        yield body
        if number % 20 == 0:
            yield twin
        elif number % 20 == 10:
            later.append(twin)
    yield from later


def measure(quick: bool) -> Iterator[Goal]:
    """Send the herd to Headcount, alone and with readers, and to plain Django."""
    count, at_once = (5000, 500) if quick else (100_000, 2000)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each connection is an open file
    use_django()
    bodies = list(with_twins(count, seed=0))
    baseline = stampede("plain Django", fresh_project, bodies, at_once)
    for name, readers in (("alone", 0), (f"with {READERS} readers", READERS)):
        figures = stampede(name, headcount, bodies, at_once, readers)
        exact = not (figures.failed or figures.lost or figures.doubled)
        yield f"{name}: no report failed, was lost or counted twice", exact
        yield at_most(f"{name}: slowest response", figures.slowest, SLOWEST, "s")
        if readers:
            yield f"{name}: every view responded every time", figures.unread == 0
        else:
            yield at_least("rate to plain Django", figures.rate / baseline.rate, 1)


def stampede(name: str, start: Any, bodies: list[bytes], at_once: int, readers: int = 0) -> Figures:
    """Send the herd to a server that has counted nothing yet, and print the figures."""
    with start() as server:
        herd = Herd(server.port, surfaces() if readers else (), readers)
        herd.run(bodies, at_once)
        figures = herd.figures(server.stats())
    print(f"{name}: {figures}")
    return figures


if __name__ == "__main__":
    run(measure)
