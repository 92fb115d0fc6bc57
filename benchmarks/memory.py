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
        locmem = processes.submit(fill_locmem, count).result()
        early, late = processes.submit(soak, soaked).result()
    print(f"{count:,} instances: {full:.1f} bytes each, LocMemCache {locmem:.1f}")
    print(f"{soaked:,} daily for 100 days: {early / 2**20:.1f} MiB early, {late / 2**20:.1f} late")
    yield at_most("an instance", full, BYTES, "bytes")
    yield at_least("growth that comes back", 1 - freed / full, RETURNED)
    yield at_most("resident set, late to early", late / early, SOAK)


def expire(count: int) -> tuple[float, float]:
    """Return the growth an instance, and what is left of it when everything has expired."""
    from collector.cache import records

    cache = records()
    start = resident_after_imports()
    put_reports(cache.put, count)
    full = resident()
    with time_machine.travel(datetime.now(UTC) + WINDOW * DAY):
        cache.free_expired()
    return (full - start) / count, (resident() - start) / count


def fill_locmem(count: int) -> float:
    """Return the growth an instance of Django's own cache, without its limit."""
    from django.core.cache.backends.locmem import LocMemCache

    options = {"TIMEOUT": WINDOW * DAY.total_seconds(), "OPTIONS": {"MAX_ENTRIES": 2 * count}}
    cache = LocMemCache("benchmark", options)
    start = resident_after_imports()
    put_reports(cache.set, count)
    return (resident() - start) / count


def soak(count: int) -> tuple[float, float]:
    """Return the resident set in the first days with a full history, and in the last of 100."""
    from collector.cache import records

    client, cache, sizes, start = Client(), records(), [], datetime.now(UTC)
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
            sizes.append(resident())
    return median(sizes[HISTORY + 1 :][:COMPARED]), median(sizes[-COMPARED:])


def put_reports(put: Callable[..., Any], count: int) -> None:
    """Put the reports of a fleet, parsed as the server parses them."""
    from collector.reports.parsing import parse  # Django is set up in the measured process only

    for body in fleet.reports(count, seed=0):
        report = parse(body)
        put(report.id, report.version)


def resident_after_imports() -> int:
    """Return the resident set before the first put, with everything loaded that puts need."""
    put_reports(lambda name, version: None, 1000)
    gc.collect()
    return resident()


def resident() -> int:
    """Return the size of this process's resident set in bytes."""
    return psutil.Process().memory_info().rss


if __name__ == "__main__":
    run(measure)
