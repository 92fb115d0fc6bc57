"""A server that reads saved days from a folder: after a restart, and with invalid files."""

import json
import os
import signal

import pytest

from tests.servers import INSTRUMENTED, report

CURVE = "/charts/growth.svg?period=all"
SAVED = "2026-03-10.csv"
TOTALS = ("instances", "established", "reported")
INVALID = "'2026-03-10.csv', line 1: the header date,breakdown,name,instances is missing."


def days_of(server):
    """Return what both memory and the folder have of each past day, and the name of the last."""
    days = json.loads(server.request("GET", "/stats/history?from=2026-03-01").content)["days"]
    return [{name: day[name] for name in ("date", *TOTALS, "releases")} for day in days]


@pytest.fixture
def saved(start, tmp_path):
    """Let a server count from a noon on for four days and save them.

    Return the days that it counted whole, and the folder.
    """
    server = start(wsgi=INSTRUMENTED).wait_until_ready()
    regular = [report(app="1.0.0") for _ in range(3)]
    for _ in range(4):
        for each in (*regular, report(app="1.1.0"), report(app="edge")):
            server.post(each)
        server.instrument("forward", 1)
        server.stats()
    days = days_of(server)[1:]
    (tmp_path / SAVED).write_bytes(server.request("GET", "/stats/archive.csv").content)
    os.kill(server.master, signal.SIGKILL)
    server.stop()
    return days, tmp_path


def badge(server):
    return json.loads(server.request("GET", "/badge.json").content)["message"]


def test_a_server_that_was_killed_shows_the_same_days_and_a_badge_with_a_date(start, saved):
    days, folder = saved
    assert [day["instances"] for day in days] == [7, 9, 11]
    curves = []
    for _ in range(2):
        server = start(HISTORY_FOLDER=str(folder)).wait_until_ready()
        server.post(report(app="1.1.0"))
        assert days_of(server) == days
        assert badge(server) == f"11 on {days[-1]['date']}"
        assert b"instances on 2026-03-13" in server.request("GET", "/dashboard").content
        assert server.stats()["instances"] == 1
        curves.append(server.request("GET", CURVE).content)
        os.kill(server.master, signal.SIGKILL)
        server.stop()
    assert curves[0] == curves[1]
    assert b"7 on 2026-03-11; 11 on 2026-03-13" in curves[0]
    assert [path.name for path in folder.iterdir()] == [SAVED]


def test_a_file_that_became_invalid_does_not_end_a_server_whose_worker_is_killed(start, saved):
    _, folder = saved
    server = start(HISTORY_FOLDER=str(folder)).wait_until_ready()
    (folder / SAVED).write_text("half a fil")
    (old,) = server.workers()
    os.kill(old, signal.SIGKILL)
    server.wait_until(lambda: server.workers() not in ([old], [])).wait_until_ready()
    assert days_of(server) == []
    assert badge(server) == "0, warming up"
    assert server.output.count(f"Left out of the history: {INVALID}") == 1
    metrics = server.request("GET", "/metrics").content
    assert b"headcount_history_folder_invalid_files 1.0" in metrics
