"""What every script does around its measurement."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterable

Goal = tuple[str, bool]  # the goal with its figure, and whether it was reached


def run(measure: Callable[[bool], Iterable[Goal]]) -> None:
    """Measure, print whether each goal was reached, and exit with 1 if one was not."""
    # SIGTERM must unwind the stack: the context managers stop the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser(
        description=sys.modules[measure.__module__].__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--quick", action="store_true", help="try the script; the figures are not reliable"
    )
    goals = list(measure(parser.parse_args().quick))
    print()
    for goal, reached in goals:
        print(f"{'reached' if reached else 'NOT REACHED'}: {goal}")
    sys.exit(not all(reached for _, reached in goals))


def at_most(what: str, figure: float, limit: float, unit: str = "times") -> Goal:
    """Return the goal that a figure does not exceed a limit."""
    return f"{what}: {figure:,.3f} {unit}, at most {limit:,} {unit}", figure <= limit


def at_least(what: str, figure: float, limit: float, unit: str = "times") -> Goal:
    """Return the goal that a figure is not below a limit."""
    return f"{what}: {figure:,.3f} {unit}, at least {limit:,} {unit}", figure >= limit
