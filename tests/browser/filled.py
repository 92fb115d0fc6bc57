"""The real application with a simulated fleet that has reported on some days, the last one today.

The environment sets the size of the fleet (INSTANCES), the number of days (DAYS), the number of
releases (RELEASES), and on how many days in the middle the server did not run (GAP). HOSTILE=1 adds
instances that report hostile values.
"""

import os
from datetime import UTC, datetime, timedelta

import time_machine

from collector.cache import records
from collector.conf import conf
from collector.numbers.snapshot import current
from simulation.answers import counted
from simulation.fleet import Fleet
from tracking_site.wsgi import application

__all__ = ["application"]

HOSTILE = [
    {"app": app, "image": image, "arch": arch}
    for app, image, arch in (
        ("<script>alert(1)</script>",) * 3,
        ("'\"><b>{{ 7 }}{% x %}",) * 3,
        ("W" * 128, "W" * 255, "W" * 64),
        ("9." * 63 + "9", "w/" * 127 + "w", "x86_64-" + "w" * 57),  # a release, a path, a family
        ("", None, None),
    )
]


def fill(instances=0, days=1, releases=14, gap=0, hostile=0):
    """Let the fleet report on each day outside the gap."""
    now = datetime.now(UTC)
    fleet = Fleet(instances, days, releases)
    hostile_reports = [(f"hostile {n}", version) for n, version in enumerate(HOSTILE)] * hostile
    without_server = range(days // 2, days // 2 + gap)
    for day in range(days):
        with time_machine.travel(now - timedelta(days=days - 1 - day)):
            if day == 0:
                records().clear()  # counting begins at this moment
            if day not in without_server:
                for id, version in (*fleet.reports(day), *hostile_reports):
                    records().put(id, version, counted(conf.questions, id))
            current()  # summarizes the day before


OPTIONS = ("instances", "days", "releases", "gap", "hostile")
fill(**{name: int(os.environ[name.upper()]) for name in OPTIONS if name.upper() in os.environ})
