"""Memory of an instance: growth of the resident set, compared with Django's LocMemCache.

Each case runs in a process of its own and receives reports as the server does. Goals: at most 110
bytes an instance at a million; all memory comes back when everything expires; and after 100 days in
which 100,000 instances report daily, and 1% of them are replaced every day, the resident set is at
most 1.05 times what it was when the history was full.
"""

import gc
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from statistics import median
from typing import Any

import psutil
import time_machine
from django.test import Client

from benchmarks import fleet
from benchmarks.goals import Goal, at_least, at_most, run
from benchmarks.servers import use_django

BYTES, RETURNED, SOAK = 110, 1.0, 1.05
DAY = timedelta(days=1)
WINDOW, HISTORY, COMPARED = 8, 30, 10  # days


def measure(quick: bool) -> Iterator[Goal]:
    """Measure each case in a process of its own."""
    count, soaked = (100_000, 2000) if quick else (1_000_000, 100_000)
    os.environ |= {"MAX_INSTANCES": "2000000", "HISTORY_DAYS": str(HISTORY)}
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, spawn, use_django, max_tasks_per_child=1) as processes:
        full, freed = processes.submit(expire, count).result()
        renewed = processes.submit(renew, count).result()
        locmem = processes.submit(fill_locmem, count).result()
        early, late = processes.submit(soak, soaked).result()
    print(
        f"{count:,} instances: {full:.1f} bytes each, LocMemCache {locmem:.1f}; when all report "
        f"again on the next day, at most {renewed:.1f}"
    )
    print(f"{soaked:,} daily for 100 days: {early / 2**20:.1f} MiB early, {late / 2**20:.1f} late")
    yield at_most("an instance", full, BYTES, "bytes")
    yield at_least("growth that comes back", 1 - freed / full, RETURNED)
    yield at_most("resident set, late to early", late / early, SOAK)


def expire(count: int) -> tuple[float, float]:
    """Return the growth an instance, and what is left of it when everything has expired."""
    from collector.cache import records

    cache = records()
    growth = Growth(count)
    put_reports(cache.put, count)
    full = growth.bytes()
    with time_machine.travel(datetime.now(UTC) + WINDOW * DAY):
        cache.free_expired()
    return full, growth.bytes()


def renew(count: int) -> float:
    """Return the largest growth an instance while all of them report on the next day."""
    from collector.cache import records

    cache = records()
    growth = Growth(count)
    put_reports(cache.put, count)
    with time_machine.travel(datetime.now(UTC) + DAY):
        return put_reports(cache.put, count, growth)


def fill_locmem(count: int) -> float:
    """Return the growth an instance of Django's own cache, without its limit."""
    from django.core.cache.backends.locmem import LocMemCache

    options = {"TIMEOUT": WINDOW * DAY.total_seconds(), "OPTIONS": {"MAX_ENTRIES": 2 * count}}
    cache = LocMemCache("benchmark", options)
    growth = Growth(count)
    put_reports(cache.set, count)
    return growth.bytes()


def soak(count: int) -> tuple[float, float]:
    """Return the resident set in the first days with a full history, and in the last of 100."""
    from collector.cache import records

    client, cache, resident, start = Client(), records(), [], datetime.now(UTC)
    with time_machine.travel(start, tick=False) as clock:
        for day in range(100):
            clock.move_to(start + day * DAY)
            for number in range(count):
                app = f"0.{100 + day // 10 - number % 40}.{number % 10}"
                cache.put(
                    f"{number}-{(number + day) // 100}",
                    {"app": app, "image": None, "arch": "x86_64"},
                )
            client.get("/stats/history")
            cache.free_expired()
            resident.append(psutil.Process().memory_info().rss)
    return median(resident[HISTORY + 1 :][:COMPARED]), median(resident[-COMPARED:])


def put_reports(put: Callable[..., Any], count: int, growth: "Growth | None" = None) -> float:
    """Put the reports of a fleet; return the largest growth on the way, if it is asked for."""
    from collector.reports.parsing import parse  # Django is set up in the measured process only

    largest = 0.0
    for number, body in enumerate(fleet.reports(count, seed=0)):
        report = parse(body)
        put(report.id, report.version)
        if growth and number % 10_000 == 0:
            largest = max(largest, growth.bytes())
    return largest


class Growth:
    """How many bytes an instance the resident set of this process has grown."""

    def __init__(self, count: int) -> None:
        self.count = count
        put_reports(lambda name, version: None, 1000)  # loads what is not an instance's
        gc.collect()
        self.start = psutil.Process().memory_info().rss

    def bytes(self) -> float:
        """Return the growth until now."""
        return (psutil.Process().memory_info().rss - self.start) / self.count


if __name__ == "__main__":
    run(measure)
