"""CPU time of `GET /stats` after a report: a million instances, compared with a thousand.

Both fleets run 1,000 distinct versions and reported today. Goal: a million take at most 1.05
times as much.
"""

from collections.abc import Iterator
from statistics import median

from benchmarks import fleet, load
from benchmarks.goals import Goal, at_most, run
from benchmarks.servers import Server, headcount

GOAL = 1.05
DISTINCT = 1000


def measure(quick: bool) -> Iterator[Goal]:
    """Measure in rounds."""
    many, few, requests, rounds = (50_000, 1000, 50, 1) if quick else (1_000_000, 1000, 300, 15)
    options = {"wsgi": "benchmarks.filled", "DISTINCT": str(DISTINCT), "MAX_INSTANCES": "2000000"}
    with (
        headcount(FILL=str(many), **options) as large,
        headcount(FILL=str(few), **options) as small,
    ):
        yield at_most("/stats, many to few", compare(large, small, requests, rounds), GOAL)


def compare(large: Server, small: Server, requests: int, rounds: int) -> float:
    """Print the medians, and return the median of the ratios."""
    results = [
        [
            load.cpu_after_report(
                server, "/stats", fleet.reports(2 * requests, (seed, "stats"), DISTINCT)
            )
            for server in (large, small)
        ]
        for seed in range(rounds + 1)
    ][1:]  # the first round warms up
    for name, server, column in zip(
        ("many", "few"), (large, small), zip(*results, strict=True), strict=True
    ):
        length = len(load.ask(server.port, load.get("/stats"), 200))
        print(f"/stats, {name} instances: {median(column) * 1000:.2f} ms of CPU, {length:,} bytes")
    return median(one / other for one, other in results)


if __name__ == "__main__":
    run(measure)
