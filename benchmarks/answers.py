"""What answers cost: a report with four of them, compared with one without.

Goals: with a table of four questions, a report that answers all of them takes at most 1.5 times the
CPU time of a report to a server without a table, in memory, and at most 1.6 times with a store,
whose CPU time counts too. An answer takes at most 95 bytes of memory at a million instances.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from statistics import median

from benchmarks import fleet, load, memory, store
from benchmarks.goals import Goal, at_most, run
from benchmarks.servers import Server, headcount, use_django

CPU, CPU_WITH_STORE, BYTES = 1.5, 1.6, 95
TABLE = {"QUESTIONS": "docs/questions/photos.toml"}
QUESTIONS = 4
AT_ONCE = 32


def measure(quick: bool) -> Iterator[Goal]:
    """Measure in rounds; each starts its servers anew."""
    requests, rounds, times, many = (300, 1, 2, 100_000) if quick else (1000, 5, 5, 1_000_000)
    ratios: list[list[float]] = [[], []]
    for seed in range(rounds):
        with ExitStack() as stack:
            pairs = [
                [stack.enter_context(headcount(**table)) for table in ({}, TABLE)],
                [stack.enter_context(store.with_store(1, **table))[0] for table in ({}, TABLE)],
            ]
            for _, answered in pairs:
                check(answered)
            for number in range(times):
                bodies = list(fleet.reports(requests, (seed, number)))
                for pair, column in zip(pairs, ratios, strict=True):
                    without, with_answers = (
                        cost(server, sent)
                        for server, sent in zip(pair, (bodies, map(answer, bodies)), strict=True)
                    )
                    if number:  # the first time warms up
                        column.append(with_answers / without)
    used = bytes_of_an_answer(many)
    for what, column, goal in zip(
        ("memory", "a store"), ratios, (CPU, CPU_WITH_STORE), strict=True
    ):
        yield at_most(f"report with four answers to one without, in {what}", median(column), goal)
    yield at_most("an answer in memory", used, BYTES, "bytes")


def answer(body: bytes) -> bytes:
    """Return a report with an answer to each question."""
    content = json.loads(body)
    draw = int(content["id"].replace("-", ""), 16)
    database = ("sqlite", "postgresql", "mysql", "oracle")[draw % 4]
    answers = {
        "database": database,
        "users": draw % 40,
        "sso": draw % 3 == 0,
        "photos": draw % 9999,
    }
    return json.dumps(content | {"answers": answers}).encode()


def check(server: Server) -> None:
    """Raise RuntimeError if a server does not keep four answers."""
    (body,) = fleet.reports(1, "check")
    receipt = json.loads(load.ask(server.port, load.report(answer(body)), 201))
    if len(receipt["answers"]) != QUESTIONS:
        raise RuntimeError(f"not every answer was kept: {receipt}")


def cost(server: Server, bodies: Iterator[bytes]) -> float:
    """Return the CPU seconds of a report."""
    return load.cpu(server, list(map(load.report, bodies)), 201, AT_ONCE)


def bytes_of_an_answer(count: int) -> float:
    """Return how much more memory a process takes for each answer, with `count` instances."""
    os.environ |= {"MAX_INSTANCES": "2000000"} | TABLE
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, spawn, use_django, max_tasks_per_child=1) as processes:
        with_answers, without = (
            processes.submit(fill, count, answers).result() for answers in (True, False)
        )
    return (with_answers - without) / (QUESTIONS * count)


def fill(count: int, answered: bool) -> int:
    """Put reports into memory; return by how many bytes the process grew."""
    from collector.cache import records
    from collector.conf import conf
    from collector.reports.parsing import parse  # Django is set up in the measured process only

    cache, questions = records(), conf.questions
    start = memory.resident_after_imports()
    for body in fleet.reports(count, seed=0):
        report = parse(answer(body), questions)
        answers = {each.section: report.answers[each.name] for each in questions if answered}
        cache.put_all(report.id, report.version, answers)
    return memory.resident() - start


if __name__ == "__main__":
    run(measure)
