"""CPU and rate of the ingest with a store, against the same with memory; a connection a request.

Goals: workers and store together take at most 1.5 times the CPU of memory; two workers take the
same as one within 10 %, and are at least 1.3 times as fast; an installation takes at most 140 bytes
of the store's memory at 200,000; `GET /stats` after each new report takes at most 1.1 times as much
there as at 1,000. The exit status is 1 if one is missed.
"""

import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from typing import NamedTuple

import psutil
from django.test import override_settings
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from benchmarks import fleet, load, stats
from benchmarks.goals import arguments, verdict
from benchmarks.servers import Server, free_port, headcount, use_django

MOST_CPU, MOST_APART, LEAST_RATE, MOST_BYTES, MOST_STATS = 1.5, 0.1, 1.3, 140, 1.1
MANY, FEW = 200_000, 1000  # installations
LOOK_EVERY, TRIES = 0.01, 1000  # seconds between two tries to reach a store that starts
SECRET = secrets.token_urlsafe(40)


class Taken(NamedTuple):
    """What a report takes, seconds."""

    cpu: float  # of workers and store
    wall: float


class Beside(NamedTuple):
    """A store in one round, beside what it is compared with."""

    cpu: float  # of one worker, to that of memory
    apart: float  # two workers, to one
    rate: float  # likewise


def main() -> int:
    """Measure in rounds, print the medians and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--requests", type=int, default=4000, help="of a kind in a round")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--at-once", type=int, default=200)
    options = parser.parse_args()
    use_django()
    rounds = []
    for seed in range(options.rounds):
        sent = list(map(load.report, fleet.reports(options.requests, seed)))
        rounds.append([in_memory(sent, options.at_once)])
        rounds[-1] += [in_store(sent, options.at_once, workers) for workers in (1, 2)]
    for name, column in zip(
        ("memory", "store", "store, 2"), zip(*rounds, strict=True), strict=True
    ):
        cpu, wall = (median(each) for each in zip(*column, strict=True))
        print(f"  {name:<9} {cpu * 1e6:4.0f} us CPU  {1 / wall:5.0f} a second")
    ratios = [
        Beside(one.cpu / memory.cpu, two.cpu / one.cpu - 1, one.wall / two.wall)
        for memory, one, two in rounds
    ]
    cpu, apart, rate = (median(each) for each in zip(*ratios, strict=True))
    taken, flat = filled(options.rounds)
    return verdict(
        (f"{MOST_CPU} times the CPU or less: {cpu:.2f}", cpu <= MOST_CPU),
        (f"{MOST_APART:.0%} apart or less, two workers: {apart:.1%}", abs(apart) <= MOST_APART),
        (f"{LEAST_RATE} times as fast or more, two workers: {rate:.2f}", rate >= LEAST_RATE),
        (f"{MOST_BYTES} bytes or less: {taken:.0f}", taken <= MOST_BYTES),
        (f"{MOST_STATS} times or less for /stats: {flat:.3f}", flat <= MOST_STATS),
    )


@contextmanager
def store() -> Iterator[tuple[psutil.Popen, str]]:
    """A redis-server of our own, and its URL."""
    port = free_port()
    command = [shutil.which("redis-server"), "--bind", "127.0.0.1", "--port", str(port)]
    with psutil.Popen(
        [*command, "--save", "", "--appendonly", "no", "--loglevel", "warning"],
        stdout=subprocess.DEVNULL,
    ) as process:
        url = f"redis://127.0.0.1:{port}/0"
        try:
            Redis.from_url(url, retry=Retry(ConstantBackoff(LOOK_EVERY), TRIES)).ping()
            yield process, url
        finally:
            process.terminate()


@contextmanager
def served(workers: int = 1) -> Iterator[tuple[Server, str]]:
    """So many workers of ours on a store of their own, and its URL."""
    with (
        store() as (process, url),
        headcount(WEB_CONCURRENCY=str(workers), REDIS_URL=url, SECRET_KEY=SECRET) as server,
    ):
        server.beside = [process]
        yield server, url


def in_memory(sent: list[bytes], at_once: int) -> Taken:
    """What a report takes without a store."""
    with headcount() as server:
        return measure(server, sent, at_once)


def in_store(sent: list[bytes], at_once: int, workers: int) -> Taken:
    """What a report takes with a store and so many workers."""
    with served(workers) as (server, _):
        return measure(server, sent, at_once)


def measure(server: Server, sent: list[bytes], at_once: int) -> Taken:
    """What a report takes, after a thousand to warm up with: new ids, and those again."""
    load.saturate(server.port, sent[:1000], 201, at_once)
    before, began = server.cpu(), time.perf_counter()
    load.saturate(server.port, sent, 201, at_once)
    return Taken((server.cpu() - before) / len(sent), (time.perf_counter() - began) / len(sent))


def filled(rounds: int) -> tuple[float, float]:
    """Bytes of `used_memory` an installation, and CPU of `/stats`, with many and with few."""
    with served() as (many, many_url), served() as (few, few_url):
        taken = fill(many_url, MANY) / MANY
        fill(few_url, FEW)
        ratios = []
        for seed in range(rounds + 1):
            each = [stats.one_round(server, 300, (seed, "store")) for server in (many, few)]
            if seed:  # the first is to warm up
                print(f"  /stats {each[0] * 1000:.2f} ms, {each[1] * 1000:.2f} ms with {FEW:,}")
                ratios.append(each[0] / each[1])
    return taken, median(ratios)


def fill(url: str, count: int) -> int:
    """Put a fleet into a store; how many bytes it grew by."""
    from collector.cache.redis import RedisCache
    from collector.conf import records_cache

    client = Redis.from_url(url)
    before = client.info("memory")["used_memory"]
    entry = records_cache(redis_url=url)
    with override_settings(SECRET_KEY=SECRET):
        cache = RedisCache(url, {name: entry[name] for name in ("TIMEOUT", "OPTIONS")})
        for number, name in enumerate(fleet.ids(count, "store")):
            cache.put(name, fleet.version(number, stats.DISTINCT))
    return client.info("memory")["used_memory"] - before


if __name__ == "__main__":
    sys.exit(main())
