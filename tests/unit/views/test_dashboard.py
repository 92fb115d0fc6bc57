import re
from datetime import timedelta

import pytest

from collector.numbers.stats import snapshot
from collector.views import panels as dashboard

DAY = timedelta(days=1)


@pytest.fixture
def page(client):
    """The page for a query, as text without its tags."""

    def fetch(query=""):
        response = client.get(f"/dashboard{query}")
        assert response.status_code == 200
        return text(response.content.decode())

    return fetch


def text(html):
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html))


def shown(**query):
    return dashboard.page(snapshot(), query)


def names(breakdown):
    return [share.name for share in breakdown.shown]


def test_it_works(clock, report, page):
    for number in range(3):
        report(app=f"0.9{number}.0")
    clock.shift(2 * DAY)
    report(app="0.93.0", arch="arm")
    told = page()
    assert "Installations of Manyfold" in told
    assert "live installations 4" in told
    assert "As of 2026-03-12 12:00 UTC , counting since 2026-03-10 12:00 UTC" in told
    assert "against a week ago &ndash;" in told
    assert "reported today 1 of 4, so far" in told
    assert "on the latest release 25 % 0.93.0: 1 of 4" in told
    assert "32-bit ARM" in told
    assert "Warming up" not in told


@pytest.mark.parametrize("installations", [0, 1])
def test_the_first_day_has_a_page_that_makes_sense(clock, report, page, installations):
    for _ in range(installations):
        report()
    told = page()
    assert "Warming up." in told
    assert "This is the first day" in told
    assert f"live installations {installations}" in told
    assert ("No installation has reported yet" in told) == (not installations)


def test_the_sections_come_in_order(client, clock, report):
    report()
    ids = re.findall(r'<section id="(\w+)"', client.get("/dashboard").content.decode())
    assert ids == [
        *("filters", "live", "growth", "releases", "adoption", "images", "processors"),
        *("reports", "data"),
    ]


def test_the_change_is_against_the_end_of_the_day_a_week_ago(clock, report):
    report()
    for _ in range(7):
        clock.shift(DAY)
        report()
    assert shown()["change"] == {"date": "2026-03-10", "more": "+7", "percent": "700 %"}


def test_without_a_figure_of_that_day_there_is_no_change(clock, report):
    report()
    clock.shift(DAY)
    assert shown()["change"] is None


def test_the_latest_release_is_no_pre_release(report):
    report(app="2.0.0rc1")
    report(app="1.9.0")
    assert shown()["latest"].name == "1.9.0"


def test_where_all_are_pre_releases_it_is_the_newest(report):
    report(app="2.0.0rc1")
    assert shown()["latest"].name == "2.0.0rc1"


def test_releases_come_newest_first_with_who_runs_at_least_them(report):
    for app, size in (("1.0.0", 1), ("2.0.0", 3)):
        for _ in range(size):
            report(app=app)
    newest, oldest = shown()["releases"].shown
    assert (newest.name, newest.percent, newest.percent_at_least) == ("2.0.0", "75 %", "75 %")
    assert (oldest.name, oldest.percent, oldest.percent_at_least) == ("1.0.0", "25 %", "100 %")


def test_what_is_no_release_stands_beneath(report):
    report(app="nightly")
    assert [share.name for share in shown()["not_releases"]] == ["nightly"]


def test_the_rest_of_a_long_table_is_behind_a_line_and_counted(report):
    for number in range(70):
        report(app=f"1.{number}.0")
    releases = shown()["releases"]
    assert (len(releases.shown), len(releases.more), releases.further) == (12, 48, 10)


def test_what_is_not_listed_by_name_is_counted(report, page, settings):
    settings.HEADCOUNT_MIN_GROUP = 2
    report()
    assert "1 of 1 installations are not listed by name" in page()


