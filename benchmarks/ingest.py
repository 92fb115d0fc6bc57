"""CPU time of a report, compared with Django's own empty page, and of the answers in a report.

The baseline is a view that responds with nothing, in a new Django project with its default
middleware, under gunicorn's gevent worker. Goals: a report of a new instance takes at most 0.80
times as long, at 32 and at 500 connections at once; and a report with four answers takes at most
1.1 times as long as one to a server without questions. These answers count, because their instances
reported on the day before.
"""

from collections.abc import Iterator

from benchmarks import fleet, load
from benchmarks.goals import Goal, Row, at_most, ratio, run
from benchmarks.servers import filled, fresh_project, headcount

REPORT, ANSWERS = 0.80, 1.1
AT_ONCE = (32, 500)
CONFIG = "benchmarks/questions.toml"


def measure(quick: bool) -> Iterator[Goal]:
    """Measure in rounds. Each has new servers, because the layout of their memory is worth 1%."""
    requests, rounds, times = (300, 1, 3) if quick else (500, 5, 6)
    results: dict[int, list[Row]] = {at_once: [] for at_once in AT_ONCE}
    for seed in range(rounds):
        with headcount() as ours, fresh_project() as fresh:
            for number in range(times):
                for at_once, rows in results.items():
                    bodies = list(fleet.reports(requests, (seed, number, at_once)))
                    row = tuple(
                        load.cpu(server, [load.report(each, path) for each in bodies], at_once)
                        for server, path in ((ours, "/"), (fresh, "/nothing"))
                    )
                    if number:  # the first time warms up
                        rows.append(row)
    for at_once, rows in results.items():
        figure = ratio(f"CPU of a report and of the empty page, {at_once} at once", rows)
        yield at_most(f"report to Django's empty page, {at_once} at once", figure, REPORT)
    rows = [row for _ in range(rounds) for row in answered(requests, times)]
    figure = ratio("CPU of a report with four answers and of one without", rows)
    yield at_most("report with four answers to one without", figure, ANSWERS)


def answered(requests: int, times: int) -> Iterator[Row]:
    """Yield the CPU seconds of a report with answers, and of one to a server without questions."""
    names = list(fleet.ids(requests * times, "filled"))
    yesterday = {"instances": len(names), "oldest": 1, "newest": 1}
    with filled(CONFIG, **yesterday) as asking, filled(**yesterday) as other:
        for start in range(0, len(names), requests):
            row = []
            for server, more in ((asking, {"answers": fleet.ANSWERS}), (other, {})):
                bodies = [
                    fleet.body(name, fleet.version(number, 400), **more)
                    for number, name in enumerate(names[start : start + requests])
                ]
                row.append(load.cpu(server, list(map(load.report, bodies)), AT_ONCE[0]))
            if start:  # the first time warms up
                yield tuple(row)
        if asking.stats()["established"] < len(names):
            raise RuntimeError("an instance did not report on the day before")


if __name__ == "__main__":
    run(measure)
