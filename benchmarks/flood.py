"""A flood of made-up installations and versions: what it takes, and whether it is forgotten.

A known fleet reports every day. From the second day, for eight days, made-up ids come past
MAX_INSTANCES, each with a version of its own of the longest names, past MAX_VALUES. Then the flood
ends, and eight more days pass. Goals:

- the resident set stays under the ceiling that the docs name;
- every report of a known installation is accepted with its detail, on every day;
- `/stats` is under 200 kB, and takes at most 50 ms of CPU after a report;
- when the flood is forgotten, `/stats` says what it said before it.

Beside it, a plain Django view that keeps the latest report of each id in a dict, without a limit.
The exit status is 1 if a goal is not reached.
"""

import http.client
import json
import sys
from collections import Counter
from contextlib import closing
from typing import Any, NamedTuple

from gevent.pool import Pool

from benchmarks import fleet, load
from benchmarks.goals import arguments, verdict
from benchmarks.servers import Server, headcount, plain
from collector.conf import (
    BASE_BYTES,
    CONNECTION_BYTES,
    CONNECTIONS,
    INSTANCE_BYTES,
    MAX_VALUES,
    VALUE_BYTES,
)

DAY = 86_400
FLOOD_DAYS = 8
DISTINCT = 400
LONGEST = 200_000  # bytes of /stats
SLOWEST = 0.050  # seconds of CPU of /stats after a report
AT_ONCE = 64
LOOKS = 20  # at the CPU of /stats


class Day(NamedTuple):
    """What was seen on a day."""

    known: Counter[str]  # answers to the known fleet
    made_up: Counter[str]  # answers to the flood
    instances: int
    length: int  # bytes of /stats
    cpu: float  # seconds of one /stats after a report
    resident: int  # bytes


def main() -> int:
    """Flood both servers, print each day and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--limit", type=int, default=50_000, help="MAX_INSTANCES")
    parser.add_argument("--known", type=int, default=5000, help="installations that are known")
    parser.add_argument("--flood", type=int, default=20_000, help="made-up ones a day")
    options = parser.parse_args()
    with headcount("benchmarks.clocked", MAX_INSTANCES=str(options.limit)) as ours:
        before, days, after = flooded(ours, options)
    ceiling = ceiling_of(options.limit)
    with plain() as other:
        growth = unlimited(other, options)
    print(f"a plain view, a dict: grew by {growth / 2**20:.0f} MiB in the flood, and keeps it")
    most = max(day.resident for day in days)
    return verdict(
        (f"under the ceiling of {ceiling / 2**20:.0f} MiB: {most / 2**20:.0f}", most < ceiling),
        ("known installations are accepted with detail", all(map(fine, days))),
        (f"/stats under {LONGEST} bytes", max(day.length for day in days) < LONGEST),
        (
            f"/stats at most {SLOWEST * 1000:.0f} ms: {max(day.cpu for day in days) * 1000:.1f}",
            max(day.cpu for day in days) <= SLOWEST,
        ),
        ("afterwards /stats is as before", before == after),
    )


def flooded(server: Server, options: Any) -> tuple[Any, list[Day], Any]:
    """The numbers before, every day, and the numbers after."""
    known = list(fleet.reports(options.known, "known", DISTINCT))
    days = [day_of(server, known, [])]
    before = lasting(server)
    made_up = fleet.longest_reports(options.limit + FLOOD_DAYS * options.flood, "made up")
    for number in range(2 * FLOOD_DAYS):
        forward(server, DAY)
        count = options.flood + options.limit * (number == 0) if number < FLOOD_DAYS else 0
        days.append(day_of(server, known, [next(made_up) for _ in range(count)]))
    return before, days, lasting(server)


def day_of(server: Server, known: list[bytes], made_up: list[bytes]) -> Day:
    """Half of the known fleet reports before the flood of the day, and half after it."""
    half = len(known) // 2
    answers = answered(server, known[:half])
    flood = answered(server, made_up)
    answers += answered(server, known[half:])
    seen = Day(
        answers,
        flood,
        stats(server)["instances"],
        load.exchange(server.port, load.get("/stats"), 200),
        cpu_of_stats(server, known[0]),
        server.resident(),
    )
    print(
        f"known {dict(seen.known)}, made up {dict(seen.made_up)}, instances {seen.instances:,}, "
        f"/stats {seen.length:,} bytes {seen.cpu * 1000:.1f} ms, {seen.resident / 2**20:.0f} MiB",
        flush=True,
    )
    return seen


def answered(server: Server, bodies: list[bytes]) -> Counter[str]:
    """How often each outcome came of these reports."""

    def ask(body: bytes) -> str:
        return outcome(json.loads(load.ask(server.port, load.report(body), 201, 503)))

    return Counter(Pool(AT_ONCE).imap_unordered(ask, bodies))


def outcome(answer: dict[str, Any]) -> str:
    """An answer in a word or two."""
    if "error" in answer:
        return "refused"
    return "with detail" if answer["stored"] else "without detail"


def fine(day: Day) -> bool:
    """Whether every known installation was accepted with its detail."""
    return set(day.known) == {"with detail"}


def cpu_of_stats(server: Server, report: bytes) -> float:
    """CPU seconds of a `GET /stats` after a report, less what a report takes alone."""
    sent, asked = load.report(report), load.get("/stats")
    start = server.cpu()
    for _ in range(LOOKS):
        load.exchange(server.port, sent, 201)
    between = server.cpu()
    for _ in range(LOOKS):
        load.exchange(server.port, sent, 201)
        load.exchange(server.port, asked, 200)
    return (server.cpu() - 2 * between + start) / LOOKS


def stats(server: Server) -> Any:
    """The numbers."""
    return json.loads(load.ask(server.port, load.get("/stats"), 200))


def lasting(server: Server) -> Any:
    """The numbers without what a day changes."""
    numbers = stats(server)
    for passing in ("established", "last_reported", "warming_up"):
        del numbers[passing]
    return numbers


def forward(server: Server, seconds: float) -> None:
    """Move the server's clock."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with closing(connection):
        connection.request("POST", "/clock", str(seconds))
        connection.getresponse().read()


def ceiling_of(limit: int) -> int:
    """The bytes that the docs name for so many installations."""
    kept = INSTANCE_BYTES * limit + VALUE_BYTES * MAX_VALUES
    return BASE_BYTES + CONNECTION_BYTES * CONNECTIONS + kept


def unlimited(server: Server, options: Any) -> int:
    """The bytes by which a view without limits grows in the same flood."""
    start = server.resident()
    flood = fleet.longest_reports(options.limit + FLOOD_DAYS * options.flood, "made up")
    load.send(server.port, map(load.report, flood), 201, AT_ONCE)
    return server.resident() - start


if __name__ == "__main__":
    sys.exit(main())
