"""A server with a made-up past, to look at."""

import time
from typing import Any
from unittest import mock

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from collector.cache import records
from collector.conf import DAY, conf
from simulation.fleet import Fleet


class Command(BaseCommand):
    """Plays the days of a fleet in this process, then serves what is left of them."""

    help = "Serve the dashboard of a made-up fleet, with its past, on this machine only."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--installations", type=int, default=3000, help="today")
        parser.add_argument("--days", type=int, default=90, help="of the past")
        parser.add_argument("--releases", type=int, default=14)
        parser.add_argument("--seed", type=int, default=0, help="the same seed, the same fleet")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["installations"] > conf.max_instances:
            raise CommandError(f"At most {conf.max_instances} installations are kept.")
        days = options["days"]
        play(Fleet(options["installations"], days, options["releases"], options["seed"]), days)
        address = f"127.0.0.1:{options['port']}"
        self.stdout.write(f"Made up: {options['installations']:,} installations over {days} days.")
        self.stdout.write(f"Look at http://{address}/dashboard")
        self.stdout.flush()
        call_command("runserver", address, use_reloader=False, insecure_serving=True)


def play(fleet: Fleet, days: int) -> None:
    """Forget what was there and let a fleet report on so many days, the last of them today."""
    today = time.time()
    for day in range(days):
        # Nothing else runs in this process yet, so its clock may be another for a while.
        with mock.patch("time.time", return_value=today - (days - 1 - day) * DAY):
            if not day:
                records().clear()
            for name, version in (*fleet.reports(day), *fleet.ci(day)):
                records().put(name, version)
            records().delete_many(list(fleet.opt_outs(day)))
