"""CPU time of a report with answers to four questions, and memory of an answer.

The baseline is a report without answers, to a server without a table of questions. Goals: with
answers, a report takes at most 1.5 times the CPU in memory, and at most 1.6 times with a store,
worker and store together. An answer takes at most 95 bytes of memory at a million instances; this
is the growth of the resident set when instances that are known already answer.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from statistics import median

import psutil

from benchmarks import fleet, load, memory, store
from benchmarks.goals import Goal, at_most, run
from benchmarks.servers import Server, headcount, use_django
from tests.store.redis_server import RedisServer

MEMORY, STORE, BYTES = 1.5, 1.6, 95
TABLE = {"QUESTIONS": "docs/questions/photos.toml"}


def measure(quick: bool) -> Iterator[Goal]:
    """Measure in rounds, each with new servers; then the memory, in a process of its own."""
    requests, rounds, times, count = (500, 1, 3, 100_000) if quick else (1000, 7, 5, 1_000_000)
    rows = [row for seed in range(rounds) for row in compare(requests, times, seed)]
    memory_without, memory_with, store_without, store_with = zip(*rows, strict=True)
    pairs = {
        "in memory": (memory_without, memory_with, MEMORY),
        "with a store": (store_without, store_with, STORE),
    }
    for where, (without, answered, limit) in pairs.items():
        print(
            f"{where}, CPU time of a report: without answers {median(without) * 1e6:.0f} us, "
            f"with four {median(answered) * 1e6:.0f} us"
        )
        ratio = median(b / a for a, b in zip(without, answered, strict=True))
        yield at_most(f"CPU of a report {where}, four answers to none", ratio, limit)
    os.environ |= {"MAX_INSTANCES": "2000000", **TABLE}
    with ProcessPoolExecutor(1, get_context("spawn"), use_django) as process:
        report, answer = process.submit(fill, count).result()
    print(
        f"{count:,} instances: {report:.1f} bytes each, and {answer:.1f} for each of four answers"
    )
    yield at_most("an answer in memory", answer, BYTES, "bytes")


def compare(requests: int, times: int, seed: int) -> Iterator[tuple[float, ...]]:
    """Yield the CPU seconds of a report: in memory without and with answers, and with a store."""
    with (
        headcount() as plain,
        headcount(**TABLE) as asking,
        with_store() as plain_store,
        with_store(**TABLE) as asking_store,
    ):
        for number in range(times):
            without = list(map(load.report, fleet.reports(requests, (seed, number))))
            answered = list(map(load.report, answered_reports(requests, (seed, number))))
            columns = ((plain, without), (asking, answered))
            columns += ((plain_store, without), (asking_store, answered))
            row = tuple(cost(server, sent) for server, sent in columns)
            if number:  # the first time warms up
                yield row
        for server in (asking, asking_store):
            receipt = json.loads(load.ask(server.port, answered[0], 201))
            if len(receipt["answers"]) != len(answers(0)):
                raise RuntimeError(f"not all answers were stored: {receipt}")


def cost(server: Server, sent: list[bytes]) -> float:
    """Return the CPU seconds of a report, sent as `store` sends them."""
    before = server.cpu()
    load.saturate(server.port, sent, 201, store.AT_ONCE)
    return (server.cpu() - before) / len(sent)


@contextmanager
def with_store(**environ: str) -> Iterator[Server]:
    """Run a worker with a store of its own, whose CPU time counts too."""
    beside = RedisServer()
    try:
        with headcount(REDIS_URL=beside.url, SECRET_KEY=store.SECRET, **environ) as server:
            server.beside = [psutil.Process(beside.process.pid)]
            yield server
    finally:
        beside.stop()


def fill(count: int) -> tuple[float, float]:
    """Return the growth an instance, and then the growth an answer when all of them answer."""
    from collector.cache import records
    from collector.conf import conf
    from collector.reports.parsing import parse  # Django is set up in the measured process only

    cache, questions, put = records(), conf.questions, 0
    start = memory.resident_after_imports()
    memory.put_reports(lambda name, version: cache.put_all(name, version, {}), count)
    reported = memory.resident()
    for body in answered_reports(count, seed=0):  # the same instances
        report = parse(body, questions)
        kept = {each.section: report.answers[each.name] for each in questions}
        cache.put_all(report.id, report.version, kept)
        put += len(kept)
    return (reported - start) / count, (memory.resident() - reported) / put


def answered_reports(count: int, seed: object) -> Iterator[bytes]:
    """Yield the bodies of `fleet.reports`, with answers."""
    for number, body in enumerate(fleet.reports(count, seed)):
        yield json.dumps(json.loads(body) | {"answers": answers(number)}).encode()


def answers(number: int) -> dict[str, object]:
    """Return answers to all questions of the table; every value that is kept occurs."""
    database = ("sqlite", "postgresql", "mysql", "mariadb")[number % 4]
    users, photos = (1, 4, 12, 50)[number // 4 % 4], (400, 4000, 40_000, 400_000)[number // 16 % 4]
    return {"database": database, "users": users, "sso": number // 64 % 2 == 0, "photos": photos}


if __name__ == "__main__":
    run(measure)
