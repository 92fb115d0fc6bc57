"""Serve a demonstration: the dashboard of a made-up fleet."""

import json
import os
import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.conf import conf
from simulation.arguments import add_fleet_arguments
from simulation.demonstration import OPTIONS

# What would let the demonstration change real reports, or would need more than one process.
REMOVED = ("REDIS_URL", "REDIS_UNCHECKED", "SECRET_KEY", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS")


class Command(BaseCommand):
    """Replaces itself by the real server, which makes up a past in its own memory first."""

    help = (
        "Serve the dashboard of a made-up fleet and its past on this machine. The reports are in "
        "the memory of the server: a store that REDIS_URL names is never used."
    )
    requires_system_checks: list[str] = []  # the server runs them, without the store

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
        add_fleet_arguments(parser, instances=3000, days=90)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["instances"] > conf.max_instances:
            raise CommandError(f"The server keeps {conf.max_instances} instances at most.")
        port = str(options["port"])
        self.stdout.write(
            f"Making up {options['instances']:,} instances and {options['days']} days."
        )
        self.stdout.write(f"Look at http://127.0.0.1:{port}/dashboard")
        self.stdout.flush()
        command = [sys.executable, "-m", "gunicorn", "simulation.demonstration"]
        os.execve(  # noqa: S606  no shell is wanted
            sys.executable, [*command, "--bind", f"127.0.0.1:{port}"], environment(options)
        )


def environment(options: dict[str, Any]) -> dict[str, str]:
    """Return the environment of the server: this one's, without what leads to real reports."""
    kept = {name: value for name, value in os.environ.items() if name not in REMOVED}
    fleet = {name: options[name] for name in ("instances", "days", "releases", "seed")}
    return {**kept, "PORT": str(options["port"]), OPTIONS: json.dumps(fleet)}
