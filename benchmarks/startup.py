"""Time from the start command to the first accepted report, and for an empty view.

Goal: the median is at most half a second. Python's compiled modules exist: one start comes before.
"""

import time
from collections.abc import Iterator
from statistics import median

from benchmarks import fleet, load
from benchmarks.goals import Goal, at_most, run
from benchmarks.servers import Server

GOAL = 0.5  # seconds
PAUSE = 0.002  # seconds between two attempts: a start sends no event, and attempts slow it


def measure(quick: bool) -> Iterator[Goal]:
    """Start both servers in turn."""
    starts = [
        (
            first_report("/"),
            first_report("/empty", DJANGO_SETTINGS_MODULE="benchmarks.plain_settings"),
        )
        for _ in range(3 if quick else 10)
    ][1:]
    ours, empty = (median(column) for column in zip(*starts, strict=True))
    print(f"from the start command to the first report: {ours:.3f} s, empty view {empty:.3f} s")
    yield at_most("first report", ours, GOAL, "s")


def first_report(path: str, **environ: str) -> float:
    """Return the seconds until a report is accepted."""
    request = load.report(next(fleet.reports(1, "startup")), path)
    begin = time.perf_counter()
    server = Server(**environ)
    try:
        while server.process.poll() is None:
            try:
                load.ask(server.port, request, 201)
                return time.perf_counter() - begin
            except ConnectionError:
                time.sleep(PAUSE)  # between two attempts, while the server starts
        raise RuntimeError(server.output)
    finally:
        server.stop()


if __name__ == "__main__":
    run(measure)
