"""Serves the dashboard of a made-up fleet."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.conf import conf
from simulation.fleet import Fleet

ROOT = Path(__file__).parents[3]
# These variables describe a deployment: its store, its proxy, its processes and its files.
NOT_INHERITED = {
    "GUNICORN_CMD_ARGS",
    "PATH_PREFIX",
    "PUBLIC_URL",
    "REDIS_UNCHECKED",
    "REDIS_URL",
    "SECRET_KEY",
    "STATIC_ROOT",
    "WEB_CONCURRENCY",
}


class Command(BaseCommand):
    """Replaces this process with gunicorn, which plays the days of a fleet and then serves."""

    help = (
        "Serve the dashboard of a made-up fleet and its past, on this machine only. The "
        "reports are in memory; the demonstration never uses a store."
    )
    # The checks would connect to the store.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--port", type=int, default=8000, help="TCP port to serve at (default: %(default)s)"
        )
        parser.add_argument("--instances", type=int, default=3000, help="instances on the last day")
        parser.add_argument("--days", type=int, default=90, help="days to play")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            fleet = Fleet(options["instances"], options["days"])
        except ValueError as error:
            raise CommandError(str(error)) from None
        environ = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        environ |= {
            "DJANGO_SETTINGS_MODULE": "tracking_site.settings",
            "PORT": str(options["port"]),
            "MAX_INSTANCES": str(max(fleet.count_ids(), conf.max_instances)),
            "DEMO_FLEET": json.dumps({"size": fleet.size, "days": fleet.days}),
        }
        self.stdout.write(
            f"Making up {fleet.size:,} instances and their reports of {fleet.days} days.\n"
            f"Open http://127.0.0.1:{options['port']}/dashboard. Press Ctrl-C to stop."
        )
        self.stdout.flush()
        gunicorn = (sys.executable, "-m", "gunicorn", "simulation.demonstration")
        os.chdir(ROOT)  # where gunicorn finds its configuration and the modules
        os.execve(  # noqa: S606  the program is this interpreter, and no shell is involved
            sys.executable, (*gunicorn, "--bind", f"127.0.0.1:{options['port']}"), environ
        )
