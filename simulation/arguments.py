"""The arguments that describe a made-up fleet, which both commands have."""

from argparse import ArgumentTypeError
from typing import Any

from django.core.management.base import CommandParser

from simulation.fleet import Fleet


def add_fleet_arguments(parser: CommandParser, instances: int, days: int) -> None:
    """Add the arguments of a fleet, with these defaults."""
    parser.add_argument(
        "--installations",
        dest="instances",
        type=whole_number(0),
        default=instances,
        help="number of instances after the last day (default: %(default)s)",
    )
    parser.add_argument(
        "--days",
        type=whole_number(1),
        default=days,
        help="number of days on which they report (default: %(default)s)",
    )
    parser.add_argument(
        "--releases",
        type=whole_number(1),
        default=14,
        help="number of releases that are published by the last day (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed makes up the same fleet (default: 0)"
    )


def fleet_from(options: dict[str, Any]) -> Fleet:
    """Return the fleet that the arguments describe."""
    return Fleet(options["instances"], options["days"], options["releases"], options["seed"])


class whole_number:  # noqa: N801  argparse shows the name of the type in its errors
    """Converts an argument to a whole number that is not below a minimum."""

    def __init__(self, minimum: int) -> None:
        self.minimum = minimum

    def __call__(self, text: str) -> int:
        if not text.isdecimal() or int(text) < self.minimum:
            raise ArgumentTypeError(f"{text!r} is not a whole number of at least {self.minimum}")
        return int(text)
