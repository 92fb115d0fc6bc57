"""CPU time of every path that takes a GET, unchanged and after a report.

A million instances of 400 versions, spread over the window, and a history of 90 days. An unchanged
surface is compared with an empty view in the same server. Goals: at most 3 times the empty view,
and at most 20 ms after a report; for the dashboard 5 times, 50 ms, and under 60 kB compressed with
all that it loads.
"""

import gzip
import itertools
import re
from collections.abc import Iterator
from statistics import median

from benchmarks import fleet, load
from benchmarks.goals import Goal, at_most, run
from benchmarks.servers import Server, headcount, plain, use_django

UNCHANGED, CHANGED, COMPRESSED = 3, 20, 60  # times the empty view; milliseconds; kilobytes
DASHBOARD_UNCHANGED, DASHBOARD_CHANGED = 5, 50
STATUSES = {"/": 302, "/badge": 302}
FILTERS = {
    "/stats": ("app=v0.100.0", "app=v*&image=*&arch=*", "release=0*&repository=e*&family=6*"),
    "/badge.svg": ("release=0*",),
    "/dashboard": ("release=0*",),
}


def measure(quick: bool) -> Iterator[Goal]:
    """Measure each surface in rounds."""
    use_django()
    instances, requests, rounds = (20_000, 50, 1) if quick else (1_000_000, 300, 5)
    filled = {"FILL": str(instances), "DAYS": "8", "HISTORY": "90", "MAX_INSTANCES": "2000000"}
    # Filters must group what they match if there is a minimum: that takes longer.
    with headcount(wsgi="benchmarks.filled", MIN_GROUP="5", **filled) as ours, plain() as empty:
        load.send(empty.port, [load.get("/empty")] * requests, 201, 8)
        figures = {}
        for path in itertools.chain(*map(with_filters, surfaces())):
            figures[path] = unchanged, changed = cost(ours, empty, path, requests, rounds)
            print(f"{path:<42} {unchanged:5.2f} times the empty view, {changed:6.2f} ms changed")
        size = compressed_dashboard(ours) / 1000
    rest = {path: figures.pop(path) for path in list(figures) if "/dashboard" not in path}
    for name, group, limits in (
        ("all but the dashboard", rest, (UNCHANGED, CHANGED)),
        ("dashboard", figures, (DASHBOARD_UNCHANGED, DASHBOARD_CHANGED)),
    ):
        unchanged, changed = (max(column) for column in zip(*group.values(), strict=True))
        yield at_most(f"{name}, unchanged", unchanged, limits[0], "times the empty view")
        yield at_most(f"{name}, after a report", changed, limits[1], "ms")
    yield at_most("dashboard, compressed with all that it loads", size, COMPRESSED, "kB")


def surfaces() -> list[str]:
    """Return the path of every named view that takes a GET; Django must be set up."""
    from django.urls import reverse

    from collector.urls import urlpatterns

    return [
        reverse(pattern.name)
        for pattern in urlpatterns
        if pattern.name and hasattr(pattern.callback.view_class, "get")
    ]


def with_filters(path: str) -> list[str]:
    """Return the path, alone and with each of its filters."""
    return [path, *(f"{path}?{query}" for query in FILTERS.get(path, ()))]


def cost(ours: Server, empty: Server, path: str, requests: int, rounds: int) -> tuple[float, float]:
    """Return how many times an empty view a surface takes, and the milliseconds after a report."""
    status = STATUSES.get(path, 200)
    load.ask(ours.port, load.get(path), status)
    ratios = median(
        load.cpu(ours, [load.get(path)] * requests, status)
        / load.cpu(empty, [load.get("/empty")] * requests, 201)
        for _ in range(rounds)
    )
    changed = median(
        load.cpu_after_report(ours, path, fleet.reports(80, (path, seed)), status)
        for seed in range(rounds)
    )
    return ratios, changed * 1000


def compressed_dashboard(server: Server) -> int:
    """Return the bytes of the dashboard, its stylesheet and its icon, each compressed by gzip."""
    page = load.ask(server.port, load.get("/dashboard"), 200)
    links = re.findall(rb'<link rel="(?:stylesheet|icon)" href="([^"]+)"', page)
    files = [load.ask(server.port, load.get(link.decode()), 200) for link in links]
    return sum(len(gzip.compress(each)) for each in (page, *files))


if __name__ == "__main__":
    run(measure)
