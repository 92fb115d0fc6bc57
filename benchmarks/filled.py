"""Headcount with a fleet in its memory: a WSGI module, and the time of the statistics alone.

The environment says how many installations (FILL), of how many versions (FILL_DISTINCT), and when
they reported (FILL_SHAPE): "today", or "spread" over the days of the window, half of them renewed.
On each of so many days before (FILL_HISTORY), ten installations of each version reported.
The fill calls the cache directly. Run as a script, it times `stats.numbers` and serves nothing.
"""

import datetime as dt
import os
import random
import time
from collections.abc import Iterator
from statistics import median

import time_machine

from benchmarks import fleet
from tracking_site.wsgi import application

SEED = 0
DAY = dt.timedelta(days=1)
REPEATS = 30

__all__ = ["application"]


def fill(count: int, distinct: int, shape: str, history: int) -> None:
    """Put a fleet into the cache, and so many days before into its history."""
    from collector.cache import records  # Django is set up by now

    put = records().put
    installations = list(kept(count, distinct))
    now = dt.datetime.now(dt.UTC)
    in_window = 0 if shape == "today" else 8
    for age in range(history, in_window, -1):
        with time_machine.travel(now - age * DAY):
            for name, version in installations[: distinct * 10]:
                put(name, version)
    if shape == "today":
        for name, version in installations:
            put(name, version)
        return
    source = random.Random(SEED)
    schedule = [(source.randrange(8), source.random() < 0.5) for _ in installations]
    for age in range(8, -1, -1):
        with time_machine.travel(now - age * DAY):
            for (name, version), (last, renewed) in zip(installations, schedule, strict=True):
                if age == last or (renewed and age == last + 1):
                    put(name, version)


def kept(count: int, distinct: int) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Ids and versions, as they are kept of reports."""
    for number, name in enumerate(fleet.ids(count, SEED)):
        yield name, fleet.version(number, distinct)


def main() -> None:
    """Print the milliseconds that new numbers take after a report, the median of REPEATS."""
    from collector.cache import records
    from collector.numbers import stats

    taken = []
    for _ in range(REPEATS):
        records().put("one more", fleet.version(0, 400))
        begin = time.perf_counter()
        stats.numbers(stats.snapshot())
        taken.append(time.perf_counter() - begin)
    print(median(taken) * 1000)


fill(
    int(os.environ.get("FILL", "0")),
    int(os.environ.get("FILL_DISTINCT", "400")),
    os.environ.get("FILL_SHAPE", "today"),
    int(os.environ.get("FILL_HISTORY", "0")),
)

if __name__ == "__main__":
    main()
