"""A whole fleet at midnight: 100,000 reports, 2,000 connections at once, a connection each.

One installation in ten reports twice, half of those in the same moment, with its id in upper case:
it counts once. Then the same while 50 readers poll every surface that has a name.
Goal: none lost, none doubled, by the numbers in `/stats`; the slowest answer came within 10 s; and
every surface answered. A plain Django application, which has no surface but `/stats`, gets the
same, with readers a tenth of it: it counts every report for each of them. It is not judged.
"""

import itertools
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from statistics import median
from typing import Any, NamedTuple

import gevent
from gevent.pool import Pool

from benchmarks import fleet, load
from benchmarks.goals import arguments, verdict
from benchmarks.servers import headcount, plain, use_django
from simulation.fleet import Fleet

SLOWEST = 10  # seconds
TRIES = 10
DAYS, RELEASES = 30, 150  # of the fleet, on whose last day all report; each is listed by name


class Answer(NamedTuple):
    """A report's body, the body of its receipt, and the seconds that took; no receipt: failed."""

    sent: bytes
    receipt: bytes | None
    seconds: float

    @property
    def id(self) -> str:
        """Who reported."""
        return str(json.loads(self.sent)["id"]).lower()

    @property
    def app(self) -> str:
        """What it runs."""
        return str(json.loads(self.sent)["version"]["app"])


class Herd:
    """Installations that report at once while others read; `answers` and `reads` grow meanwhile."""

    def __init__(self, port: int, surfaces: Sequence[str] = (), readers: int = 0) -> None:
        self.port = port
        self.surfaces = surfaces
        self.readers = readers
        self.answers: list[Answer] = []
        # Seconds; infinity: it failed.
        self.reads: dict[str, list[float]] = {path: [] for path in surfaces}

    def run(self, bodies: Iterable[bytes], at_once: int) -> float:
        """Send all reports; the seconds that took."""
        reading = [gevent.spawn(self.read, number) for number in range(self.readers)]
        begin = time.perf_counter()
        try:
            for answer in Pool(at_once).imap_unordered(self.report, bodies):
                self.answers.append(answer)
            return time.perf_counter() - begin
        finally:
            gevent.killall(reading)

    def report(self, body: bytes) -> Answer:
        """Report once."""
        return Answer(body, *timed(self.port, load.report(body), 201))

    def read(self, number: int) -> None:
        """Read one surface after the other, without end."""
        start = number % len(self.surfaces)
        for path in itertools.cycle([*self.surfaces[start:], *self.surfaces[:start]]):
            _, seconds = timed(self.port, load.get(path), 200, 302)
            self.reads[path].append(seconds)


def timed(port: int, request: bytes, *statuses: int) -> tuple[bytes | None, float]:
    """The body of the answer and the seconds that took; None and infinity: it failed."""
    begin = time.perf_counter()
    try:
        body = load.ask(port, request, *statuses)
    except (RuntimeError, OSError, gevent.Timeout):
        return None, math.inf
    return body, time.perf_counter() - begin


class Figures(NamedTuple):
    """What came of a herd."""

    sent: int
    installations: int
    failed: int
    lost: int
    doubled: int
    slowest: float  # seconds
    unread: int | None  # reads that failed, and surfaces that nobody read; None: no readers


