"""CPU and rate of the ingest with a store, against the same with memory; a connection a request.

Goals: workers and store together take at most 1.5 times the CPU of memory; two workers take the
same as one within 10 %, and are at least 1.3 times as fast; an installation takes at most 140 bytes
of the store's memory at 200,000. The exit status is 1 if one is missed.
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
from uuid import UUID

import psutil
from redis import Redis
from redis.exceptions import ConnectionError as Broken

from benchmarks import fleet, load
from benchmarks.goals import arguments, verdict
from benchmarks.servers import Server, free_port, headcount, use_django

MOST_CPU, MOST_APART, LEAST_RATE, MOST_BYTES = 1.5, 0.1, 1.3, 140
INSTALLATIONS = 200_000
READY_WITHIN = 10  # seconds


class Taken(NamedTuple):
    """What a report takes, seconds."""

    cpu: float  # of workers and store
    wall: float


def main() -> int:
    """Measure in rounds, print the medians and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--requests", type=int, default=4000, help="of a kind in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, default=32)
    options = parser.parse_args()
    rounds = []
    for seed in range(options.rounds):
        sent = list(map(load.report, fleet.reports(options.requests, seed)))
        rounds.append([in_memory(sent, options.at_once)])
        rounds[-1] += [in_store(sent, options.at_once, workers) for workers in (1, 2)]
    memory, one, two = (
        Taken(*(median(each) for each in zip(*column, strict=True)))
        for column in zip(*rounds, strict=True)
    )
    for name, taken in (("memory", memory), ("store, 1 worker", one), ("store, 2", two)):
        print(f"  {name:<16} {taken.cpu * 1e6:4.0f} us CPU  {1 / taken.wall:5.0f} a second")
    taken = bytes_each()
    cpu, apart, rate = one.cpu / memory.cpu, abs(two.cpu / one.cpu - 1), one.wall / two.wall
    return verdict(
        (f"{MOST_CPU} times the CPU or less: {cpu:.2f}", cpu <= MOST_CPU),
        (f"{MOST_APART:.0%} apart or less, two workers: {apart:.1%}", apart <= MOST_APART),
        (f"{LEAST_RATE} times as fast or more, two workers: {rate:.2f}", rate >= LEAST_RATE),
        (f"{MOST_BYTES} bytes or less: {taken:.0f}", taken <= MOST_BYTES),
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
        until = time.monotonic() + READY_WITHIN
        while time.monotonic() < until:
            try:
                Redis.from_url(url).ping()
                break
            except Broken:
                time.sleep(0.01)  # between two tries, while redis-server starts
        yield process, url
        process.terminate()


def in_memory(sent: list[bytes], at_once: int) -> Taken:
    """What a report takes without a store."""
    with headcount() as server:
        return measure(server, None, sent, at_once)


def in_store(sent: list[bytes], at_once: int, workers: int) -> Taken:
    """What a report takes with a store and so many workers."""
    with store() as (process, url):
        settings = {"REDIS_URL": url, "SECRET_KEY": secrets.token_urlsafe(40)}
        with headcount(WEB_CONCURRENCY=str(workers), **settings) as server:
            return measure(server, process, sent, at_once)


def measure(server: Server, process: psutil.Popen | None, sent: list[bytes], at_once: int) -> Taken:
    """What a report takes, after as many to warm up with: new ids, and the same again."""
    load.send(server.port, sent[:1000], 201, at_once)

    def cpu() -> float:
        times = process.cpu_times() if process else None
        return server.cpu() + (times.user + times.system if times else 0)

    before, began = cpu(), time.perf_counter()
    load.send(server.port, sent, 201, at_once)
    return Taken((cpu() - before) / len(sent), (time.perf_counter() - began) / len(sent))


def bytes_each() -> float:
    """Bytes of `used_memory` an installation."""
    use_django()
    from collector.cache.redis import RedisCache
    from collector.entry import records_cache

    with store() as (_, url):
        entry = records_cache(redis_url=url)
        cache = RedisCache(url, {name: entry[name] for name in ("TIMEOUT", "OPTIONS")})
        cache.clear()
        client = Redis.from_url(url)
        before = client.info("memory")["used_memory"]
        versions = [{"app": f"0.{n}.0", "image": "ghcr.io/x/y", "arch": "x86"} for n in range(300)]
        for n in range(INSTALLATIONS):
            cache.put(str(UUID(int=n)), versions[n % 300])
        return (client.info("memory")["used_memory"] - before) / INSTALLATIONS


if __name__ == "__main__":
    sys.exit(main())
