"""The real application with a made-up fleet in its memory, and the days that it reported on.

The environment says of how many installations (INSTALLATIONS) and how many days, the last of them
today (DAYS), of how many releases (RELEASES), and on how many days nothing ran (GAP); HOSTILE=1
adds installations that report what nobody should.
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
    """Let the fleet report on each of the days, but for the gap in their middle."""
    now = datetime.now(UTC)
    fleet = Fleet(installations, days, releases)
    odd = [(f"odd {n}", dict(zip(FIELDS, sent, strict=True))) for n, sent in enumerate(HOSTILE)]
    nothing_ran = range(days // 2, days // 2 + gap)
    for day in range(days):
        with time_machine.travel(now - timedelta(days=days - 1 - day)):
            if day == 0:
                records().clear()  # counting begins then
            if day not in nothing_ran:
                for name, version in chain(fleet.reports(day), odd * hostile):
                    records().put(name, version)


ASKED = ("installations", "days", "releases", "gap", "hostile")
fill(**{name: int(os.environ[name.upper()]) for name in ASKED if name.upper() in os.environ})
