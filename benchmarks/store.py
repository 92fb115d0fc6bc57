"""What a store costs, compared with memory: reports, instances and statistics.

Goals: the worker and the store together take at most 1.8 times the CPU time of memory for a report;
an instance takes at most 90 bytes of the store at 200,000. `GET /stats` after a report is compared
with memory, and a state with 10,000 versions from eight days with one with 1,000.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from statistics import median

import psutil
import time_machine

from benchmarks import fleet, load
from benchmarks.goals import Goal, at_most, ratio, run
from benchmarks.servers import Server, filled, headcount, use_django
from collector.cache.tally import EMPTY
from tests.store.redis_server import RedisServer

CPU, BYTES = 1.8, 90
AT_ONCE = 32
DAYS = 8
SECRET = secrets.token_urlsafe(40)


def measure(quick: bool) -> Iterator[Goal]:
    """Measure in rounds; each starts its servers anew."""
    requests, rounds, many, versions = (
        (500, 1, 10_000, (100, 1000)) if quick else (1000, 7, 200_000, (1000, 10_000))
    )
    use_django(SECRET_KEY=SECRET)
    rows = []
    for seed in range(rounds):
        with with_store() as (server, _), headcount() as memory:
            for number in range(3):
                sent = list(map(load.report, fleet.reports(requests, (seed, number))))
                row = tuple(load.cpu(each, sent, AT_ONCE) for each in (server, memory))
                if number:  # the first time warms up
                    rows.append(row)
    figure = ratio("CPU of a report with a store and in memory", rows)
    yield at_most("report with a store to memory", figure, CPU)
    in_memory = filled(instances=many, distinct=load.DISTINCT)
    with with_store() as (server, store), in_memory as memory:
        cache, before = cache_in(store), used(store)
        for number, name in enumerate(fleet.ids(many, "filled")):
            cache.put(name, fleet.version(number, load.DISTINCT))
        yield at_most("an instance in the store", (used(store) - before) / many, BYTES, "bytes")
        rows = load.compare_stats(server, memory, rounds, requests // 20)
        figure = ratio("CPU of /stats after a report with a store and in memory", rows)
        print(f"/stats after a report with a store to memory: {figure:.2f} times")
    for distinct in versions:
        read(distinct)


@contextmanager
def with_store() -> Iterator[tuple[Server, RedisServer]]:
    """Run one worker with a store of its own."""
    store = RedisServer()
    try:
        with headcount(REDIS_URL=store.url, SECRET_KEY=SECRET) as server:
            server.beside = [psutil.Process(store.process.pid)]
            yield server, store
    finally:
        store.stop()


def cache_in(store: RedisServer):
    """Return the cache that a server with this store has."""
    from collector.cache.redis import RedisCache  # after Django is set up
    from collector.conf import records_cache

    entry = records_cache(redis_url=store.url)
    return RedisCache(store.url, {name: entry[name] for name in ("TIMEOUT", "OPTIONS")})


def used(store: RedisServer) -> int:
    """Return the bytes of memory that a store uses."""
    return store.client.info("memory")["used_memory"]


def read(distinct: int) -> None:
    """Print what a `read` takes with so many versions in both cohorts of eight days."""
    with with_store() as (server, store):
        cache = cache_in(store)
        for day in range(DAYS):
            sent = [(day, number) for number in range(2 * distinct)]
            sent += [(day - 1, number) for number in range(distinct, 2 * distinct)]
            with time_machine.travel(datetime.now(UTC) + timedelta(days=day - DAYS + 1)):
                for born, number in sent:
                    cache.put(f"{born} {number}", fleet.version(number, distinct))
        server.beside.append(psutil.Process())
        state, seconds = EMPTY, []
        for number in range(20):
            cache.put(f"more {number}", fleet.version(number, distinct))
            begin = server.cpu()
            state = cache.read(state)
            seconds.append(server.cpu() - begin)
        print(f"a read of {distinct:,} versions: {median(seconds) * 1000:.1f} ms of CPU")


if __name__ == "__main__":
    run(measure)
