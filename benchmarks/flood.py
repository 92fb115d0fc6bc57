"""Made-up instances and versions beyond every limit: their cost, and whether they are forgotten.

Known instances report every day. From the second day, for eight days, made-up ids report beyond
MAX_INSTANCES, each with a version of its own of the longest names, beyond MAX_VALUES. Eight quiet
days follow. Goals: the resident set stays under the documented ceiling; every report of a known
instance is accepted with its version on every day; `/stats` is under 200 kB and takes at most 50 ms
of CPU after a report; after the flood, `/stats` returns what it returned before.
"""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from gevent.pool import Pool

from benchmarks import fleet, load
from benchmarks.goals import Goal, at_most, run
from benchmarks.servers import Server, headcount, use_django

DAYS = 8
LENGTH, CPU = 200_000, 50  # bytes and milliseconds of /stats
AT_ONCE = 64


class Day(NamedTuple):
    """What one day shows: responses to instances, bytes and milliseconds of /stats, and MiB."""

    known: Counter[str]
    made_up: Counter[str]
    length: int
    cpu: float
    resident: float


def measure(quick: bool) -> Iterator[Goal]:
    """Flood the server."""
    limit, known, flood = (5000, 500, 2000) if quick else (50_000, 5000, 20_000)
    use_django(MAX_INSTANCES=str(limit))  # the ceiling depends on it
    from tracking_site.limits import memory_ceiling

    with headcount(wsgi="tests.server.instrumented", MAX_INSTANCES=str(limit)) as ours:
        reports = list(fleet.reports(known, "known"))
        made_up = fleet.longest_reports(limit + DAYS * flood, "made up")
        one_day(ours, reports, [])
        before = lasting(ours)
        days = []
        for day in range(2 * DAYS):
            ours.request("POST", "/instrument/forward", "1")
            count = limit + flood if day == 0 else flood
            # In the last days, all made-up instances have reported.
            days.append(one_day(ours, reports, list(islice(made_up, count))))
        after = lasting(ours)
    largest = max(day.resident for day in days)
    yield at_most("resident set", largest, memory_ceiling() / 2**20, "MiB")
    accepted = all(set(day.known) == {"with version"} for day in days)
    yield "known instances are accepted with their version on every day", accepted
    yield at_most("/stats", max(day.length for day in days), LENGTH, "bytes")
    yield at_most("/stats after a report", max(day.cpu for day in days), CPU, "ms")
    yield "after the flood, /stats returns what it did", before == after


def one_day(server: Server, known: list[bytes], made_up: list[bytes]) -> Day:
    """Send the reports of a day: half of the known instances come after the flood."""
    half = len(known) // 2
    # A report that changes nothing would leave the statistics as they are.
    other = fleet.body(next(fleet.ids(1, "known")), fleet.version(1, 400))
    first = outcomes(server, known[:half])
    flood = outcomes(server, made_up)
    second = outcomes(server, known[half:])
    length = len(load.ask(server.port, load.get("/stats"), 200))
    seconds = load.stats_after_report(server, [other, other, known[0], known[0]] * 10)
    day = Day(
        known=first + second,
        made_up=flood,
        length=length,
        cpu=round(seconds * 1000, 1),
        resident=round(server.resident() / 2**20, 1),
    )
    print(day, flush=True)
    return day


def outcomes(server: Server, bodies: list[bytes]) -> Counter[str]:
    """Count the responses to reports."""

    def outcome(body: bytes) -> str:
        response = json.loads(load.ask(server.port, load.report(body), 201, 503))
        if "error" in response:
            return "refused"
        return "with version" if response["stored"] else "without version"

    return Counter(Pool(AT_ONCE).imap_unordered(outcome, bodies))


def lasting(server: Server) -> dict[str, Any]:
    """Return the statistics without what depends on the day."""
    passing = ("established", "last_reported", "warming_up")
    return {name: value for name, value in server.stats().items() if name not in passing}


if __name__ == "__main__":
    run(measure)
