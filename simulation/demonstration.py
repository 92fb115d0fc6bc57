"""What `manage.py demo` serves: the real application, with a made-up past in its memory."""

import json
import os
import time
from unittest import mock

from collector.cache import records
from collector.conf import DAY
from simulation.arguments import fleet_from
from simulation.fleet import Fleet

OPTIONS = "HEADCOUNT_DEMONSTRATION"  # the environment variable with the options, as JSON


def play(fleet: Fleet, days: int) -> None:
    """Clear the cache, and let a fleet report on each of the days, the last of which is today."""
    today = time.time()
    for day in range(days):
        # The worker has not begun to serve, so nothing else reads its clock.
        with mock.patch("time.time", return_value=today - (days - 1 - day) * DAY):
            if not day:
                records().clear()
            for id_, version in (*fleet.reports(day), *fleet.ci(day)):
                records().put(id_, version)
            records().delete_many(list(fleet.opt_outs(day)))


if OPTIONS in os.environ:
    from tracking_site.wsgi import application as application

    options = json.loads(os.environ[OPTIONS])
    play(fleet_from(options), options["days"])