def main() -> int:
    """Send the herd to both servers, alone and with readers; print the figures and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--reports", type=int, default=100_000)
    parser.add_argument("--at-once", type=int, default=2000)
    parser.add_argument("--readers", type=int, default=50)
    options = parser.parse_args()
    load.allow_connections()
    use_django()
    bodies = list(with_twins(options.reports, seed=0))
    results = []
    for readers in (0, options.readers):
        results.append(stampede("Headcount", headcount(), bodies, options, readers, surfaces()))
        part = bodies[: len(bodies) // 10] if readers else bodies
        stampede("plain Django", plain(), part, options, readers, ["/stats"])
    return verdict(
        *itertools.chain.from_iterable(
            judged(name, figures)
            for name, figures in zip(("alone", "with readers"), results, strict=True)
        )
    )


def surfaces() -> list[str]:
    """The path of every view that has a name and answers to GET; Django is set up by now."""
    from django.urls import reverse

    from collector.urls import urlpatterns

    return [
        reverse(pattern.name)
        for pattern in urlpatterns
        if pattern.name and hasattr(pattern.callback.view_class, "get")
    ]


def with_twins(count: int, seed: int) -> Iterator[bytes]:
    """So many reports; one installation in ten reports again, at once or after all others."""
    later = []
    installations = count * 10 // 11
    # Some are silent on any day, so the fleet has some more.
    made_up = Fleet(installations * 11 // 10, DAYS, RELEASES, seed)
    for number, sent in enumerate(itertools.islice(made_up.reports(DAYS - 1), installations)):
        body = fleet.body(*sent)
        yield body
        if number % 20 == 0:
            yield in_upper_case(body)
        elif number % 20 == 10:
            later.append(in_upper_case(body))
    yield from later


def in_upper_case(body: bytes) -> bytes:
    """The same report with the id in upper case."""
    name = json.loads(body)["id"].encode()
    return body.replace(name, name.upper())


def stampede(name: str, server, bodies, options, readers: int, paths: Sequence[str]) -> Figures:
    """Send the herd to a server that counts nothing yet, and print what came of it."""
    with server:
        herd = Herd(server.port, paths, readers)
        took = herd.run(bodies, options.at_once)
        numbers = settled(server.port)
    figures = figures_of(herd, numbers)
    print(f"{name}, {options.at_once} at once, {readers} readers:")
    print(
        f"  {figures.sent:,} reports of {figures.installations:,} installations in {took:.1f} s, "
        f"{figures.sent / took:,.0f} a second"
    )
    print(f"  failed {figures.failed}, lost {figures.lost}, doubled {figures.doubled}")
    print(f"  answers: median {middle(herd):.2f} s, slowest {figures.slowest:.2f} s")
    if readers:
        reads = list(itertools.chain.from_iterable(herd.reads.values()))
        print(
            f"  {len(reads):,} reads, {len(paths)} surfaces: median {median(reads):.2f} s, "
            f"slowest {max(reads):.2f} s, failed {figures.unread}"
        )
    return figures


def settled(port: int) -> dict[str, Any]:
    """The numbers; a server may still be answering those who waited no longer."""
    for _ in range(TRIES):
        body, _ = timed(port, load.get("/stats"), 200)
        if body is not None:
            return dict(json.loads(body))
    raise RuntimeError(f"/stats did not answer {TRIES} times")


def middle(herd: Herd) -> float:
    """Seconds of the median answer."""
    return median(answer.seconds for answer in herd.answers)


def figures_of(herd: Herd, numbers: dict[str, Any]) -> Figures:
    """Compare what was sent with what `/stats` tells."""
    sent = {answer.id: answer.app for answer in herd.answers}
    lost, doubled = differences(Counter(sent.values()), numbers)
    return Figures(
        sent=len(herd.answers),
        installations=len(sent),
        failed=sum(answer.receipt is None for answer in herd.answers),
        lost=lost,
        doubled=doubled,
        slowest=max(answer.seconds for answer in herd.answers),
        unread=unread(herd) if herd.readers else None,
    )


def unread(herd: Herd) -> int:
    """How many reads failed, and how many surfaces nobody read."""
    return sum(taken.count(math.inf) + (not taken) for taken in herd.reads.values())


def differences(apps: Counter[str], numbers: dict[str, Any]) -> tuple[int, int]:
    """How many installations are lost and doubled, by version or else in all."""
    told = Counter(numbers["versions"])
    in_all = apps.total() - numbers["instances"]
    return max((apps - told).total(), in_all), max((told - apps).total(), -in_all)


def judged(name: str, figures: Figures) -> Iterator[tuple[str, bool]]:
    """The goals, and whether they were reached."""
    exact = not (figures.failed or figures.lost or figures.doubled)
    yield f"{name}: none failed, lost or doubled", exact
    yield f"{name}: slowest under {SLOWEST} s: {figures.slowest:.2f}", figures.slowest < SLOWEST
    if figures.unread is not None:
        yield f"{name}: every surface answered every time", figures.unread == 0


if __name__ == "__main__":
    sys.exit(main())
