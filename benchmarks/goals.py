"""What every script does around its measurement."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from statistics import median

Goal = tuple[str, bool]  # the goal with its figure, and whether it was reached
Row = tuple[float, float]  # the seconds of what is measured and of its baseline, in one round


def run(measure: Callable[[bool], Iterable[Goal]]) -> None:
    """Measure, print whether each goal was reached, and exit with 1 if one was not."""
    # SIGTERM must unwind the stack: the context managers stop the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="the figures are not reliable")
    goals = list(measure(parser.parse_args().quick))
    print()
    for goal, reached in goals:
        print(f"{'reached' if reached else 'NOT REACHED'}: {goal}")
    sys.exit(not all(reached for _, reached in goals))


def ratio(what: str, rows: Sequence[Row]) -> float:
    """Print the medians of both columns, and return the median of the ratios of all rows."""
    one, other = (median(column) * 1e6 for column in zip(*rows, strict=True))
    print(f"{what}: {one:,.0f} and {other:,.0f} us", flush=True)
    return median(one / other for one, other in rows)


def at_most(what: str, figure: float, limit: float, unit: str = "times") -> Goal:
    """Return the goal that a figure does not exceed a limit."""
    return f"{what}: {figure:,.3f} {unit}, at most {limit:,} {unit}", figure <= limit


def at_least(what: str, figure: float, limit: float) -> Goal:
    """Return the goal that a ratio is not below a limit."""
    return f"{what}: {figure:,.3f} times, at least {limit:,} times", figure >= limit
