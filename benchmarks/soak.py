"""Ten million reports over simulated weeks, in one process, through the WSGI application.

A hundredth of the installations is replaced every day, and releases roll out. The history keeps 30
days, so that it is full early on. Goals, the last ten days beside the first ten after that:

- the resident set is at most 1.05 times as large;
- a report, and `/stats` after one, take at most 1.1 times the CPU;
- the history says for every day what a recount of the reports says.

Beside it, a plain Django view that keeps the latest report of each id in a dict, with a tenth of
the reports. The exit status is 1 if a goal is not reached.
"""

import io
import json
import os
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple
from uuid import UUID

import psutil
import time_machine

from benchmarks.goals import arguments, verdict

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
HISTORY = 30  # days
WINDOW = 7  # days after its own that a report counts
LIFE = 100  # days until an installation is replaced
SETTINGS = {"headcount": "tracking_site.settings", "plain": "benchmarks.plain_settings"}
RESIDENT_GOAL = 1.05
CPU_GOAL = 1.1
LOOKS = 20  # at the CPU of /stats, a day
COMPARED = 10  # days


class Day(NamedTuple):
    """What a day took."""

    resident: int  # bytes
    report: float  # seconds of CPU
    stats: float


def main() -> int:
    """Run each application in a process of its own; print what it took and the verdict."""
    parser = arguments(__doc__)
    parser.add_argument("--installations", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=100)
    parser.add_argument("--only", choices=SETTINGS, help="run one of the two in this process")
    options = parser.parse_args()
    if options.only:
        print(json.dumps(soak(options.only, options.installations, options.days)))
        return 0
    wrong, *ours = run("headcount", options.installations, options.days)
    run("plain", options.installations // 10, options.days)
    resident, report, stats = ours
    return verdict(
        (f"resident set at most {RESIDENT_GOAL} times: {resident:.3f}", resident <= RESIDENT_GOAL),
        (f"a report at most {CPU_GOAL} times: {report:.3f}", report <= CPU_GOAL),
        (f"/stats at most {CPU_GOAL} times: {stats:.3f}", stats <= CPU_GOAL),
        (f"days of the history that are wrong: {wrong}", not wrong),
    )


def run(name: str, installations: int, days: int) -> tuple[int, float, float, float]:
    """Wrong days, and the ratios of late to early; the figures are printed."""
    command = [sys.executable, "-m", "benchmarks.soak", "--only", name]
    command += ["--installations", str(installations), "--days", str(days)]
    history = {"HISTORY_DAYS": str(HISTORY)}
    environment = {**os.environ, **history, "DJANGO_SETTINGS_MODULE": SETTINGS[name]}
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    taken = [Day(*day) for day in told["days"]]
    first = HISTORY + 1
    early, late = (
        Day(*map(median, zip(*part, strict=True)))
        for part in (taken[first : first + COMPARED], taken[-COMPARED:])
    )
    print(f"{name}: {installations * days:,} reports in {days} days")
    for when, day in (("early", early), ("late", late)):
        print(
            f"  {when:<5} {day.resident / 2**20:6.1f} MiB, a report {day.report * 1e6:.0f} us, "
            f"/stats {day.stats * 1000:.2f} ms"
        )
    ratios = (after / before for before, after in zip(early, late, strict=True))
    return told["wrong"], *ratios


def soak(name: str, installations: int, days: int) -> dict[str, Any]:
    """What each day took, and how many days of the history are wrong."""
    from tracking_site.wsgi import application

    latest: dict[str, tuple[int, str]] = {}
    expected: dict[str, Counter[str]] = {}
    taken = []
    with time_machine.travel(START, tick=False) as clock:
        for day in range(days):
            clock.move_to(START + day * DAY)
            taken.append(live_through(application, day, installations, latest))
            keep_house(name)
            date = str((START + day * DAY).date())
            expected[date] = recount(latest, day)
        clock.move_to(START + days * DAY)
        wrong = wrong_days(application, expected) if name == "headcount" else 0
    return {"days": taken, "wrong": wrong}


def keep_house(name: str) -> None:
    """Do what Headcount's server does every minute."""
    if name == "headcount":
        from collector.cache import records
        from collector.numbers import stats

        records().free_expired()
        stats.let_go()


def live_through(
    application: Any, day: int, installations: int, latest: dict[str, tuple[int, str]]
) -> Day:
    """Let every installation report once."""
    bodies = []
    for number in range(installations):
        name = str(UUID(int=(number << 64) + (number + day) // LIFE))
        app = f"0.{100 + day // 10 - number % 40}.{number % 10}"
        version = {"app": app, "sha": "3f1c0e9a", "image": "ghcr.io/example/app", "arch": "x86_64"}
        latest[name] = (day, app)
        bodies.append(json.dumps({"id": name, "version": version}).encode())
    begun = time.process_time()
    for body in bodies:
        request(application, "POST", "/", body)
    report = (time.process_time() - begun) / installations
    again = bodies[:LOOKS]
    del bodies
    begun = time.process_time()
    for body in again:
        request(application, "POST", "/", body)
        request(application, "GET", "/stats")
    stats = (time.process_time() - begun) / len(again) - report
    return Day(psutil.Process().memory_info().rss, report, stats)


def recount(latest: dict[str, tuple[int, str]], day: int) -> Counter[str]:
    """The live installations by version, counted one by one."""
    for name in [name for name, (last, _) in latest.items() if last < day - WINDOW]:
        del latest[name]
    return Counter(app for _, app in latest.values())


def wrong_days(application: Any, expected: dict[str, Counter[str]]) -> int:
    """How many days the history tells otherwise, or not at all."""
    told = json.loads(request(application, "GET", "/stats/history"))
    days = {day["date"]: day for day in told["days"]}
    kept = list(expected)[-told["history_days"] :]
    return sum(
        date not in days
        or days[date]["instances"] != expected[date].total()
        or any(expected[date][app] != count for app, count in days[date]["versions"].items())
        for date in kept
    )


def request(application: Any, method: str, path: str, body: bytes = b"") -> bytes:
    """One request as a server would pass it on; raises RuntimeError if it is refused."""
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": "tracker.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    statuses = []
    answer = application(environ, lambda status, headers, *_: statuses.append(status))
    content = b"".join(answer)
    answer.close()
    if not statuses[0].startswith("20"):
        raise RuntimeError(f"{method} {path}: {statuses[0]} {content[:200]!r}")
    return content


if __name__ == "__main__":
    sys.exit(main())
