import csv
import logging
import os
from datetime import timedelta

import pytest
from django.core.checks import run_checks
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from collector.cache import records
from collector.cache.tally import decode
from collector.checks import START_TAG
from collector.conf import ARCHIVE_BYTES, conf
from collector.numbers import archive, snapshot, trends
from collector.numbers.archive import ArchivedDay
from collector.numbers.days import to_day
from collector.views.exports import to_csv

DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
HEADER = "date,breakdown,name,instances"
MANY = {"0.90.0": 300, "0.91.0": 600}


def day_rows(day="2026-03-01", totals=(1000, 800, 700), releases=MANY):
    return [*archive.rows(day, totals, releases)]


def text_of(*days):
    return to_csv(row for rows in days for row in rows)


@pytest.fixture
def folder(tmp_path, settings):
    settings.HEADCOUNT_HISTORY_FOLDER = str(tmp_path)
    return tmp_path


def read(folder):
    """Return the days of a folder as plain objects, and its problems."""
    found = archive.read(str(folder))
    days = {day: decode(content, ArchivedDay) for day, content in found.days.items()}
    return days, found.problems


def instances(folder):
    return [day.instances for day in read(folder)[0].values()]


names = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=128)
counts = st.integers(0, 10**7)


@given(
    releases=st.dictionaries(names, counts, max_size=50),
    more=counts,
    data=st.data(),
)
def test_what_is_read_back_equals_what_was_written(tmp_path_factory, releases, more, data):
    folder = tmp_path_factory.mktemp("days")
    instances = sum(releases.values()) + more
    totals = (instances, *(data.draw(st.integers(0, instances)) for _ in range(2)))
    (folder / "a.csv").write_text(text_of(day_rows(totals=totals, releases=releases)))
    assert read(folder) == ({to_day("2026-03-01"): ArchivedDay(*totals, releases)}, ())


@given(names | st.from_regex(r"\Av?1(\.[0-9]{1,3}){1,30}(rc[0-9])?\Z"))
@example("1." + "2" * 126)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_any_report_adds_to_the_archive_is_read_back(clock, client, report, folder, app):
    clock.move_to("2026-03-10T00:00:00Z")
    records().clear()
    report(app=app)
    clock.shift(DAY)
    (folder / "a.csv").write_bytes(client.get("/stats/archive.csv").content)
    (shown,) = client.get("/stats/history").json()["days"]
    totals = (shown[name] for name in archive.TOTALS)
    assert read(folder) == ({to_day("2026-03-10"): ArchivedDay(*totals, shown["releases"])}, ())


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@x", "'x", "''", "'=1", 'a,"b"', " a "])
def test_no_name_is_a_formula_and_each_is_read_back(folder, name):
    text = text_of(day_rows(totals=(9, 0, 0), releases={name: 9}))
    cells = {cell for row in csv.reader(text.splitlines()) for cell in row}
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@"))]
    (folder / "a.csv").write_text(text)
    (day,) = read(folder)[0].values()
    assert day.releases == {name: 9}


def test_the_archive_has_the_totals_and_releases_of_days_that_were_counted_whole(
    clock, client, report
):
    known = report(app="1.0.0", image="ghcr.io/secret/x")  # counting began at noon of this day
    clock.shift(DAY)
    assert client.get("/stats/archive.csv").content.decode() == f"{HEADER}\n"
    report(known, app="1.0.0")
    report(app="edge")
    clock.shift(DAY)
    response = client.get("/stats/archive.csv")
    assert response["Content-Type"] == "text/csv"
    assert response.content.decode().splitlines() == [
        HEADER,
        "2026-03-11,instances,,2",
        "2026-03-11,established,,1",
        "2026-03-11,reported,,2",
        "2026-03-11,releases,1.0.0,1",
        "2026-03-11,other releases,,1",
    ]


def test_the_archive_follows_the_rules_in_force(clock, client, report, settings):
    clock.shift(DAY)
    for app, count in (("1.0.0", 3), ("2.0.0", 2), ("9.9.9", 5)):
        for _ in range(count):
            report(app=app)
    settings.HEADCOUNT_MIN_GROUP = 3
    settings.HEADCOUNT_CONFIG_FILE = {"version": 1, "hide": {"app": ["9*"]}}
    clock.shift(DAY)
    text = client.get("/stats/archive.csv").content.decode()
    assert "releases,1.0.0,3\n" in text
    assert "other releases,,7\n" in text
    assert "2.0.0" not in text
    assert "9.9.9" not in text


