import json
import re
from datetime import UTC, datetime, timedelta

import pytest

from collector.cache import records
from collector.cache.tally import Tally, decode, encode
from collector.conf import DAY as SECONDS
from collector.numbers import history
from tests.unit.numbers.builders import NO_RULES, row, tally_of

DAY = timedelta(days=1)


@pytest.fixture
def past(client):
    def fetch():
        return client.get("/stats/history").json()["days"]

    return fetch


def test_a_past_day_has_the_statistics_as_they_stood_at_its_end(clock, report, past):
    report(app="1", arch="arm")
    clock.shift(DAY)
    assert past() == [
        {
            "date": "2026-03-10",
            "instances": 1,
            "established": 0,
            "reported": 1,
            "versions": {"1": 1},
            "images": {"ghcr.io/x/y": 1},
            "architectures": {"arm": 1},
            "releases": {},
            "others": {"versions": 0, "images": 0, "architectures": 0},
        }
    ]


@pytest.mark.parametrize("first", ["a report", "a reader", "an erasure", "the timer"])
def test_a_closed_day_is_exact_whoever_comes_first_after_midnight(
    clock, report, post, client, past, first
):
    id = report(app="old")
    clock.move_to("2026-03-17T23:59:59Z")  # the last second of its window
    headline = client.get("/stats").json()
    clock.shift(1)
    match first:
        case "a report":
            report(app="new")
        case "a reader":
            client.get("/stats")
        case "an erasure":
            post({"id": id}, "/forget")
        case "the timer":
            records().expire()
    closed = past()[-1]
    assert closed["date"] == "2026-03-17"
    assert closed["reported"] == 0
    for key in ("instances", "versions", "established"):
        assert closed[key] == headline[key]


def test_a_past_day_says_how_many_instances_reported_on_it(clock, report, past):
    known = report()
    clock.shift(DAY)
    report(known)
    report()
    clock.shift(DAY)
    report()
    clock.shift(DAY)
    assert [(day["instances"], day["reported"]) for day in past()] == [(1, 1), (2, 2), (3, 1)]


def test_no_history_is_kept_with_a_length_of_zero(clock, set_cache_options, report, past):
    set_cache_options(HISTORY=0)
    report(app="not kept")
    clock.shift(DAY)
    assert past() == []


def test_the_csv_has_a_line_for_each_number(clock, client, report):
    report(app="1", image=None, arch="arm")
    report(app='=cmd|"x', image=None, arch="arm")
    clock.shift(DAY)
    response = client.get("/stats/history.csv")
    assert response["Content-Type"] == "text/csv"
    assert response.content.decode().splitlines() == [
        "date,breakdown,name,instances",
        "2026-03-10,instances,,2",
        "2026-03-10,established,,0",
        "2026-03-10,reported,,2",
        "2026-03-10,other releases,,2",
        "2026-03-10,versions,1,1",
        """2026-03-10,versions,"'=cmd|""x",1""",
        "2026-03-10,other versions,,0",
        "2026-03-10,images,,2",
        "2026-03-10,other images,,0",
        "2026-03-10,architectures,arm,2",
        "2026-03-10,other architectures,,0",
    ]


@pytest.mark.parametrize("path", ["/stats/history", "/stats/history.csv"])
def test_a_period_selects_days_and_includes_its_ends(clock, report, client, path):
    for _ in range(4):
        report()
        clock.shift(DAY)
        client.get(path)

    def dates(query):
        text = client.get(f"{path}?{query}").content.decode()
        return sorted({*re.findall(r"2026-03-\d\d(?=[\",])", text)})

    assert dates("from=2026-03-11&to=2026-03-12") == ["2026-03-11", "2026-03-12"]
    assert dates("from=2026-03-12") == ["2026-03-12", "2026-03-13"]
    assert dates("to=2026-03-10") == ["2026-03-10"]
    assert dates("from=2026-03-12&to=2026-03-11") == []
    assert len(dates("")) == 4


