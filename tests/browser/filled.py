"""The stand-alone application with a made-up fleet in its memory, and the fleet's past.

Environment variables describe the fleet: INSTALLATIONS, DAYS (the last one is today), RELEASES, and
GAP, the number of days without a report. HOSTILE=1 adds instances that report hostile values.
"""

import os
from datetime import UTC, datetime, timedelta
from itertools import chain

import time_machine

from collector.cache import records
from simulation.fleet import Fleet
from tracking_site.wsgi import application

__all__ = ["application"]

HOSTILE = (
    ("<script>alert(1)</script>",) * 3,
    ("'\"><b>{{ 7 }}{% x %}",) * 3,
    ("W" * 128, "W" * 255, "W" * 64),
    ("9." * 63 + "9", "w/" * 127 + "w", "x86_64-" + "w" * 57),  # a release, a path, a family
    ("", None, None),
)
FIELDS = ("app", "image", "arch")


def fill(installations=0, days=1, releases=14, gap=0, hostile=0):
    """Let the fleet report on each day, except for a gap in the middle."""
    now = datetime.now(UTC)
    fleet = Fleet(installations, days, releases)
    odd = [(f"odd {n}", dict(zip(FIELDS, sent, strict=True))) for n, sent in enumerate(HOSTILE)]
    silent_days = range(days // 2, days // 2 + gap)
    for day in range(days):
        with time_machine.travel(now - timedelta(days=days - 1 - day)):
            if day == 0:
                records().clear()  # counting begins on this day
            if day not in silent_days:
                for id, version in chain(fleet.reports(day), odd * hostile):
                    records().put(id, version)


OPTIONS = ("installations", "days", "releases", "gap", "hostile")
fill(**{name: int(os.environ[name.upper()]) for name in OPTIONS if name.upper() in os.environ})
