from datetime import timedelta

import pytest

from collector.cache import Row, Totals, records
from collector.numbers import history

DAY = timedelta(days=1)


@pytest.fixture
def past(client):
    def fetch():
        return client.get("/stats/history").json()["days"]

    return fetch


def test_it_works(clock, report, past):
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
            "others": {"versions": 0, "images": 0, "architectures": 0},
        }
    ]


def test_a_day_is_told_when_it_is_over(clock, report, past):
    report()
    assert past() == []
    clock.move_to("2026-03-10T23:59:59Z")
    assert past() == []
    clock.move_to("2026-03-11T00:00:00Z")
    assert len(past()) == 1


@pytest.mark.parametrize("first", ["a report", "a reader", "an erasure", "the timer"])
def test_it_is_exact_whoever_comes_first_after_midnight(clock, report, post, client, past, first):
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
            records().free_expired()
    closed = past()[-1]
    assert closed["date"] == "2026-03-17"
    assert closed["reported"] == 0
    for key in ("instances", "versions", "established"):
        assert closed[key] == headline[key]


def test_how_many_reported_on_the_day_is_told(clock, report, past):
    known = report()
    clock.shift(DAY)
    report(known)
    report()
    clock.shift(DAY)
    report()
    clock.shift(DAY)
    assert [(day["instances"], day["reported"]) for day in past()] == [(1, 1), (2, 2), (3, 1)]


def test_a_day_on_which_nothing_ran_is_a_gap(clock, report, past):
    report()
    clock.shift(3 * DAY)
    report()
    clock.shift(DAY)
    assert [day["date"] for day in past()] == ["2026-03-10", "2026-03-13"]


def test_a_clock_that_jumps_ahead_and_back_invents_nothing(clock, report, past):
    report()
    clock.shift(30 * DAY)
    report()
    clock.shift(-30 * DAY)
    report()
    assert past() == []
    clock.shift(DAY)
    assert [day["date"] for day in past()] == ["2026-03-10"]


def test_it_is_bounded(clock, settings, report, past):
    entry = settings.CACHES["records"]
    options = entry["OPTIONS"] | {"HISTORY": 3}
    settings.CACHES = {"records": entry | {"LOCATION": "bounded", "OPTIONS": options}}
    records().clear()
    for _ in range(6):
        report()
        clock.shift(DAY)
    assert [day["date"] for day in past()] == ["2026-03-13", "2026-03-14", "2026-03-15"]


def test_it_can_be_turned_off(clock, settings, report, past):
    entry = settings.CACHES["records"]
    options = entry["OPTIONS"] | {"HISTORY": 0}
    settings.CACHES = {"records": entry | {"LOCATION": "off", "OPTIONS": options}}
    report()
    clock.shift(DAY)
    assert past() == []


def test_it_is_forgotten_with_the_reports_and_says_since_when(clock, client, report, past):
    report()
    clock.shift(DAY)
    records().clear()
    answered = client.get("/stats/history").json()
    assert answered == {"since": "2026-03-11T12:00:00Z", "history_days": 90, "days": []}


def test_the_rules_in_force_say_what_is_listed(clock, settings, report, past):
    report(app="rare", image="secret/x")
    report(app="usual")
    report(app="usual")
    clock.shift(DAY)
    settings.HEADCOUNT_MIN_GROUP = 2
    settings.HEADCOUNT_HIDE = {"image": "secret"}
    (day,) = past()
    assert day["versions"] == {"usual": 2}
    assert day["images"] == {"ghcr.io/x/y": 2}
    assert day["others"] == {"versions": 1, "images": 1, "architectures": 0}


@pytest.mark.parametrize("sign", "=+-@")
def test_no_spreadsheet_takes_a_name_for_a_formula(clock, client, report, sign):
    report(app=f"{sign}1")
    clock.shift(DAY)
    assert f"versions,'{sign}1,1" in client.get("/stats/history.csv").content.decode()


def test_as_csv(clock, client, report):
    report(app="1", image=None, arch="arm")
    report(app='=cmd|"x', image=None, arch="arm")
    clock.shift(DAY)
    response = client.get("/stats/history.csv")
    assert response["Content-Type"] == "text/csv"
    assert response.content.decode().splitlines() == [
        "date,what,name,installations",
        "2026-03-10,instances,,2",
        "2026-03-10,established,,0",
        "2026-03-10,reported,,2",
        "2026-03-10,versions,1,1",
        """2026-03-10,versions,"'=cmd|""x",1""",
        "2026-03-10,other versions,,0",
        "2026-03-10,images,,2",
        "2026-03-10,other images,,0",
        "2026-03-10,architectures,arm,2",
        "2026-03-10,other architectures,,0",
    ]


@pytest.mark.parametrize("path", ["/stats/history", "/stats/history.csv"])
def test_a_known_history_is_not_sent_again(clock, client, report, path):
    report()
    etag = client.get(path)["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304
    clock.shift(DAY)
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 200


def test_whatever_is_asked_of_it_the_answer_is_the_same(client):
    assert client.get("/stats/history?" + "a&" * 1100).status_code == 200


def test_what_is_kept_of_a_day_is_bounded():
    rows = [
        Row({"app": f"{n}", "image": None, "arch": None}, 8 * 86400, False, n)
        for n in range(1, 301)
    ]
    kept = history.closing(Totals.of(rows), 0)
    assert kept["instances"] == kept["reported"] == sum(range(1, 301))
    assert len(kept["versions"]) == 200