@pytest.mark.parametrize("value", ["", "yesterday", "2026-3-1", "20260301", "2026-W11-2", "é"])
@pytest.mark.parametrize("name", ["from", "to"])
def test_a_period_that_is_no_date_is_refused(client, name, value):
    response = client.get("/stats/history", {name: value})
    assert (response.status_code, response.json()["field"]) == (400, name)


def test_a_summary_lists_50_names_at_most_and_2000_bytes_of_them():
    summary = history.summarize(tally_of(*(row(f"{n}", count=n) for n in range(1, 301))), NO_RULES)
    assert summary.instances == summary.reported == sum(range(1, 301))
    assert [*summary.versions] == [f"{n}" for n in range(300, 250, -1)]
    summary = history.summarize(tally_of(*(row(f"{n:0128}") for n in range(300))), NO_RULES)
    assert 1500 < len(encode(summary.versions)) < 2100


def test_the_cache_keeps_a_summary_of_a_closed_day_and_no_tally(clock, report, past):
    report()
    clock.shift(DAY)
    assert [type(day) for day in records().read().closed.values()] == [Tally]
    past()
    assert [type(day) for day in records().read().closed.values()] == [bytes]


def test_a_failing_summary_is_missing_and_nothing_else_fails(
    clock, report, stats, past, monkeypatch, caplog
):
    report()
    clock.shift(DAY)
    with monkeypatch.context() as patch:
        patch.setattr(history, "count_names", None)
        report()
        assert past() == past() == []
    assert stats()["instances"] == 2
    clock.shift(DAY)
    assert [day["date"] for day in past()] == ["2026-03-11"]
    assert len(caplog.records) == 1


def test_a_summary_that_somebody_else_wrote_makes_503(clock, client, report):
    report()
    clock.shift(DAY)
    today = int(datetime.now(UTC).timestamp()) // SECONDS
    records().expire()
    records().keep(today - 1, b'{"instances": "many"}')
    assert client.get("/stats/history").status_code == 503


def test_a_name_that_is_no_release_is_not_shown_among_the_releases(clock, client, report):
    report()
    clock.shift(DAY)
    records().expire()
    summary = history.Summary(3, 0, 0, {}, {}, {}, {"nonsense": 3, "1.0.0": 3}, {})
    records().keep(int(datetime.now(UTC).timestamp()) // SECONDS - 1, encode(summary))
    (day,) = client.get("/stats/history").json()["days"]
    assert day["releases"] == {"1.0.0": 3}
    assert client.get("/dashboard").status_code == 200


def test_no_answer_of_the_latest_day_is_left_out_and_no_history_is_larger_than_a_megabyte(
    clock, client, report, settings
):
    options = [f"option_{number:017}" for number in range(32)]
    question = {"what": "it", "why": "so", "kind": "choice", "options": options}
    questions = {f"question_{number:015}": question for number in range(16)}
    settings.HEADCOUNT_CONFIG_FILE = {"version": 1, "questions": questions}
    names = [f"{name}={option}" for name in questions for option in ["", *options]]
    rows = [row(f'{n:"<128}', f'{n:"<255}', f'{n:"<64}') for n in range(100, 160)]
    tally = tally_of(*rows)._replace(answers=dict.fromkeys(names, 1_000_000))
    for _ in range(91):
        records().read()
        clock.shift(DAY)
        records().expire()
        yesterday = int(datetime.now(UTC).timestamp()) // SECONDS - 1
        records().keep(yesterday, encode(history.summarize(tally, NO_RULES)))
    answers = client.get("/stats").json()["answers"]
    assert [len(values) for values in answers.values()] == [32] * 16
    for query in ("", "?from=2026-01-01"):
        content = client.get(f"/stats/history{query}").content
        assert 950_000 < len(content) < 1_000_000
        days = json.loads(content)["days"]
        assert days[-1]["date"] == "2026-06-08"
        assert 20 < len(days) < 90


def test_a_summary_that_an_earlier_release_kept_is_read():
    kept = (
        b'{"answers":{},"architectures":{"arm":1},"established":0,"images":{"x":1},"instances":1,'
    )
    kept += b'"releases":{"1.0.0":1},"reported":1,"versions":{"1":1}}'
    assert decode(kept, history.Summary).instances == 1
