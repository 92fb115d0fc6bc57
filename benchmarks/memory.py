"""Memory of an installation: growth of the resident set at a million, and what comes back.

Each kind is measured in a fresh process, with random ids and 400 distinct versions, as
`collector.reports.parsing.parse` returns them. Beside the cache of the collector, Django's own
LocMemCache keeps the same keys and values, with its limit raised.
Goal: at most 110 bytes an installation.
"""

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psutil
import time_machine

from benchmarks import fleet
from benchmarks.goals import arguments, verdict
from benchmarks.servers import use_django

GOAL = 110  # bytes
LOOK_EVERY = 10_000  # reports between two looks at the memory
WINDOW = timedelta(days=8)


def main() -> int:
    """Measure each kind in a process of its own; print the figures and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="installations")
    parser.add_argument("--kind", choices=KINDS, help="measure this one here, and print JSON")
    options = parser.parse_args()
    if options.kind:
        print(json.dumps(KINDS[options.kind](options.count)))
        return 0
    ours, day, django_s = (in_process(kind, options.count) for kind in KINDS)
    print(f"{options.count:,} installations, growth of the resident set an installation:")
    print(f"  MemoryCache   {ours['full']:6.1f} bytes")
    print(f"    expired and freed, {1 - ours['freed'] / ours['full']:.1%} of the growth comes back")
    print(
        f"    all report again the next day: {day['full']:.1f} before, "
        f"{day['peak']:.1f} at most, {day['after']:.1f} after"
    )
    print(f"  LocMemCache   {django_s['full']:6.1f} bytes")
    print(f"    LocMemCache / MemoryCache {django_s['full'] / ours['full']:.2f}")
    return verdict((f"at most {GOAL} bytes: {ours['full']:.1f}", ours["full"] <= GOAL))


def in_process(kind: str, count: int) -> dict[str, float]:
    """The figures of one kind, from a fresh process."""
    command = [sys.executable, "-m", "benchmarks.memory", "--kind", kind, "--count", str(count)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def expiring(count: int) -> dict[str, float]:
    """Fill; then everything expires and is freed."""
    cache = our_cache(count)
    growth = Growth(count)
    fill(cache.put, count)
    full = growth.now()
    with time_machine.travel(datetime.now(UTC) + WINDOW):
        cache.free_expired()
    return {"full": full, "freed": growth.now()}


def renewing(count: int) -> dict[str, float]:
    """Fill; then an ordinary day, on which every installation reports again."""
    cache = our_cache(count)
    growth = Growth(count)
    fill(cache.put, count)
    full = growth.now()
    with time_machine.travel(datetime.now(UTC) + timedelta(days=1)):
        peak = fill(cache.put, count, growth)
        cache.free_expired()
    return {"full": full, "peak": peak, "after": growth.now()}


def locmem(count: int) -> dict[str, float]:
    """Fill Django's cache of the same purpose."""
    from django.core.cache.backends.locmem import LocMemCache

    params = {"TIMEOUT": WINDOW.total_seconds(), "OPTIONS": {"MAX_ENTRIES": count * 2}}
    cache = LocMemCache("benchmark", params)
    growth = Growth(count)
    fill(cache.set, count)
    return {"full": growth.now()}


KINDS: dict[str, Callable[[int], dict[str, float]]] = {
    "expiring": expiring,
    "renewing": renewing,
    "locmem": locmem,
}


def our_cache(count: int):
    """The cache of the deployment, with room for that many."""
    from collector.cache import records

    cache = records()
    cache.max_entries = max(cache.max_entries, count)
    return cache


def fill(put: Callable, count: int, growth: "Growth | None" = None) -> float:
    """Put the reports of a fleet; the largest growth on the way, if that is asked for."""
    from collector.reports.parsing import parse

    peak = 0.0
    for number, body in enumerate(fleet.reports(count, seed=0)):
        report = parse(body)
        put(report.id, report.version)
        if growth and number % LOOK_EVERY == 0:
            peak = max(peak, growth.now())
    return peak


class Growth:
    """Bytes by which this process's resident set has grown, an installation."""

    def __init__(self, count: int) -> None:
        self.count = count
        # What the first reports load and allocate once is none of the installations'.
        fill(lambda name, version: None, 1000)
        gc.collect()
        self.begin = self._resident()

    def now(self) -> float:
        """The growth until now."""
        return (self._resident() - self.begin) / self.count

    def _resident(self) -> int:
        return psutil.Process().memory_info().rss


if __name__ == "__main__":
    use_django()
    sys.exit(main())
