"""A hundred thousand bodies and ten thousand raw requests, from a corpus that grows.

One body in 20 is made by Hypothesis. The others are changed from those that made a new kind of
answer before; a kind is the status, the error and its field. Inputs are sent one after the other,
so that it is known what must be counted. One raw request in ten waits for no answer.
Goal: no 5xx, but for the 501 that RFC 9112 asks for where a transfer coding is unknown; every
answer is HTTP; nothing printed quotes a request, or says that something failed in the server;
memory stays as it was after the first tenth; the numbers are right; and a good report is taken.
A plain Django application gets as many; it is not judged.
"""

import json
import random
import re
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil

from benchmarks import seeds
from benchmarks.corpus import Corpus
from benchmarks.goals import arguments, verdict
from benchmarks.servers import Server, headcount, plain
from benchmarks.wire import exchange, go_away, post, split

GROWTH = 2_000_000  # bytes of memory that more requests may take, however many they are
LIVE = 500  # installations that bodies report for; what more of them take would be no growth
MADE = 20  # one body in so many is made by Hypothesis, which takes its time
LONGEST_BODY = 5000  # bytes; a little more than is taken
LONGEST_REQUEST = 200_000
SHOWN = 3  # inputs of those that failed
UUIDS = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
RIGHT = (501, "Unsupported transfer coding:", None)  # RFC 9112, 6.1; gunicorn's
COUNTED = {"app": "versions", "image": "images", "arch": "architectures"}
# Our log has lines such as the next three instead of tracebacks, and nothing that a request said.
TELLTALES = ("Traceback", "failed in the", "error lines of", "critical lines of", seeds.MARK)

Kind = tuple[int, str, str | None]  # status, error, field


@dataclass
class Findings:
    """What came of the inputs."""

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    kinds: int = 0  # of answers
    failures: list[bytes] = field(default_factory=list)  # what was answered by a 5xx, or no HTTP
    grown: int = 0  # bytes, after the first tenth and all that the corpus began with
    miscounted: str = ""  # what was told and what had to be; empty: right


