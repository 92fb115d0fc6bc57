"""CPU time of a report, compared with an empty Django view in the same server.

The baseline is what the server, Django and its middleware take: a view that reads the body and
answers with as many bytes. Goal: it takes at least 0.90 of what a report of a new instance takes,
at 32 and at 500 connections at once.
"""

from collections.abc import Iterator
from statistics import median

from benchmarks import fleet, load
from benchmarks.goals import Goal, at_least, run
from benchmarks.servers import headcount, plain

GOAL = 0.90
AT_ONCE = (32, 500)


def measure(quick: bool) -> Iterator[Goal]:
    """Measure in rounds."""
    requests, rounds = (500, 1) if quick else (4000, 11)
    results: dict[int, list[tuple[float, ...]]] = {at_once: [] for at_once in AT_ONCE}
    for seed in range(rounds):
        # Where a process happens to lay out its memory is worth 1%, so each round has new servers.
        with headcount() as ours, plain() as empty:
            warm_up = list(fleet.reports(1000, "warm up"))
            lengths = [
                load.send(server.port, (load.report(body, path) for body in warm_up), 201, 8)
                for server, path in ((ours, "/"), (empty, "/empty"))
            ]
            if lengths[0] != lengths[1]:
                raise RuntimeError(f"the answers have different lengths: {lengths}")
            for at_once in AT_ONCE:
                bodies = list(fleet.reports(requests, (seed, at_once)))
                reports = list(map(load.report, bodies))
                to_empty = [load.report(body, "/empty") for body in bodies]
                new = load.cpu(ours, reports, 201, at_once)
                baseline = load.cpu(empty, to_empty, 201, at_once)
                again = load.cpu(ours, reports, 201, at_once)
                results[at_once].append((new, again, baseline))
    for at_once, column in results.items():
        new, again, baseline = (median(each) * 1e6 for each in zip(*column, strict=True))
        ratio = median(each[2] / each[0] for each in column)
        print(
            f"{at_once} at once, CPU time of a request: new instance {new:.0f} us, the same again "
            f"{again:.0f} us ({median(each[2] / each[1] for each in column):.3f}), "
            f"empty view {baseline:.0f} us"
        )
        yield at_least(f"empty view to a new report, {at_once} at once", ratio, GOAL)


if __name__ == "__main__":
    run(measure)
