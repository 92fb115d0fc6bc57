"""`manage.py demo` serves a made-up fleet and its past."""

import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.conf import conf
from simulation.fleet_options import add_fleet_options, fleet_from

ROOT = Path(__file__).parents[3]  # where gunicorn finds its configuration
# These variables describe a deployment. Without them, the demonstration has no store, no proxy in
# front of it, one worker, and static files that need not be collected.
DEPLOYMENT = {
    "GUNICORN_CMD_ARGS",
    "LISTEN_FDS",
    "PATH_PREFIX",
    "PUBLIC_URL",
    "REDIS_UNCHECKED",
    "REDIS_URL",
    "SECRET_KEY",
    "STATIC_ROOT",
    "WEB_CONCURRENCY",
}


class Command(BaseCommand):
    """Replaces this process by gunicorn, which makes up the fleet in its own memory."""

    help = "Serve a made-up fleet and its past, from memory and only to this machine."
    requires_system_checks = []  # they would connect to the store

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")
        add_fleet_options(parser, instances=3000, days=90)

    def handle(self, *args: Any, **options: Any) -> None:
        instances, days, port = options["instances"], options["days"], options["port"]
        if instances > conf.max_instances or count_ids(options) > conf.max_instances:
            raise CommandError(
                f"MAX_INSTANCES is {conf.max_instances}, which is too small for this fleet and its "
                "past. Ask for fewer --instances or --days, or raise MAX_INSTANCES."
            )
        self.stdout.write(f"Making up {instances:,} instances and their reports of {days} days.")
        self.stdout.write(f"Open http://127.0.0.1:{port}/dashboard")
        self.stdout.flush()
        os.chdir(ROOT)
        fleet = f"{instances}, {days}, {options['releases']}, {options['seed']}"
        application = f"simulation.demonstration:make_application({fleet})"
        gunicorn = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}", application]
        os.execve(sys.executable, gunicorn, environment(port))  # noqa: S606  no shell is wanted


def count_ids(options: dict[str, Any]) -> int:
    """Return how many ids report in the whole past, the most that can be counted at once."""
    fleet = fleet_from(options)
    return len(fleet.instances) + sum(1 for day in range(fleet.days) for _ in fleet.ci(day))


def environment(port: int) -> dict[str, str]:
    """Return the environment of this process, without what describes a deployment."""
    kept = {name: value for name, value in os.environ.items() if name not in DEPLOYMENT}
    return kept | {"PORT": str(port)}
