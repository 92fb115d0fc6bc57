"""Ten years of saved days: the time and memory of reading them, and of the charts.

The folder has a file for each day, with the days that were in memory then: 90, as the line for cron
in OPERATING.md saves them. Each day has as many releases as a past day can have. Goals: no slice of
the reading and no page after a report takes more than 50 ms of CPU time, and the days take at most
30 MB.
"""

import time
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from django.test import Client, override_settings

from benchmarks.goals import Goal, at_most, run
from benchmarks.servers import use_django

DAYS, KEPT, RELEASES = 3650, 90, 50
STALL, MEMORY = 50.0, 30.0  # ms, MB
PAGES = ("/dashboard?period=all", "/charts/growth.svg?period=all", "/charts/adoption.svg")


def measure(quick: bool) -> Iterator[Goal]:
    """Write the files, read them, and draw the charts."""
    use_django()
    with TemporaryDirectory() as folder, override_settings(HEADCOUNT_HISTORY_FOLDER=folder):
        save(Path(folder), 365 if quick else DAYS)
        yield at_most("longest slice of reading", read(folder), STALL, "ms")
        tracemalloc.start()
        draw()
        _, size = tracemalloc.get_traced_memory()  # the largest
        tracemalloc.stop()
        yield at_most("memory of reading, of the days and of the pages", size / 1e6, MEMORY, "MB")
        yield at_most("longest page after a report", draw(), STALL, "ms")


def save(folder: Path, days: int) -> None:
    """Write a file for each day."""
    from collector.conf import DAY
    from collector.numbers import archive
    from collector.numbers.days import iso_date
    from collector.views.exports import to_csv

    today, header, texts = int(time.time()) // DAY, to_csv(()), []
    for day in range(today - days, today):
        count = 1000 + day % 365 * 10
        releases = {f"{day // 30}.{number}.0": count // RELEASES for number in range(RELEASES)}
        rows = to_csv(archive.rows(iso_date(day), (count, count, count), releases))
        texts = [*texts[1 - KEPT :], rows.removeprefix(header)]
        (folder / f"{iso_date(day + 1)}.csv").write_text(header + "".join(texts))


def read(folder: str) -> float:
    """Read the folder; return the most CPU time between two turns of others, in milliseconds."""
    from collector.numbers import archive

    turns = [time.thread_time()]
    with patch("time.sleep", lambda _: turns.append(time.thread_time())):
        found = archive.read(folder)
    size = sum(size for _, _, size in found.files or ())
    print(f"{len(found.days):,} days in {size / 1e6:.0f} MB: {turns[-1] - turns[0]:.1f} s")
    return max(end - start for start, end in pairwise(turns)) * 1000


def draw() -> float:
    """Request each page after a report; return the most CPU time of one, in milliseconds."""
    client, times = Client(), []
    for path in PAGES:
        version = {"app": str(time.time()), "sha": "x"}  # another one, so that the numbers change
        report = {"id": "00000000-0000-4000-8000-000000000000", "version": version}
        client.post("/", report, content_type="application/json")
        started = time.thread_time()
        response = client.get(path)
        times.append((time.thread_time() - started) * 1000)
        print(f"{path}: {times[-1]:.0f} ms, {len(response.content):,} bytes")
    return max(times)


if __name__ == "__main__":
    run(measure)
