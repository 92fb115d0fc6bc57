"""From the start command to the first accepted report.

Goal: the median under a second. Python's compiled modules are there: one start comes before.
Beside it, the same server and middleware in front of an empty view.
"""

import sys
import time
from statistics import median

from benchmarks import fleet
from benchmarks.goals import arguments, verdict
from benchmarks.servers import Server, baseline, headcount

GOAL = 1.0  # seconds


def main() -> int:
    """Start both in turn, print the medians and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--starts", type=int, default=9)
    options = parser.parse_args()
    first_start(headcount()), first_start(baseline())
    times = [(first_start(headcount()), first_start(baseline())) for _ in range(options.starts)]
    ours, empty = (sorted(column) for column in zip(*times, strict=True))
    print(f"from the start command to the first report, {options.starts} starts:")
    for name, column in (("Headcount", ours), ("empty view", empty)):
        print(f"  {name:<11} median {median(column):.3f} s  ({column[0]:.3f} to {column[-1]:.3f})")
    return verdict((f"under {GOAL} s: {median(ours):.3f} s", median(ours) < GOAL))


def first_start(server: Server) -> float:
    """Seconds until a report is accepted."""
    (body,) = fleet.reports(1, seed=0)
    begin = time.perf_counter()
    server.start()
    try:
        server.wait_for("POST", "/", body)
        return time.perf_counter() - begin
    finally:
        server.stop()


if __name__ == "__main__":
    sys.exit(main())
