"""A fleet that reports in the same moment: nothing lost, nothing counted twice."""

import json
from collections import Counter, defaultdict

import pytest

from benchmarks import herd, load

REPORTS = 2200
AT_ONCE = 400
TODAY, TOMORROW = "2026-03-10", "2026-03-11"  # of the instrumented server, before and after
UNTIL = {"2026-03-18T00:00:00Z": TODAY, "2026-03-19T00:00:00Z": TOMORROW}
FORWARD = (
    b"POST /instrument/forward HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n"
    b"Connection: close\r\n\r\n1"
)


@pytest.mark.parametrize("readers", [0, 50])
def test_none_is_lost_and_none_is_doubled(start, readers):
    server = start().wait_until_ready()
    sent = herd.Herd(server.port, herd.surfaces(), readers)
    sent.run(herd.with_twins(REPORTS, seed=1), AT_ONCE)
    figures = herd.figures_of(sent, server.stats())
    assert figures.sent == REPORTS
    assert figures.installations == REPORTS * 10 // 11
    assert (figures.failed, figures.lost, figures.doubled) == (0, 0, 0)
    assert not figures.unread
    assert "Traceback" not in server.output


def with_midnight(port, bodies):
    """Move the server's clock halfway, while it answers those before."""
    for number, body in enumerate(bodies):
        if number == REPORTS // 2:
            load.ask(port, FORWARD, 200)
        yield body


def test_midnight_comes_in_the_middle(start):
    server = start(wsgi="tests.server.instrumented").wait_until_ready()
    running = herd.Herd(server.port, herd.surfaces(), 10)
    running.run(with_midnight(server.port, herd.with_twins(REPORTS, seed=2)), AT_ONCE)

    days = defaultdict(set)  # on which an installation reported, as its receipts say
    for answer in running.answers:
        days[answer.id].add(UNTIL[json.loads(answer.receipt)["forgotten_at"]])
    on = Counter(day for each in days.values() for day in each)
    both = sum(len(each) == 2 for each in days.values())
    assert min(on[TODAY], on[TOMORROW], both) > 0

    numbers = server.stats()
    figures = herd.figures_of(running, numbers)
    assert (figures.failed, figures.lost, figures.doubled, figures.unread) == (0, 0, 0, 0)
    assert numbers["established"] == both
    assert numbers["last_reported"][TODAY] == on[TODAY] - both
    assert numbers["last_reported"][TOMORROW] == on[TOMORROW]
    (closed,) = json.loads(server.request("GET", "/stats/history").content)["days"]
    assert closed["date"] == TODAY
    assert closed["instances"] == closed["reported"] == on[TODAY]
    assert closed["established"] == 0
    assert sum(closed["versions"].values()) == on[TODAY]
