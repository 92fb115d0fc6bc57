"""CPU time and rate of reports with a store, compared with memory.

Goals: the workers and the store together take at most 1.4 times the CPU of memory; two workers are
at least 1.4 times as fast as one; an instance takes at most 140 bytes of the store's memory at
200,000; and `GET /stats` after a report takes at most 1.1 times as much there as at 1,000.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

import psutil
from django.test import override_settings

from benchmarks import fleet, load, stats
from benchmarks.goals import Goal, at_least, at_most, run
from benchmarks.servers import Server, headcount, use_django
from tests.store.redis_server import RedisServer

CPU, RATE, BYTES, STATS = 1.4, 1.4, 140, 1.1
AT_ONCE = 200
SECRET = secrets.token_urlsafe(40)


def measure(quick: bool) -> Iterator[Goal]:
    """Measure in rounds; each starts its servers anew."""
    requests, rounds, many = (1000, 1, 10_000) if quick else (4000, 9, 200_000)
    use_django()
    results = []
    for seed in range(rounds):
        sent = list(map(load.report, fleet.reports(requests, seed)))
        with headcount() as server:
            results.append([cost(server, sent)])
        for workers in (1, 2):
            with with_store(workers) as (server, _):
                results[-1].append(cost(server, sent))
    for name, column in zip(
        ("memory", "one worker", "two"), zip(*results, strict=True), strict=True
    ):
        cpu, wall = (median(each) for each in zip(*column, strict=True))
        print(f"{name}: {cpu * 1e6:.0f} us of CPU, {1 / wall:,.0f} a second")
    with with_store() as (large, large_store), with_store() as (small, small_store):
        used = fill(large_store, many) / many
        fill(small_store, 1000)
        flat = stats.compare(large, small, 20 if quick else 300, rounds)
    memory_one = median(one[0] / memory[0] for memory, one, _ in results)
    faster = median(one[1] / two[1] for _, one, two in results)
    yield at_most("CPU of a report, store to memory", memory_one, CPU)
    yield at_least("rate of two workers to one", faster, RATE)
    yield at_most("an instance in the store", used, BYTES, "bytes")
    yield at_most("/stats, many to few", flat, STATS)


@contextmanager
def with_store(workers: int = 1, **environ: str) -> Iterator[tuple[Server, RedisServer]]:
    """Run workers with a store of their own; `environ` holds further settings."""
    store = RedisServer()
    settings = {"WEB_CONCURRENCY": str(workers), "REDIS_URL": store.url, "SECRET_KEY": SECRET}
    settings |= environ
    try:
        with headcount(**settings) as server:
            server.beside = [psutil.Process(store.process.pid)]
            yield server, store
    finally:
        store.stop()


def cost(server: Server, sent: list[bytes]) -> tuple[float, float]:
    """Return the CPU and wall seconds of a report, after a thousand of them to warm up."""
    load.saturate(server.port, sent[:1000], 201, AT_ONCE)
    before, began = server.cpu(), time.perf_counter()
    load.saturate(server.port, sent, 201, AT_ONCE)
    return (server.cpu() - before) / len(sent), (time.perf_counter() - began) / len(sent)


def fill(store: RedisServer, count: int) -> int:
    """Put reports into a store; return by how many bytes it grew."""
    from collector.cache.redis import RedisCache
    from collector.conf import records_cache

    before = store.client.info("memory")["used_memory"]
    entry = records_cache(redis_url=store.url)
    with override_settings(SECRET_KEY=SECRET):
        cache = RedisCache(store.url, {name: entry[name] for name in ("TIMEOUT", "OPTIONS")})
        for number, name in enumerate(fleet.ids(count, "store")):
            cache.put(name, fleet.version(number, stats.DISTINCT))
    return store.client.info("memory")["used_memory"] - before


if __name__ == "__main__":
    run(measure)
