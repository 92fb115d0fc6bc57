"""A whole fleet that reports at the same moment, while others read."""

import json
from collections import Counter, defaultdict

from benchmarks import herd, load

REPORTS = 2200
AT_ONCE = 400
TODAY, TOMORROW = "2026-03-10", "2026-03-11"  # of the instrumented server, before and after
FORGOTTEN_AT = {"2026-03-18T00:00:00Z": TODAY, "2026-03-19T00:00:00Z": TOMORROW}


def with_midnight(server, bodies):
    """Move the server's clock to the next day halfway, while it accepts the reports before."""
    for number, body in enumerate(bodies):
        if number == REPORTS // 2:
            load.ask(server.port, load.report(b"1", "/instrument/forward"), 200)
        yield body


def test_simultaneous_reports_around_midnight_count_once_on_the_day_of_their_receipt(start):
    server = start(wsgi="tests.server.instrumented").wait_until_ready()
    fleet = herd.Herd(server.port, herd.surfaces(), readers=50)
    fleet.run(with_midnight(server, herd.with_twins(REPORTS, seed=2)), AT_ONCE)

    days = defaultdict(set)  # on which an instance reported, by its receipts
    for response in fleet.responses:
        days[response.id].add(FORGOTTEN_AT[json.loads(response.receipt)["forgotten_at"]])
    reported = Counter(day for each in days.values() for day in each)
    both = sum(len(each) == 2 for each in days.values())
    assert min(reported[TODAY], reported[TOMORROW], both) > 0

    stats = server.stats()
    figures = fleet.figures(stats)
    assert figures.sent == REPORTS
    assert (figures.failed, figures.lost, figures.doubled, figures.unread) == (0, 0, 0, 0)
    assert "Traceback" not in server.output
    assert stats["established"] == both
    assert stats["last_reported"][TODAY] == reported[TODAY] - both
    assert stats["last_reported"][TOMORROW] == reported[TOMORROW]
    (closed,) = json.loads(server.request("GET", "/stats/history").content)["days"]
    assert closed["date"] == TODAY
    assert closed["instances"] == closed["reported"] == reported[TODAY]
    assert closed["established"] == 0
    assert sum(closed["versions"].values()) + closed["others"]["versions"] == reported[TODAY]