def test_only_files_named_csv_are_read_and_the_first_by_name_counts_for_a_day(folder):
    for name, total in (("b.csv", 2), ("a.csv", 1), ("c.csv", 3), ("README.md", 4)):
        (folder / name).write_text(text_of(day_rows(totals=(total, 0, 0), releases={})))
    assert instances(folder) == [1]


def test_a_damaged_row_of_a_known_day_hides_no_other_day(folder):
    first, second = day_rows("2026-03-01"), day_rows("2026-03-02")
    (folder / "a.csv").write_text(text_of(first))
    header, rest = text_of(second, first).split("\n", 1)
    (folder / "b.csv").write_text(f"{header}\n2026-03-01,garbage\n{rest}")
    days, problems = read(folder)
    assert (len(days), len(problems)) == (1, 1)
    (folder / "b.csv").write_text(text_of(second, first))
    assert len(read(folder)[0]) == 2


GOOD = text_of(day_rows(), day_rows("2026-03-02"))
LINES = GOOD.splitlines(keepends=True)
DAMAGED = {
    "empty": ("", 1, f"the header {HEADER} is missing"),
    "cut in a number": (GOOD[:-2], 13, "the line is cut off"),
    "cut between rows": ("".join(LINES[:-1]), 12, "the last day is incomplete"),
    "cut and continued": ("".join(LINES[:5] + LINES[7:]), 6, "the day before is incomplete"),
    "a day twice": (GOOD + "".join(LINES[1:7]), 14, "the day is in this file twice"),
    "the file twice": (GOOD + GOOD, 14, "the breakdown is unknown"),
    "a row twice": ("".join([*LINES[:2], *LINES[1:]]), 3, "the row is in this file twice"),
    "a total missing": ("".join(LINES[:1] + LINES[2:]), 6, "a total of this day is missing"),
    "too many established": (GOOD.replace("800", "1001"), 7, "a total exceeds that of the"),
    "too many reported": (GOOD.replace("700", "1001"), 7, "a total exceeds that of the instances"),
    "a wrong sum": (GOOD.replace("0.90.0,300", "0.90.0,301"), 7, "the numbers by release do not"),
    "no number": (GOOD.replace("300", "3e2"), 5, "the number is not a whole number"),
    "a negative number": (GOOD.replace("300", "-300"), 5, "the number is not a whole number"),
    "digits of another script": (GOOD.replace("300", "٣٠٠"), 5, "the number is not a whole"),
    "a long number": (GOOD.replace("300", "3" * 11), 5, "the number is not a whole number"),
    "an unknown breakdown": (GOOD.replace("established", "images"), 3, "the breakdown is unknown"),
    "a date of another form": (GOOD.replace("2026-03-01", "2026-W11-1"), 2, "the date is invalid"),
    "an early date": (GOOD.replace("2026-03-01", "0206-03-01"), 2, "the date is too early"),
    "no name": (GOOD.replace("0.90.0", ""), 5, "the name is empty or too long"),
    "a long name": (GOOD.replace("0.90.0", "0" * 129), 5, "the name is empty or too long"),
    "another alphabet": (GOOD.replace("0.90.0", "0.90.é"), 5, "the name is not printable ASCII"),
    "a control character": (GOOD.replace("0.90.0", "0.9\x000"), 5, "the name is not printable"),
    "an empty line": (GOOD + "\n", 14, "the row has 0 of 4 columns"),
    "too many releases": (
        text_of(day_rows(totals=(51, 0, 0), releases={f"1.{n}.0": 1 for n in range(51)})),
        56,
        "the day has over 50 releases",
    ),
}


