"""CPU time of a report, compared with Django's own empty page.

The baseline is a view that answers with nothing, in a new Django project with its default
middleware, under gunicorn's gevent worker. Goal: a report of a new instance takes at most 0.80
times as long, at 32 and at 500 connections at once. An older baseline is printed too: a view that
reads the body and answers with as many bytes as a receipt has, in Headcount's own server.
"""

from collections.abc import Iterator
from statistics import median

from benchmarks import fleet, load
from benchmarks.goals import Goal, at_most, run
from benchmarks.servers import fresh_project, headcount, plain

GOAL = 0.80
AT_ONCE = (32, 500)


def measure(quick: bool) -> Iterator[Goal]:
    """Measure in rounds."""
    requests, rounds, times = (300, 1, 2) if quick else (1000, 7, 5)
    results: dict[int, list[tuple[float, ...]]] = {at_once: [] for at_once in AT_ONCE}
    for seed in range(rounds):
        # Where a process happens to lay out its memory is worth 1%, so each round has new servers.
        with headcount() as ours, fresh_project() as fresh, plain() as older:
            columns = ((ours, "/", 201), (fresh, "/nothing", 200), (older, "/empty", 201))
            for number in range(times):
                for at_once in AT_ONCE:
                    bodies = list(fleet.reports(requests, (seed, number, at_once)))
                    row = tuple(
                        load.cpu(
                            server, [load.report(each, path) for each in bodies], status, at_once
                        )
                        for server, path, status in columns
                    )
                    if number:  # the first time warms up
                        results[at_once].append(row)
    for at_once, rows in results.items():
        report, nothing, empty = (median(column) * 1e6 for column in zip(*rows, strict=True))
        to_nothing, to_empty = (median(row[0] / row[each] for row in rows) for each in (1, 2))
        print(
            f"{at_once} at once, CPU time of a request: report {report:.0f} us, Django's empty "
            f"page {nothing:.0f} us, empty view in our server {empty:.0f} us "
            f"(report to it: {to_empty:.2f} times)"
        )
        yield at_most(f"report to Django's empty page, {at_once} at once", to_nothing, GOAL)


if __name__ == "__main__":
    run(measure)