class Fuzz:
    """Inputs for one server, a connection each, and what came of them."""

    def __init__(self, port: int, worker: int, corpus: Corpus) -> None:
        self.port = port
        self.worker = psutil.Process(worker)
        self.corpus = corpus
        self.source = corpus.source
        self.found = Findings()

    def run(self, count: int) -> Findings:
        """Send so many inputs, and more than the corpus began with."""
        self.before = statistics(self.port)
        warm = max(count // 10, len(self.corpus.unsent))
        for number in range(count):
            if number == warm:
                resident = self.worker.memory_info().rss
            self.step()
        self.found.sent = count
        self.found.grown = self.worker.memory_info().rss - resident
        self.found.kinds = len(self.corpus.kinds)
        self.found.miscounted = self.miscounted(statistics(self.port))
        return self.found

    def step(self) -> None:
        """Send one input."""
        raise NotImplementedError

    def miscounted(self, numbers: dict[str, Any]) -> str:
        """Compare the numbers with what must have been counted."""
        raise NotImplementedError

    def note(self, sent: bytes, kinds: list[Kind]) -> None:
        """Keep what was answered, and an input whose answer is new."""
        self.corpus.learn(sent, frozenset(kinds))
        self.found.statuses.update(status for status, _, _ in kinds)
        if any(each[0] >= 500 and each != RIGHT for each in kinds):
            self.found.failures.append(sent)

    def new_id(self) -> bytes:
        """An id that nobody had before."""
        number = uuid.UUID(int=self.source.getrandbits(128))
        return (seeds.MARK + str(number)[len(seeds.MARK) :]).encode()


class Bodies(Fuzz):
    """Bodies of reports, and one in ten of a wish to be forgotten."""

    def __init__(self, port: int, worker: int, count: int, seed: int) -> None:
        source = random.Random(seed)
        corpus = Corpus(seeds.BODIES, seeds.BODY_TOKENS, LONGEST_BODY, source, are_json=True)
        super().__init__(port, worker, corpus)
        self.made = list(seeds.bodies(count // MADE, seed))
        self.live: dict[str, dict[str, str | None]] = {}
        self.ids: list[bytes] = []

    def step(self) -> None:
        made = self.made and self.source.random() < 2 / MADE
        body = UUIDS.sub(self.some_id, self.made.pop() if made else self.corpus.draw())
        path = b"/forget" if self.source.random() < 0.1 else b"/"
        answers = list(split(exchange(self.port, [post(path, body)])))
        self.note(body, [kind(*answer) for answer in answers])
        for status, answer in answers:
            if status == 201:
                self.live[id_in(body)] = json.loads(answer)["stored"]
            elif status == 204:
                self.live.pop(id_in(body), None)

    def some_id(self, _: re.Match[bytes]) -> bytes:
        """A new id, or one of LIVE that were used before, in any case."""
        if len(self.ids) < LIVE:
            self.ids.append(self.new_id())
        known = self.source.choice(self.ids)
        return known.upper() if self.source.random() < 0.1 else known

    def miscounted(self, numbers: dict[str, Any]) -> str:
        wrong = differs(numbers["instances"], len(self.live) + self.before["instances"])
        for name, breakdown in COUNTED.items():
            counts = Counter(kept[name] or "" for kept in self.live.values())
            counts.update(self.before[breakdown])
            told = numbers[breakdown]  # in Headcount, the most frequent
            wrong += differs(told, {value: counts[value] for value in told})
        return wrong


class Raw(Fuzz):
    """Whole requests, or what somebody sends instead."""

    def __init__(self, port: int, worker: int, seed: int) -> None:
        corpus = Corpus(seeds.RAW, seeds.RAW_TOKENS, LONGEST_REQUEST, random.Random(seed))
        super().__init__(port, worker, corpus)
        self.accepted = self.perhaps = 0

    def step(self) -> None:
        # Each report in it has an id of its own, so that each 201 is one installation more.
        sent = UUIDS.sub(lambda _: self.new_id(), self.corpus.draw())
        if self.source.random() < 0.1:
            go_away(self.port, sent, self.source.random() < 0.5)
            self.perhaps += len(UUIDS.findall(sent))
            return
        answers = list(split(exchange(self.port, self.parts(sent))))
        self.note(sent, [kind(*answer) for answer in answers])
        self.accepted += sum(status == 201 for status, _ in answers)

    def parts(self, sent: bytes) -> list[bytes]:
        """The same, mostly in one part."""
        if self.source.random() < 0.7:
            return [sent]
        at = self.source.randint(0, len(sent))
        return [sent[:at], sent[at:]]

    def miscounted(self, numbers: dict[str, Any]) -> str:
        least = self.before["instances"] + self.accepted
        within = range(least, least + self.perhaps + 1)
        return "" if numbers["instances"] in within else f"{numbers['instances']} not in {within}; "


def differs(told: object, right: object) -> str:
    """What is wrong; empty if nothing is."""
    return "" if told == right else f"{told} instead of {right}; "


def kind(status: int, body: bytes) -> Kind:
    """What an answer comes down to, without what it quotes."""
    if body.startswith(b'{"error":'):
        problem = json.loads(body)
        return status, problem["error"], problem.get("field")
    said = re.search(rb"</h1>\s*([^&'\d]*)", body) if status >= 400 else None
    return status, said[1].decode().strip() if said else "", None


def id_in(body: bytes) -> str:
    """The id in a body that was taken; what is wrong in a member that is ignored does no harm."""
    text = body.decode(json.detect_encoding(body), "replace")
    with deep_recursion():
        return str(uuid.UUID(json.loads(text, strict=False)["id"]))


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Let what is nested as deep as a server takes it be read here too."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


def statistics(port: int) -> dict[str, Any]:
    """The numbers."""
    request = b"GET /stats HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    ((status, body),) = split(exchange(port, [request]))
    if status != 200:
        raise RuntimeError(f"/stats answers {status}")
    return dict(json.loads(body))


def takes_a_report(port: int) -> bool:
    """Whether a good report is taken and counted."""
    before = statistics(port)["instances"]
    good = UUIDS.sub(str(uuid.uuid4()).encode(), seeds.REPORT)
    ((status, _),) = split(exchange(port, [post(b"/", good)]))
    return status == 201 and statistics(port)["instances"] > before


def told_in(printed: str) -> list[str]:
    """The lines that a server should not print."""
    return [line for line in printed.splitlines() if any(each in line for each in TELLTALES)]


def main() -> int:
    """Fuzz both servers, print what was found and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=10_000, help="raw ones")
    parser.add_argument("--seed", type=int, default=0, help="the same inputs for the same answers")
    options = parser.parse_args()
    results = assault("Headcount", headcount(), options)
    assault("plain Django", plain(), options)
    return verdict(*results)


def assault(name: str, server: Server, options) -> list[tuple[str, bool]]:
    """Send everything to a server, print what was found; the goals and whether they are reached."""
    with tempfile.TemporaryFile() as printed:
        server.output, server.log_level = printed, "debug"
        server.environment["GUNICORN_CMD_ARGS"] = "--access-logfile -"
        with server:
            port, worker = server.port, server.worker()
            print(f"{name}:")
            bodies = Bodies(port, worker, options.bodies, options.seed)
            raw = Raw(port, worker, options.seed)
            results = [
                *judged("bodies", timed(bodies, options.bodies)),
                *judged("raw requests", timed(raw, options.requests)),
                ("the next good report is taken", takes_a_report(port)),
            ]
        printed.seek(0)
        lines = told_in(printed.read().decode(errors="replace"))
    print(f"  {len(lines)} lines that should not be printed {lines[:SHOWN]}")
    return [*results, ("nothing is printed that should not be", not lines)]


def timed(fuzz: Fuzz, count: int) -> Findings:
    """Send so many inputs, print what was found."""
    began = time.perf_counter()
    found = fuzz.run(count)
    took = time.perf_counter() - began
    print(
        f"  {found.sent:,} {type(fuzz).__name__} in {took:.0f} s, {found.kinds} kinds of answers:"
    )
    print("   ", ", ".join(f"{status}: {n:,}" for status, n in sorted(found.statuses.items())))
    shown = [each[:200] for each in found.failures[:SHOWN]]
    print(f"    5xx or no HTTP: {len(found.failures):,} {shown or ''}")
    print(f"    grown by {found.grown / 1000:,.0f} kB; miscounted: {found.miscounted or 'nothing'}")
    return found


def judged(name: str, found: Findings) -> Iterator[tuple[str, bool]]:
    """The goals, and whether they are reached."""
    yield f"{name}: no 5xx, and every answer is HTTP", not found.failures
    grown = f"{found.grown / 1000:,.0f} kB"
    yield f"{name}: grown by at most {GROWTH // 1000:,} kB: {grown}", found.grown <= GROWTH
    yield f"{name}: the numbers are right", not found.miscounted


if __name__ == "__main__":
    sys.exit(main())
