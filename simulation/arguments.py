"""The arguments of the commands that describe a fleet."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from simulation.fleet import Fleet


def add_fleet_arguments(parser: CommandParser, instances: int, days: int) -> None:
    """Add the arguments that `fleet_from` reads, with the defaults for instances and days."""
    parser.add_argument(
        "--instances",
        "--installations",
        dest="instances",
        type=int,
        default=instances,
        help="number of instances on the last day (default: %(default)s)",
    )
    parser.add_argument(
        "--days", type=int, default=days, help="number of days to play (default: %(default)s)"
    )
    parser.add_argument(
        "--releases",
        type=int,
        default=14,
        help="number of releases, some of them published before the first day "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="the same seed makes the same fleet (default: %(default)s)",
    )


def fleet_from(options: dict[str, Any]) -> Fleet:
    """Return the fleet that the arguments describe. Raises CommandError if they are invalid."""
    try:
        return Fleet(options["instances"], options["days"], options["releases"], options["seed"])
    except ValueError as error:
        raise CommandError(str(error)) from None
