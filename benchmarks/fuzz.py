"""Send a hundred thousand report bodies and ten thousand raw requests to Headcount.

The fuzzer creates each input by changing an earlier one from a corpus. It adds an input to the
corpus when the response is of a new kind, that is, a new combination of status, error message and
field. It sends inputs one at a time, so that it knows which reports must be counted. For one raw
request in ten, it does not wait for the response. The goals are:

- Every response is valid HTTP, and none is a 5xx, except the 501 that RFC 9112 requires for an
  unknown transfer coding.
- No log line quotes a request or reports a failure of the server.
- Memory does not grow after the first tenth of the inputs.
- The statistics are right, and the server accepts a valid report at the end.

A plain Django application receives the same inputs for comparison; the goals do not apply to it.
"""

import json
import random
import re
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import psutil

from benchmarks import load, seeds, wire
from benchmarks.corpus import Corpus
from benchmarks.goals import Goal, at_most, run
from benchmarks.servers import Server, headcount, plain

GROWTH = 2_000_000  # bytes of memory that further requests may take, however many they are
LIVE = 500  # instances that bodies report for; more of them would need more memory
LONGEST_BODY = 5000  # bytes; a little more than is accepted
LONGEST_REQUEST = 200_000
QUESTIONS = "docs/questions/photos.toml"
LOUD = ("--log-level", "debug", "--access-logfile", "-")
UUIDS = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
ALLOWED = (501, "Unsupported transfer coding:", None)  # RFC 9112, 6.1
COUNTED = {"app": "versions", "image": "images", "arch": "architectures"}
# The server's log has lines such as the middle three in place of tracebacks.
TELLTALES = ("Traceback", "failed in the", "error lines of", "critical lines of", seeds.MARK)

Kind = tuple[int, str, str | None]  # status, error, field


