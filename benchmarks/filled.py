"""A WSGI module: Headcount with reports in its memory.

The environment says how many instances there are (FILL), how many distinct versions they run
(DISTINCT), over how many days, up to today, their latest reports are spread (DAYS), and how many
past days the history has (HISTORY).
"""

import os
import random
from datetime import UTC, datetime, timedelta

import time_machine

from benchmarks import fleet
from collector.cache import records
from tracking_site.wsgi import application

__all__ = ["application"]


def fill(instances: int, distinct: int, days: int, history: int) -> None:
    """Put reports into the cache; half of the instances also report on the day before."""
    source = random.Random(0)
    schedule = [
        (name, fleet.version(number, distinct), source.randrange(days), source.random() < 0.5)
        for number, name in enumerate(fleet.ids(instances, "filled"))
    ]
    put, now = records().put, datetime.now(UTC)
    for age in range(max(history, days), -1, -1):
        with time_machine.travel(now - timedelta(days=age)):
            # Before the window, ten instances of each version are enough to make a history.
            for name, version, last, renewed in (
                schedule if age <= days else schedule[: 10 * distinct]
            ):
                if age in (last, last + renewed) or days < age <= history:
                    put(name, version)


fill(
    *(
        int(os.environ.get(*each))
        for each in (
            ("FILL", "0"),
            ("DISTINCT", "400"),
            ("DAYS", "1"),
            ("HISTORY", "0"),
        )
    )
)
