"""The options of the commands that make up a fleet."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from simulation.fleet import Fleet


def add_fleet_options(parser: CommandParser, instances: int, days: int) -> None:
    """Add the options that describe a fleet, with these defaults for its size and its days."""
    parser.add_argument(
        "--instances",
        "--installations",
        type=int,
        default=instances,
        help="number of instances after the last day (default: %(default)s)",
    )
    parser.add_argument(
        "--days", type=int, default=days, help="number of days (default: %(default)s)"
    )
    parser.add_argument(
        "--releases",
        type=int,
        default=14,
        help="number of releases, some of them before the first day (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed makes the same fleet (default: 0)"
    )


def fleet_from(options: dict[str, Any]) -> Fleet:
    """Return the fleet that the options describe."""
    try:
        return Fleet(options["instances"], options["days"], options["releases"], options["seed"])
    except ValueError as error:
        raise CommandError(str(error)) from error
