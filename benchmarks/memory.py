"""Memory of an instance, the longest wait of a report, and what many instances cost `/stats`.

Goals: at most 91 bytes an instance at a million, 366 in Django's LocMemCache; after 100 days in
which 20,000 instances report daily, and 1% of them are replaced every day, the resident set is at
most 1.05 times what it was when the history was full. With a million instances of 10,000 versions,
of which half expire, no `put` waits longer than 50 ms while a day turns and their memory is freed.
`GET /stats` after a report takes at most 1.05 times as much CPU time at a million instances of
1,000 versions as at a thousand, with reports from eight days and a history of 90.
"""

import gc
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from statistics import median
from threading import Thread

import psutil
import time_machine
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client

from benchmarks import fleet, load
from benchmarks.goals import Goal, at_most, ratio, run
from benchmarks.servers import filled, use_django

BYTES, SOAK, WAIT, STATS = 91, 1.05, 50, 1.05
DAY = timedelta(days=1)
WINDOW, HISTORY, COMPARED = 8, 30, 10  # days


def measure(quick: bool) -> Iterator[Goal]:
    """Measure each case in a process of its own."""
    count, soaked, requests, rounds = (
        (100_000, 2000, 50, 1) if quick else (1_000_000, 20_000, 200, 15)
    )
    os.environ |= {"MAX_INSTANCES": "2000000", "HISTORY_DAYS": str(HISTORY)}
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, spawn, use_django, max_tasks_per_child=1) as processes:
        full, freed = processes.submit(fill, count).result()
        locmem = processes.submit(fill_locmem, count).result()
        early, late = processes.submit(soak, soaked).result()
        longest = processes.submit(wait, count).result()
    print(f"an instance in LocMemCache: {locmem:.1f} bytes")
    print(f"when all have expired, {1 - freed / full:.1%} of the memory comes back")
    yield at_most("an instance", full, BYTES, "bytes")
    yield at_most("resident set, late to early", late / early, SOAK)
    yield at_most("longest wait of a put", longest, WAIT, "ms")
    options = {"distinct": load.DISTINCT, "oldest": 7, "history": 90}
    with filled(instances=count, **options) as large, filled(instances=1000, **options) as small:
        rows = load.compare_stats(large, small, rounds, requests)
    figure = ratio("CPU of /stats after a report, many and few", rows)
    yield at_most("/stats after a report, many to few", figure, STATS)


def fill(count: int) -> tuple[float, float]:
    """Return the growth an instance, and what is left of it when everything has expired."""
    from collector.cache import records  # Django is set up in the measured process only

    cache, start = records(), resident()
    put_reports(cache.put, count)
    full = resident()
    with time_machine.travel(datetime.now(UTC) + WINDOW * DAY):
        cache.expire()
    return (full - start) / count, (resident() - start) / count


def fill_locmem(count: int) -> float:
    """Return the growth an instance of Django's own cache, without its limit."""
    options = {"TIMEOUT": WINDOW * DAY.total_seconds(), "OPTIONS": {"MAX_ENTRIES": 2 * count}}
    cache, start = LocMemCache("benchmark", options), resident()
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
                name = f"{number}-{(number + day) // 100}"
                cache.put(name, {"app": app, "image": None, "arch": "x86_64"})
            client.get("/stats/history")
            cache.expire()
            sizes.append(resident())
    return median(sizes[HISTORY + 1 :][:COMPARED]), median(sizes[-COMPARED:])


def wait(count: int) -> float:
    """Return the longest milliseconds of a `put` while half of the keys expire.

    A clock of CPU time measures them, so no other process counts, but other threads of this one do.
    """
    from collector.cache import records

    cache, now, durations = records(), datetime.now(UTC), []
    for age in (WINDOW - 1, 0):
        with time_machine.travel(now - age * DAY):
            put_reports(cache.put, count // 2, age, distinct=10_000)
    names = fleet.ids(count, "more")
    with time_machine.travel(now + DAY):
        freeing = Thread(target=cache.expire)
        freeing.start()
        while freeing.is_alive():
            begin = time.process_time()
            cache.put(next(names), fleet.version(len(durations), 10_000))
            durations.append((time.process_time() - begin) * 1000)
    return max(durations)


def put_reports(put, count: int, seed: int = 0, distinct: int = 400) -> None:
    """Put the reports of a fleet."""
    for number, name in enumerate(fleet.ids(count, seed)):
        put(name, fleet.version(number, distinct))


def resident() -> int:
    """Return the size of this process's resident set in bytes, without garbage."""
    gc.collect()
    return psutil.Process().memory_info().rss


if __name__ == "__main__":
    run(measure)
