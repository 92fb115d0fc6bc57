"""The WSGI application of the demonstration: the stand-alone server, with a made-up past."""

import time
from typing import Any
from unittest import mock

from django.core.exceptions import ImproperlyConfigured

from collector.cache import records
from collector.conf import DAY, conf
from simulation.fleet import Fleet
from tracking_site.wsgi import application


def make_application(instances: int, days: int, releases: int, seed: int) -> Any:
    """Fill the memory of this process with a made-up past, and return the application."""
    fill(Fleet(instances, days, releases, seed))
    return application


def fill(fleet: Fleet) -> None:
    """Erase all reports, then let a fleet report on each of its days. The last day is today."""
    if conf.shared:
        raise ImproperlyConfigured(
            "The demonstration would replace the reports in the store. Unset REDIS_URL."
        )
    cache, now = records(), time.time()
    for day in range(fleet.days):
        # The server does not answer requests yet, so no other code sees this time.
        with mock.patch("time.time", return_value=now - (fleet.days - 1 - day) * DAY):
            if day == 0:
                cache.clear()  # counting begins on this day
            for instance, version in (*fleet.reports(day), *fleet.ci(day)):
                cache.put(instance, version)
            cache.delete_many([*fleet.opt_outs(day)])
