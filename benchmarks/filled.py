"""A WSGI module: Headcount with reports in its memory.

The environment variable REPORTS has the arguments of `fill`.
"""

import json
import os
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import time_machine

from benchmarks import fleet
from collector.cache import records
from tracking_site.wsgi import application

__all__ = ["application"]


def fill(instances=0, distinct=400, oldest=0, newest=0, history=0):
    """Put the reports into the cache, day by day.

    The instances run so many distinct versions. Their latest reports arrived between so many days
    ago, and half of them also reported on the day before that. The history has so many past days.
    """
    source, versions = random.Random(0), [fleet.version(each, distinct) for each in range(distinct)]
    days = defaultdict(list)  # the reports, by how many days ago they arrived
    for number, name in enumerate(fleet.ids(instances, "filled")):
        report = name, versions[number % distinct]
        last = source.randint(newest, oldest)
        for age in range(last, last + source.randint(1, 2)):
            days[age].append(report)
    for age in range(oldest + 2, history + 1):
        days[age] = [(f"early {number}", version) for number, version in enumerate(versions)]
    put, now = records().put, datetime.now(UTC)
    for age in sorted(days, reverse=True):
        with time_machine.travel(now - timedelta(days=age)):
            for name, version in days.pop(age):
                put(name, version)


fill(**json.loads(os.environ["REPORTS"]))