@pytest.mark.parametrize(("text", "line", "reason"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_file_is_left_out_and_the_others_are_read(folder, text, line, reason):
    (folder / "a.csv").write_text(text)
    (folder / "b.csv").write_text(text_of(day_rows("2026-03-05")))
    days, (problem,) = read(folder)
    assert problem.startswith(f"'a.csv', line {line}: {reason}")
    assert [*days] == [to_day("2026-03-05")]


def test_a_file_that_is_too_large_is_left_out(folder, monkeypatch):
    monkeypatch.setattr(archive, "MAX_FILE", 100)
    (folder / "a.csv").write_text(GOOD)
    assert read(folder) == ({}, ("'a.csv', line 1: the file has over 100 bytes.",))


@given(st.binary(max_size=200), st.integers(0, len(GOOD)))
def test_no_file_makes_the_reader_fail(tmp_path_factory, noise, place):
    folder = tmp_path_factory.mktemp("days")
    (folder / "a.csv").write_bytes(GOOD[:place].encode() + noise + GOOD[place:].encode())
    days, problems = read(folder)
    assert bool(days) != bool(problems)


def test_what_is_no_file_is_left_out(folder):
    os.mkfifo(folder / "fifo.csv")
    (folder / "folder.csv").mkdir()
    (folder / "gone.csv").symlink_to("nowhere")
    assert [problem.partition(",")[0] for problem in read(folder)[1]] == [
        *("'fifo.csv'", "'folder.csv'", "'gone.csv'")
    ]


def test_the_start_is_aborted_with_the_file_the_line_and_the_reason(folder, settings):
    (folder / "a.csv").write_text(GOOD[:-5])
    (error,) = run_checks(tags=[START_TAG])
    assert (error.id, error.is_serious()) == ("collector.E014", True)
    assert "'a.csv', line 13: the line is cut off." in error.msg
    settings.HEADCOUNT_HISTORY_FOLDER = "/nowhere"
    (error,) = run_checks(tags=[START_TAG])
    assert "The folder cannot be read: No such file or directory." in error.msg


def test_a_folder_is_read_after_midnight_if_it_changed(clock, folder, monkeypatch, settings):
    settings.HEADCOUNT_HISTORY_FOLDER = "/nowhere"
    assert archive.current().problems
    settings.HEADCOUNT_HISTORY_FOLDER = str(folder)
    assert snapshot.current().past.totals == {}
    (folder / "a.csv").write_text(text_of(day_rows()))
    assert snapshot.current().past.totals == {}
    clock.shift(DAY)
    assert [day.instances for day in snapshot.current().past.totals.values()] == [1000, 0]
    before = archive.current()
    monkeypatch.setattr(archive, "read", None)
    clock.shift(DAY)
    assert archive.current() is before


def test_a_file_that_became_invalid_is_left_out_logged_once_and_counted(
    clock, folder, client, caplog
):
    (folder / "a.csv").write_text(text_of(day_rows()))
    (folder / "b.csv").write_text(text_of(day_rows("2026-03-02")))
    metric = "headcount_history_folder_invalid_files"
    assert f"{metric} 0.0" in client.get("/metrics").content.decode()
    (folder / "b.csv").write_text("date")
    with caplog.at_level(logging.WARNING):
        for number in range(3):
            clock.shift(DAY)
            (folder / f"c{number}.csv").write_text(text_of())
            assert len(archive.current().days) == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"Left out of the history: 'b.csv', line 1: the header {HEADER} is missing."
    ]
    assert f"{metric} 1.0" in client.get("/metrics").content.decode()
    (folder / "b.csv").write_text(text_of(day_rows("2026-03-02")))
    clock.shift(MINUTE)
    assert len(archive.current().days) == 2
    assert f"{metric} 0.0" in client.get("/metrics").content.decode()


def test_a_folder_that_is_away_later_keeps_its_days(clock, tmp_path, settings, client):
    settings.HEADCOUNT_HISTORY_FOLDER = str(tmp_path / "days")
    (tmp_path / "days").mkdir()
    (tmp_path / "days" / "a.csv").write_text(text_of(day_rows()))
    assert len(archive.current().days) == 1
    (tmp_path / "days").rename(tmp_path / "away")
    clock.shift(DAY)
    assert len(archive.current().days) == 1
    assert "invalid_files 1.0" in client.get("/metrics").content.decode()
    (tmp_path / "away").rename(tmp_path / "days")
    clock.shift(MINUTE)
    assert archive.current().problems == ()


def test_reading_gives_others_their_turn(folder, monkeypatch):
    start = to_day("2016-01-01")
    days = (day_rows(archive_date(start + number)) for number in range(1000))
    (folder / "a.csv").write_text(text_of(*days))
    turns = []
    monkeypatch.setattr(archive.time, "sleep", turns.append)
    assert len(read(folder)[0]) == 1000
    assert len(turns) >= 6000 / archive.SLICE


def archive_date(day):
    return f"{trends.EPOCH + day * DAY}"


def test_days_in_memory_win_and_days_of_files_come_before(clock, report, folder, client):
    report(app="1.0.0")
    (folder / "a.csv").write_text(text_of(day_rows("2026-03-08"), day_rows("2026-03-10")))
    clock.shift(DAY)
    days = client.get("/stats/history?from=2026-03-01").json()["days"]
    shown = {day["date"]: day["instances"] for day in days}
    assert shown == {"2026-03-08": 1000, "2026-03-10": 1}
    assert days[0] == {
        "date": "2026-03-08",
        "instances": 1000,
        "established": 800,
        "reported": 700,
        "versions": {},
        "images": {},
        "architectures": {},
        "releases": MANY,
        "others": {"versions": 1000, "images": 1000, "architectures": 1000},
    }
    assert [day["date"] for day in client.get("/stats/history").json()["days"]] == ["2026-03-10"]


def test_the_rules_in_force_apply_to_files(clock, settings, folder, client):
    (folder / "a.csv").write_text(
        text_of(day_rows(releases={"1.0.0": 2, "2.0.0": 500, "3.0.0": 400, "rude": 98}))
    )
    settings.HEADCOUNT_MIN_GROUP = 3
    settings.HEADCOUNT_CONFIG_FILE = {"version": 1, "hide": {"app": ["3*"]}}
    (day,) = client.get("/stats/history?from=2026-03-01").json()["days"]
    assert day["releases"] == {"2.0.0": 500}  # "rude" is no release
    assert client.get("/dashboard").status_code == 200


def test_a_day_that_is_not_over_is_not_shown(clock, folder, client):
    (folder / "a.csv").write_text(text_of(day_rows("2026-03-10"), day_rows("2999-01-01")))
    assert client.get("/stats/history?from=2026-03-01").json()["days"] == []
    assert trends.totals(snapshot.current(), 0) == {to_day("2026-03-10"): 0}
    assert snapshot.current().last_complete_day is None


def test_a_period_is_at_most_a_year_its_latest_days(clock, folder, client):
    first = to_day("2024-01-01")
    rows = (day_rows(archive_date(day), (1, 0, 0), {}) for day in range(first, first + 500))
    (folder / "a.csv").write_text(text_of(*rows))
    days = client.get("/stats/history?from=2024-01-01&to=2025-01-31").json()["days"]
    assert (len(days), days[-1]["date"]) == (366, "2025-01-31")


@pytest.fixture
def restarted(clock, folder, report):
    """A server that has counted two instances since its start at noon, with saved days."""
    (folder / "a.csv").write_text(
        text_of(day_rows("2026-03-08"), day_rows("2026-03-09", (1234, 900, 800), MANY))
    )
    report(app="0.91.0")
    report(app="edge")


@pytest.mark.usefixtures("restarted")
def test_while_warming_up_badge_and_dashboard_show_the_last_complete_day(client):
    message = "1234 on 2026-03-09"
    assert client.get("/badge.json").json()["message"] == message
    assert f">{message}</text>" in client.get("/badge.svg").content.decode()
    page = client.get("/dashboard").content.decode()
    assert "<dt>instances on 2026-03-09</dt><dd>1,234</dd>" in page
    assert "and 2 since the restart" in page
    assert "900 of them established" in page
    assert client.get("/badge.json?established=true").json()["message"] == "900 on 2026-03-09"
    page = client.get("/dashboard?established=true").content.decode()
    assert "<dt>established instances on 2026-03-09</dt><dd>900</dd>" in page
    query = "?established=true&app=edge"
    assert client.get(f"/badge.json{query}").json()["message"] == "0, warming up"


@pytest.mark.usefixtures("restarted")
def test_while_warming_up_the_statistics_the_old_badge_and_filters_stay_live(client):
    assert client.get("/stats").json()["instances"] == 2
    assert client.get("/badge")["Location"].endswith("/instances-2-blue")
    assert client.get("/badge.json?release=0.91.0").json()["message"] == "1, warming up"
    assert "<dt>instances</dt><dd>1</dd>" in client.get("/dashboard?app=edge").content.decode()


@pytest.mark.usefixtures("restarted")
def test_the_day_of_a_restart_is_not_complete_even_after_the_next_restart(clock, client, folder):
    clock.move_to("2026-03-11T00:30:00Z")
    (folder / "b.csv").write_bytes(client.get("/stats/archive.csv").content)
    clock.move_to("2026-03-11T12:00:00Z")
    records().clear()
    assert client.get("/badge.json").json()["message"] == "1234 on 2026-03-09"
    clock.move_to("2026-03-13T00:00:00Z")
    assert client.get("/badge.json").json()["message"] == "0"


@pytest.mark.usefixtures("restarted")
def test_the_curve_ends_with_the_last_complete_day_while_warming_up():
    assert [*trends.totals(snapshot.current(), 0).values()] == [1000, 1234]
    dates = [day.date for day in trends.recent(snapshot.current(), 90)]
    assert dates == ["2026-03-08", "2026-03-09"]


def test_the_memory_ceiling_counts_the_days_of_a_folder(settings):
    before = conf.memory_ceiling
    settings.HEADCOUNT_HISTORY_FOLDER = "/srv/history"
    assert conf.memory_ceiling == before + ARCHIVE_BYTES
