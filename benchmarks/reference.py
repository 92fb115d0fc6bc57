"""Headcount beside a Ruby service with the same four routes, on WEBrick and on Puma.

`reference/` holds that service: Grape with the reports in a Hash, and the answers that were
recorded from the one that Headcount replaces. All three servers get the same load in the same run;
the load generator shares the processors with them.
Goals: reports a second at least 2 times WEBrick's and 1.5 times Puma's; `GET /stats` after each
report, at 60,000 installations, 100 times as fast; memory at a million at most an eighth.
Fleets are filled in process, in Ruby by parsing JSON as a report is parsed.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import psutil

from benchmarks import fleet, load
from benchmarks.goals import arguments, verdict
from benchmarks.servers import Server, headcount

CONFIG = str(Path(__file__).parent / "reference" / "config.ru")
MISSING = "Install what it needs: apt-get install ruby-grape puma ruby-webrick ruby-rack"
AT_ONCE = 32
SILENT = 50
TIMES_WEBRICK, TIMES_PUMA, TIMES_STATS, TIMES_MEMORY = 2, 1.5, 100, 8
NAMES = ("Headcount", "WEBrick", "Puma")


class Ruby(Server):
    """The Ruby service; `app` is the web server's name."""

    def command(self) -> list[str]:
        if self.app == "Puma":
            return ["puma", "-q", "-e", "production", "-b", f"tcp://127.0.0.1:{self.port}", CONFIG]
        options = ["-q", "-E", "production", "-o", "127.0.0.1", "-p", str(self.port)]
        return ["rackup", *options, "-s", "webrick", CONFIG]

    def start(self) -> None:
        # Its access log, which WEBrick writes as shipped, goes nowhere.
        self.master = psutil.Popen(
            self.command(),
            env={**os.environ, **self.environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def resident(self) -> int:
        return self.master.memory_info().rss  # one process, without a master


def main() -> int:
    """Measure the three, print the figures and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--requests", type=int, default=3000, help="reports in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fleet", type=int, default=60_000, help="installations, for /stats")
    parser.add_argument("--many", type=int, default=1_000_000, help="installations, for memory")
    options = parser.parse_args()
    if not is_installed():
        print(MISSING, file=sys.stderr)
        return 2
    with ExitStack() as running:
        started = [running.enter_context(server(name, 0)) for name in NAMES]
        speed = reports(started, options.requests, options.rounds)
        behind_silent_clients(started)
    seconds = statistics(options.fleet)
    taken = memory(options.many)
    webrick, puma = (speed["Headcount"] / speed[name] for name in NAMES[1:])
    faster = min(seconds[name] / seconds["Headcount"] for name in NAMES[1:])
    smaller = min(taken[name] / taken["Headcount"] for name in NAMES[1:])
    return verdict(
        (f"{TIMES_WEBRICK} times WEBrick's reports: {webrick:.2f}", webrick >= TIMES_WEBRICK),
        (f"{TIMES_PUMA} times Puma's reports: {puma:.2f}", puma >= TIMES_PUMA),
        (f"/stats {TIMES_STATS} times as fast: {faster:.1f}", faster >= TIMES_STATS),
        (f"an eighth of the memory: 1/{smaller:.2f}", smaller >= TIMES_MEMORY),
    )


def is_installed() -> bool:
    """Whether Ruby, both web servers and Grape are there."""
    if not all(map(shutil.which, ("ruby", "rackup", "puma"))):
        return False
    needed = ["ruby", "-rgrape", "-rwebrick", "-e", ""]
    return subprocess.run(needed, check=False, stderr=subprocess.DEVNULL).returncode == 0


def server(name: str, count: int, room: int = 2_000_000) -> Server:
    """One of the three, with a fleet of that size in its memory."""
    fill = {"FILL": str(count)}
    if name == "Headcount":
        return headcount("benchmarks.filled", MAX_INSTANCES=str(room), **fill)
    return Ruby(name, "/stats", fill)


def reports(servers: list[Server], requests: int, rounds: int) -> dict[str, float]:
    """Print reports a second and CPU a report, new ids; the reports a second."""
    for each in servers:
        load.send(each.port, map(load.report, fleet.reports(1000, "warm up")), 201, AT_ONCE)
    results: list[list[tuple[float, float]]] = [[] for _ in servers]
    for seed in range(rounds):
        sent = list(map(load.report, fleet.reports(requests, seed)))
        for each, results_of_it in zip(servers, results, strict=True):
            begin, cpu = time.perf_counter(), each.cpu()
            load.send(each.port, sent, 201, AT_ONCE)
            taken = time.perf_counter() - begin
            results_of_it.append((requests / taken, (each.cpu() - cpu) / requests * 1e6))
    print(f"reports, {AT_ONCE} at once, a connection each, median of {rounds} rounds:")
    speed = {}
    for name, column in zip(NAMES, results, strict=True):
        rates, cpus = zip(*column, strict=True)
        speed[name] = median(rates)
        print(
            f"  {name:<10} {speed[name]:6.0f} a second ({min(rates):.0f} to {max(rates):.0f}), "
            f"CPU a report {median(cpus):5.0f} us"
        )
    return speed


def behind_silent_clients(servers: list[Server], requests: int = 100) -> None:
    """Print how long a normal request takes while some connections are open and say nothing."""
    print(f"POST / alone and with {SILENT} silent connections open, median and most of {requests}:")
    for name, each in zip(NAMES, servers, strict=True):
        sent = list(map(load.report, fleet.reports(requests, "silent")))
        quiet = [timed(each, request, 201) for request in sent]
        with ExitStack() as connections:
            for _ in range(SILENT):
                connections.enter_context(socket.create_connection(("127.0.0.1", each.port)))
            # Why this waits for a time and not for an event: a server takes connections after the
            # kernel did, and none of the three tells when it has. With some still to be taken,
            # the first requests below would be timed for that too.
            time.sleep(0.2)
            slow = [timed(each, request, 201) for request in sent]
        print(
            f"  {name:<10} {median(quiet) * 1000:6.2f} ms, {max(quiet) * 1000:.2f}; "
            f"with them {median(slow) * 1000:6.2f} ms, {max(slow) * 1000:.2f}"
        )


def timed(each: Server, request: bytes, status: int) -> float:
    """Seconds that a request takes."""
    begin = time.perf_counter()
    load.exchange(each.port, request, status)
    return time.perf_counter() - begin


def statistics(count: int, requests: int = 50) -> dict[str, float]:
    """Print the time of `GET /stats` after each report; seconds."""
    print(f"GET /stats after each report at {count:,} installations, median of {requests}:")
    seconds = {}
    for name in NAMES:
        with server(name, count) as each:
            taken = []
            for body in fleet.reports(requests, "statistics"):
                load.exchange(each.port, load.report(body), 201)
                taken.append(timed(each, load.get("/stats"), 200))
        seconds[name] = median(taken)
        print(f"  {name:<10} {seconds[name] * 1000:8.2f} ms")
    return seconds


def memory(count: int) -> dict[str, float]:
    """Print the memory of an installation, filled less empty; bytes."""
    print(f"memory at {count:,} installations, less that of an empty server:")
    taken = {}
    for name in NAMES:
        with server(name, 0) as empty:
            begin = empty.resident()
        with server(name, count) as full:
            whole = full.resident()
        taken[name] = (whole - begin) / count
        print(f"  {name:<10} {taken[name]:6.0f} bytes an installation, {whole / 1e6:.0f} MB in all")
    return taken


if __name__ == "__main__":
    sys.exit(main())
