"""CPU of `GET /stats` after each new report: a million installations against a thousand.

Both fleets run 1,000 distinct versions. A round sends reports, each followed by a `GET /stats`,
and then as many reports alone; their CPU is subtracted.
Goal: a million take at most 1.1 times as much as a thousand, all reported today. The second shape,
spread over the 8 days of the window and half of them renewed, is printed and not judged: there
the thousand have a row for each installation, and the million one for each version and day.
"""

import os
import subprocess
import sys
from itertools import chain
from statistics import median

from benchmarks import fleet, load
from benchmarks.goals import arguments, verdict
from benchmarks.servers import Server, headcount

GOAL = 1.1
DISTINCT = 1000


def main() -> int:
    """Measure both shapes, print the medians and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--many", type=int, default=1_000_000, help="installations")
    parser.add_argument("--few", type=int, default=1000, help="installations")
    parser.add_argument("--requests", type=int, default=300, help="of a kind in a round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ratios = {}
    for shape in ("today", "spread"):
        settings = {"FILL_DISTINCT": str(DISTINCT), "FILL_SHAPE": shape}
        settings["MAX_INSTANCES"] = str(options.many * 2)
        counts = (options.many, options.few)
        environments = [{**settings, "FILL": str(count)} for count in counts]
        with (
            headcount("benchmarks.filled", **environments[0]) as many,
            headcount("benchmarks.filled", **environments[1]) as few,
        ):
            ratios[shape] = show(shape, {many: counts[0], few: counts[1]}, options)
        for environment in environments:
            print(
                f"  {int(environment['FILL']):>9,} installations: new numbers alone "
                f"{in_process(environment):.2f} ms"
            )
    return verdict((f"at most {GOAL}, all reported today: {ratios['today']:.3f}", passes(ratios)))


def passes(ratios: dict[str, float]) -> bool:
    """Whether the goal is reached."""
    return ratios["today"] <= GOAL


def show(shape: str, servers: dict[Server, int], options) -> float:
    """Measure in rounds and print the medians; the median ratio of the rounds."""
    for server in servers:
        one_round(server, options.requests, seed=1)
    rounds = [
        [one_round(server, options.requests, seed) for server in servers]
        for seed in range(2, 2 + options.rounds)
    ]
    print(f"{shape}: CPU of one GET /stats, median of {options.rounds} rounds:")
    for (server, count), column in zip(servers.items(), zip(*rounds, strict=True), strict=True):
        body = load.exchange(server.port, load.get("/stats"), 200)
        print(f"  {count:>9,} installations: {median(column) * 1000:.2f} ms, body {body:,} bytes")
    ratios = sorted(many / few for many, few in rounds)
    print(f"  ratio {median(ratios):.3f}  (rounds {ratios[0]:.3f} to {ratios[-1]:.3f})")
    return median(ratios)


def one_round(
    server: Server,
    requests: int,
    seed: object,
    distinct: int = DISTINCT,
    path: str = "/stats",
    status: int = 200,
) -> float:
    """CPU seconds of a GET after a report: what both take, less what a report takes alone."""
    first, second = (
        list(map(load.report, fleet.reports(requests, (seed, half), distinct))) for half in (0, 1)
    )
    numbers = load.get(path)
    both = chain.from_iterable((report, numbers) for report in first)
    before = server.cpu()
    for request in both:
        load.exchange(server.port, request, status if request is numbers else 201)
    between = server.cpu()
    for request in second:
        load.exchange(server.port, request, 201)
    return (2 * between - before - server.cpu()) / requests


def in_process(environment: dict[str, str]) -> float:
    """Milliseconds of `stats.numbers` in a process of its own, filled in the same way."""
    command = [sys.executable, "-m", "benchmarks.filled"]
    return float(
        subprocess.run(
            command, env={**os.environ, **environment}, check=True, capture_output=True, text=True
        ).stdout
    )


if __name__ == "__main__":
    sys.exit(main())