def test_a_filter_applies_to_the_numbers_and_not_to_the_past(clock, report, page):
    report(app="1.0.0", arch="arm")
    report(app="2.0.0")
    clock.shift(DAY)
    told = page("?family=32-bit+ARM")
    assert "processor 32-bit ARM remove" in told
    assert "live installations 1 of 2" in told
    assert "no filter applies" in told
    assert "no filter applies" not in page()


def test_a_name_is_a_link_that_filters_and_keeps_the_other_filters(report):
    report(app="1.0.0", arch="arm")
    (share,) = shown(family=["32-bit ARM"])["releases"].shown
    assert share.link == "?family=32-bit+ARM&release=1.0.0"
    (share,) = shown(family=["32-bit ARM"])["families"].shown
    assert share.chosen
    assert share.link == "?"


def test_each_filter_can_be_removed(report):
    chosen = shown(app=["1", "2"], arch=["arm"])["chosen"]
    assert [(one.name, one.link) for one in chosen] == [
        ("1", "?app=2&arch=arm"),
        ("2", "?app=1&arch=arm"),
        ("arm", "?app=1&app=2"),
    ]


def test_the_form_adds_a_filter(client):
    response = client.get("/dashboard?family=32-bit+ARM&by=app&is=0.9*")
    assert response.status_code == 302
    assert response["Location"] == "/dashboard?family=32-bit+ARM&app=0.9%2A"


def test_the_form_may_ask_for_what_is_missing(client, report):
    report(image=None)
    report(image="a")
    response = client.get(client.get("/dashboard?by=image&is=")["Location"])
    assert "image <b>not given</b>" in response.content.decode()
    assert "of 2" in response.content.decode()


def test_a_form_of_another_field_changes_nothing(client):
    assert client.get("/dashboard?by=id&is=1").status_code == 200


def test_too_many_filters_are_refused_as_a_page(client):
    query = "&".join(f"app={n}" for n in range(21))
    response = client.get(f"/dashboard?{query}", headers={"Accept": "text/html,*/*;q=0.8"})
    assert response.status_code == 400
    assert "app is given more than 20 times" in response.content.decode()


def test_a_match_of_nothing_says_so(report, page):
    report()
    assert "No installation matches" in page("?app=nothing")


def test_the_day_charts_begin_with_the_second_day_and_have_their_tables(clock, client, report):
    report(app="1.0.0")
    clock.shift(DAY)
    html = client.get("/dashboard").content.decode()
    assert html.count('<svg viewBox="') == 3
    assert html.count("<figcaption>") == 3
    assert html.count("<summary>As a table</summary>") == 3
    assert html.count('<th scope="row">2026-03-10</th>') == 3


def test_without_a_release_there_is_no_adoption(clock, report, page):
    report(app="nightly")
    clock.shift(DAY)
    assert "begin with the second day on which a release is known" in page()


def test_a_server_that_keeps_no_days_says_so(clock, report, page, settings):
    entry = settings.CACHES["records"]
    entry = {**entry, "OPTIONS": {**entry["OPTIONS"], "HISTORY": 0}}
    settings.CACHES = {**settings.CACHES, "records": entry}
    assert "it is not" in page()


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "'\"><b>", "{{ 7 }}", "x" * 128])
def test_hostile_values_are_text(clock, client, report, hostile):
    report(app=hostile, image=hostile, arch=hostile[:64])
    clock.shift(DAY)
    html = client.get("/dashboard", {"app": hostile}).content.decode()
    assert "<script" not in html
    assert "<b>not" not in html.replace("<b>not given", "")
    assert html.count("<b>") == 1


def test_every_count_is_of_one_moment(clock, report, client):
    for number in range(5):
        report(app=f"1.{number}.0")
    clock.shift(DAY)
    told, numbers = shown(), client.get("/stats").json()
    counts = {share.name: share.count for share in told["releases"].shown}
    assert counts == numbers["folded"]["releases"]
    assert told["numbers"].instances == numbers["instances"]
    assert f"<td>{numbers['instances']}</td>" in told["growth_rows"]
