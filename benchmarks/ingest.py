"""CPU of the ingest against an empty Django view in the same server, a connection a request.

Goal: the empty view takes at least 0.90 of what a report from a new installation takes, at 32 and
at 500 connections at once. The exit status is 1 if it takes less.
"""

import sys
from statistics import median
from typing import NamedTuple

from benchmarks import fleet, load
from benchmarks.goals import arguments, verdict
from benchmarks.servers import Server, baseline, headcount

GOAL = 0.90


class Seconds(NamedTuple):
    """CPU seconds a request."""

    new: float  # ids that Headcount had not seen
    empty: float  # the empty view
    again: float  # the same ids once more


def main() -> int:
    """Measure in rounds, print the medians and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--requests", type=int, default=4000, help="of a kind in a round")
    parser.add_argument("--rounds", type=int, default=11, help="each starts both servers anew")
    parser.add_argument("--at-once", type=int, nargs="+", default=[32, 500], metavar="N")
    options = parser.parse_args()
    rounds: dict[int, list[Seconds]] = {at_once: [] for at_once in options.at_once}
    for seed in range(options.rounds):
        # Where a process happens to lay things out in memory is worth 0.01: never twice the same.
        with headcount() as ours, baseline() as empty:
            warm_up(ours, empty)
            for at_once, results in rounds.items():
                sent = list(map(load.report, fleet.reports(options.requests, (seed, at_once))))
                results.append(measure(ours, empty, sent, at_once))
    ratios = {at_once: show(at_once, results) for at_once, results in rounds.items()}
    return verdict(
        *(
            (f"{GOAL} or more, new ids, {at_once} at once: {ratio:.3f}", ratio >= GOAL)
            for at_once, ratio in ratios.items()
        )
    )


def warm_up(ours: Server, empty: Server) -> None:
    """Send a thousand reports to both, and make sure that the answers have the same length."""
    sent = list(map(load.report, fleet.reports(1000, "warm up")))
    ours_lengths, empty_lengths = (load.send(each.port, sent, 201, 8) for each in (ours, empty))
    if ours_lengths != empty_lengths:
        raise RuntimeError(f"answers differ in length: {ours_lengths} and {empty_lengths} bytes")


def measure(ours: Server, empty: Server, sent: list[bytes], at_once: int) -> Seconds:
    """What the same reports take in each server, one server after the other."""
    return Seconds(*(cpu(server, sent, at_once) for server in (ours, empty, ours)))


def cpu(server: Server, sent: list[bytes], at_once: int) -> float:
    """CPU seconds that the server takes for a report."""
    before = server.cpu()
    load.send(server.port, sent, 201, at_once)
    return (server.cpu() - before) / len(sent)


def show(at_once: int, rounds: list[Seconds]) -> float:
    """Print the medians of the rounds; the ratio for new ids."""
    new, empty, again = (median(column) * 1e6 for column in zip(*rounds, strict=True))
    of_new = sorted(taken.empty / taken.new for taken in rounds)
    of_again = sorted(taken.empty / taken.again for taken in rounds)
    print(f"{at_once} at once, CPU a request, median of {len(rounds)} rounds:")
    print(f"  empty view      {empty:4.0f} us")
    for name, taken, ratios in (("new ids", new, of_new), ("the same again", again, of_again)):
        middle = f"empty/ours {median(ratios):.3f}"
        print(f"  {name:<15} {taken:4.0f} us   {middle}  ({ratios[0]:.3f} to {ratios[-1]:.3f})")
    return median(of_new)


if __name__ == "__main__":
    sys.exit(main())
