"""Headcount compared with a Ruby service that has the same four routes, on WEBrick and on Puma.

`reference/` holds that service: Grape, with the reports in a Hash. Each server gets the same load;
the load generator shares the processors with them. Goals: at least 2.2 times the reports a second
of WEBrick and 1.5 times those of Puma; `GET /stats` after a report 100 times as fast at 60,000
instances; at most an eighth of the memory at a million.
"""

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import Any

from benchmarks import fleet, load
from benchmarks.goals import Goal, at_least, run
from benchmarks.servers import Server, filled, running

MISSING = "Install the Ruby service's programs, which benchmarks/README.md lists"
# WEBrick always writes an access log.
COMMANDS = {
    "WEBrick": "exec rackup -q -E production -o 127.0.0.1 -p $PORT -s webrick "
    "benchmarks/reference/config.ru >/dev/null 2>&1",
    "Puma": "exec puma -q -e production -b tcp://127.0.0.1:$PORT "
    "benchmarks/reference/config.ru >/dev/null 2>&1",
}
SERVERS = ("Headcount", *COMMANDS)
TIMES_WEBRICK, TIMES_PUMA, TIMES_STATS, TIMES_MEMORY = 2.2, 1.5, 100, 8
AT_ONCE = 32


def measure(quick: bool) -> Iterator[Goal]:
    """Measure the three servers."""
    if not (shutil.which("rackup") and shutil.which("puma")):
        sys.exit(MISSING)
    requests, rounds, many, most = (300, 1, 2000, 20_000) if quick else (3000, 5, 60_000, 1_000_000)
    rates = reports_a_second(requests, rounds)
    yield at_least("reports, to WEBrick", rates["Headcount"] / rates["WEBrick"], TIMES_WEBRICK)
    yield at_least("reports, to Puma", rates["Headcount"] / rates["Puma"], TIMES_PUMA)
    times = {name: stats_after_report(name, many) for name in SERVERS}
    print(", ".join(f"/stats on {name}: {each * 1000:.2f} ms" for name, each in times.items()))
    faster = min(times["WEBrick"], times["Puma"]) / times["Headcount"]
    yield at_least("/stats after a report, as fast", faster, TIMES_STATS)
    sizes = {name: memory(name, most) for name in SERVERS}
    print(", ".join(f"an instance on {name}: {each:.0f} bytes" for name, each in sizes.items()))
    smaller = min(sizes["WEBrick"], sizes["Puma"]) / sizes["Headcount"]
    yield at_least("memory of an instance, as small", smaller, TIMES_MEMORY)


def started(name: str, instances: int) -> Any:
    """Run Headcount, or the Ruby service on one of its servers, with so many instances."""
    if name == "Headcount":
        return filled(instances=instances)
    command = ("sh", "-c", COMMANDS[name])
    return running(Server(command=command, FILL=str(instances)), "/stats")


def reports_a_second(requests: int, rounds: int) -> dict[str, float]:
    """Print what reports of new instances take; return the median rates."""
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in SERVERS}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(started(name, 0)) for name in SERVERS}
        for seed in range(-1, rounds):
            sent = list(map(load.report, fleet.reports(requests, seed)))
            for name, server in servers.items():
                cpu, begin = server.cpu(), time.perf_counter()
                load.send(server.port, sent, AT_ONCE)
                rate = requests / (time.perf_counter() - begin)
                if seed >= 0:  # the round before warms up
                    results[name].append((rate, (server.cpu() - cpu) / requests))
    rates = {}
    for name, column in results.items():
        rates[name], cpu = (median(each) for each in zip(*column, strict=True))
        print(f"{name}: {rates[name]:,.0f} reports a second, {cpu * 1e6:.0f} us of CPU each")
    return rates


def stats_after_report(name: str, instances: int) -> float:
    """Return the seconds of `GET /stats`, the median of 50, each after a report."""
    durations = []
    with started(name, instances) as server:
        for body in fleet.reports(50, "stats"):
            load.ask(server.port, load.report(body), 201)
            begin = time.perf_counter()
            load.ask(server.port, load.get("/stats"), 200)
            durations.append(time.perf_counter() - begin)
    return median(durations)


def memory(name: str, instances: int) -> float:
    """Return the bytes an instance: a server with them, less an empty one."""
    sizes = []
    for fill in (0, instances):
        with started(name, fill) as server:
            sizes.append(server.resident())
    return (sizes[1] - sizes[0]) / instances


if __name__ == "__main__":
    run(measure)