class Fuzz:
    """Inputs for one server, each on a connection of its own, and what happened."""

    def __init__(self, port: int, worker: int, corpus: Corpus) -> None:
        self.port = port
        self.worker = psutil.Process(worker)
        self.corpus = corpus
        self.source = corpus.source
        self.statuses: Counter[int] = Counter()
        self.failures: list[bytes] = []  # inputs whose answer was a 5xx or not HTTP
        self.growth = 0  # bytes, after the first tenth and all seeds
        self.miscounted = ""  # what /stats answers and what it should answer

    def run(self, count: int) -> None:
        """Send inputs: more than the seeds."""
        self.before = stats(self.port)
        for question, values in self.before.get("answers", {}).items():
            self.before["answers"][question] = Counter(values)
        warm = max(count // 10, len(self.corpus.unsent))
        for number in range(count):
            if number == warm:
                resident = self.worker.memory_info().rss
            self.step()
        self.growth = self.worker.memory_info().rss - resident
        self.miscounted = self.differences(stats(self.port))

    def step(self) -> None:
        """Send one input."""
        raise NotImplementedError

    def differences(self, answer: dict[str, Any]) -> str:
        """Compare the statistics with what must have been counted."""
        raise NotImplementedError

    def note(self, sent: bytes, answers: list[tuple[int, bytes]]) -> None:
        """Record the answers, and keep an input with a new kind of answer."""
        kinds = [kind(*answer) for answer in answers]
        self.corpus.learn(sent, frozenset(kinds))
        self.statuses.update(status for status, _ in answers)
        if any(each[0] >= 500 and each != ALLOWED for each in kinds):
            self.failures.append(sent)

    def new_id(self) -> bytes:
        """Return an id that no instance had before."""
        number = str(uuid.UUID(int=self.source.getrandbits(128)))
        return (seeds.MARK + number[len(seeds.MARK) :]).encode()


class Bodies(Fuzz):
    """Bodies of reports; one in ten is sent to /forget instead."""

    def __init__(self, port: int, worker: int, seed: int) -> None:
        source = random.Random(f"bodies {seed}")  # its ids differ from those of raw requests
        corpus = Corpus(seeds.BODIES, seeds.BODY_TOKENS, LONGEST_BODY, source, json_share=0.5)
        super().__init__(port, worker, corpus)
        self.live: dict[str, dict[str, str | None]] = {}
        self.answers: dict[str, dict[str, str]] = {}
        self.ids: list[bytes] = []

    def step(self) -> None:
        body = UUIDS.sub(self.some_id, self.corpus.draw())
        path = "/forget" if self.source.random() < 0.1 else "/"
        answers = wire.exchange(self.port, load.report(body, path))
        self.note(body, answers)
        for status, answer in answers:
            if status == 201:
                receipt = json.loads(answer)
                self.live[id_in(body)] = receipt["stored"]
                self.answers[id_in(body)] = receipt.get("answers", {})
            elif status == 204:
                self.live.pop(id_in(body), None)
                self.answers.pop(id_in(body), None)

    def some_id(self, _: re.Match[bytes]) -> bytes:
        """Return a new id, or one of LIVE that were used before, in either case."""
        if len(self.ids) < LIVE:
            self.ids.append(self.new_id())
        known = self.source.choice(self.ids)
        return known.upper() if self.source.random() < 0.1 else known

    def differences(self, answer: dict[str, Any]) -> str:
        wrong = compare(answer["instances"], len(self.live) + self.before["instances"])
        for field, breakdown in COUNTED.items():
            counts = Counter(stored[field] or "" for stored in self.live.values())
            counts.update(self.before[breakdown])
            listed = answer[breakdown]  # the most frequent names
            wrong += compare(listed, {name: counts[name] for name in listed})
        for question, values in answer.get("answers", {}).items():
            given = (each[question] for each in self.answers.values() if question in each)
            wrong += compare(Counter(values), self.before["answers"][question] + Counter(given))
        return wrong


class Raw(Fuzz):
    """Whole requests, valid or not."""

    def __init__(self, port: int, worker: int, seed: int) -> None:
        corpus = Corpus(seeds.RAW, seeds.RAW_TOKENS, LONGEST_REQUEST, random.Random(f"raw {seed}"))
        super().__init__(port, worker, corpus)
        self.accepted = self.unanswered = 0

    def step(self) -> None:
        # Each report has an id of its own, so each 201 is one more instance.
        sent = UUIDS.sub(lambda _: self.new_id(), self.corpus.draw())
        if self.source.random() < 0.1:
            wire.leave(self.port, sent, self.source.random() < 0.5)
            self.unanswered += len(UUIDS.findall(sent))
            return
        at = self.source.randint(0, len(sent)) if self.source.random() < 0.3 else len(sent)
        answers = wire.exchange(self.port, sent[:at], sent[at:])
        self.note(sent, answers)
        self.accepted += sum(status == 201 for status, _ in answers)

    def differences(self, answer: dict[str, Any]) -> str:
        least = self.before["instances"] + self.accepted
        possible = range(least, least + self.unanswered + 1)
        return "" if answer["instances"] in possible else f"{answer['instances']} not in {possible}"


def compare(answer: object, expected: object) -> str:
    """Return the difference in words; empty if there is none."""
    return "" if answer == expected else f"{answer} instead of {expected}; "


def kind(status: int, body: bytes) -> Kind:
    """Return the kind of an answer, without what it quotes."""
    if body.startswith(b'{"error":'):
        problem = json.loads(body)
        return status, problem["error"], problem.get("field")
    title = re.search(rb"</h1>\s*([^&'\d]*)", body) if status >= 400 else None
    return status, title[1].decode().strip() if title else "", None


def id_in(body: bytes) -> str:
    """Return the id in an accepted body, whatever the fields hold that the server ignores."""
    text = body.decode(json.detect_encoding(body), "replace")
    with deep_recursion():
        return str(uuid.UUID(json.loads(text, strict=False)["id"]))


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Allow JSON that is nested as deeply as the server accepts it."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def stats(port: int) -> dict[str, Any]:
    """Return the statistics."""
    return dict(json.loads(load.ask(port, load.get("/stats"), 200)))


def accepts_a_report(port: int) -> bool:
    """Return whether a valid report is accepted and counted."""
    before = stats(port)["instances"]
    body = UUIDS.sub(str(uuid.uuid4()).encode(), seeds.REPORT)
    load.ask(port, load.report(body), 201)
    return stats(port)["instances"] > before


def leaks(printed: str) -> list[str]:
    """Return the lines that a server should not print."""
    return [line for line in printed.splitlines() if any(each in line for each in TELLTALES)]


def measure(quick: bool) -> Iterator[Goal]:
    """Fuzz both servers."""
    bodies, requests = (2000, 1000) if quick else (100_000, 10_000)
    list(assault("plain Django", plain(*LOUD), bodies, requests))
    return assault("Headcount", headcount(*LOUD, QUESTIONS=QUESTIONS), bodies, requests)


def assault(
    name: str, running: AbstractContextManager[Server], bodies: int, requests: int
) -> Iterator[Goal]:
    """Send everything to a server, and print what happened."""
    with running as server:
        worker = server.worker().pid
        for fuzz, count in (
            (Bodies(server.port, worker, seed=0), bodies),
            (Raw(server.port, worker, seed=0), requests),
        ):
            fuzz.run(count)
            what = f"{name}, {count:,} {type(fuzz).__name__.lower()}"
            print(
                f"{what}: {dict(sorted(fuzz.statuses.items()))}, {len(fuzz.corpus.kinds)} kinds of "
                f"answers, 5xx or not HTTP {len(fuzz.failures):,} {fuzz.failures[:1]}, grew by "
                f"{fuzz.growth / 1000:,.0f} kB; miscounted: {fuzz.miscounted[:200] or 'nothing'}"
            )
            yield f"{what}: no 5xx, and every answer is HTTP", not fuzz.failures
            yield at_most(f"{what}: growth", fuzz.growth / 1000, GROWTH / 1000, "kB")
            yield f"{what}: the statistics are right", not fuzz.miscounted
        yield f"{name} accepts the next valid report", accepts_a_report(server.port)
    lines = leaks(server.output)
    print(f"{name}: {len(lines)} lines quote a request or report a failure {lines[:3]}")
    yield f"{name} prints no such line", not lines


if __name__ == "__main__":
    run(measure)
