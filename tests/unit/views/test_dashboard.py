import re
from datetime import timedelta

import pytest

from collector.numbers.days import to_day
from collector.numbers.snapshot import current
from collector.views.dashboard import change_since_last_week, page_context, percent

DAY = timedelta(days=1)


@pytest.fixture
def page(client):
    """Return the text of the page for a query."""

    def fetch(query=""):
        response = client.get(f"/dashboard{query}")
        assert response.status_code == 200
        return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", response.content.decode()))

    return fetch


def context(**query):
    return page_context(current(), query)


def test_the_dashboard_shows_the_statistics_of_now(clock, report, page):
    for number in range(3):
        report(app=f"0.9{number}.0")
    clock.shift(2 * DAY)
    report(app="0.93.0", arch="arm")
    text = page()
    assert "Instances of this application" in text
    assert "instances 4" in text
    assert "As of 2026-03-12 12:00 UTC , counting since 2026-03-10 12:00 UTC" in text
    assert "since last week &ndash;" in text
    assert "reported today 1 of 4, so far" in text
    assert "on the newest reported release 25% 0.93.0: 1 of 4" in text
    assert "32-bit ARM" in text
    assert "Warming up" not in text


@pytest.mark.parametrize("instances", [0, 1])
def test_the_dashboard_of_the_first_day_explains_what_is_missing(clock, report, page, instances):
    for _ in range(instances):
        report()
    text = page()
    assert "Warming up." in text
    assert "The chart begins with the second day" in text
    assert f"instances {instances}" in text
    assert ("No instance has reported yet" in text) == (not instances)


@pytest.mark.parametrize(
    ("before", "now", "change"),
    [
        (1, 8, ("+7", "700% more than at the end of 2026-03-10")),
        (4, 3, ("-1", "25% fewer than at the end of 2026-03-10")),
        (3, 3, ("0", "as many as at the end of 2026-03-10")),
        (0, 2, ("+2", "none at the end of 2026-03-10")),
    ],
)
def test_the_change_is_since_the_end_of_the_day_a_week_ago(before, now, change):
    day = to_day("2026-03-10")
    assert tuple(change_since_last_week({day: before, day + 7: now}).values()) == change


def test_there_is_no_change_without_a_number_for_the_day_a_week_ago(clock, report):
    report()
    clock.shift(DAY)
    assert context()["change"] is None


@pytest.mark.parametrize(
    ("apps", "latest"), [(["2.0.0rc1", "1.9.0"], "1.9.0"), (["2.0.0rc1", "2.0.0rc2"], "2.0.0rc2")]
)
def test_the_latest_release_is_a_pre_release_only_if_there_is_no_other(report, apps, latest):
    for app in apps:
        report(app=app)
    assert context()["latest"].name == latest


def test_releases_come_newest_first_and_other_versions_apart(report):
    for app in ("1.0.0", "2.0.0", "2.0.0", "2.0.0", "nightly"):
        report(app=app)
    page = context()
    rows = [(row.name, row.percent, row.percent_at_least) for row in page["releases"].visible]
    assert rows == [("2.0.0", "60%", "75%"), ("1.0.0", "20%", "100%")]
    assert [(row.name, row.percent) for row in page["not_releases"]] == [("nightly", "20%")]


def test_a_long_table_shows_12_rows_hides_48_and_counts_the_others(report):
    for number in range(70):
        report(app=f"1.{number}.0")
    releases = context()["releases"]
    assert (len(releases.visible), len(releases.rest), releases.omitted) == (12, 48, 10)


def test_a_filter_of_names_applies_to_the_numbers_and_not_to_the_past(
    clock, report, page, settings
):
    report(app="1.0.0", arch="arm")
    report(app="2.0.0")
    clock.shift(DAY)
    text = page("?family=32-bit+ARM")
    assert "processor 32-bit ARM remove" in text
    assert "instances 1 of 2" in text
    assert text.count("The chart shows all instances") == 3
    assert "The chart shows" not in page()
    assert "No instance matches" in page("?app=nothing")
    settings.HEADCOUNT_MIN_GROUP = 3
    assert "2 of 2 instances are not listed by name" in page()


def test_a_name_is_a_link_that_filters_and_keeps_the_other_filters(report):
    report(app="1.0.0", arch="arm")
    (share,) = context(family=["32-bit ARM"])["releases"].visible
    assert share.link == "?family=32-bit+ARM&release=1.0.0"
    (share,) = context(family=["32-bit ARM"])["families"].visible
    assert share.chosen
    assert share.link == "?"


def test_each_filter_has_a_link_that_removes_it():
    chosen = context(app=["1", "2"], arch=["arm"])["filters"]
    assert {value: link for _, value, link in chosen} == {
        "1": "?app=2&arch=arm",
        "2": "?app=1&arch=arm",
        "arm": "?app=1&app=2",
    }


@pytest.mark.parametrize(
    ("query", "location"),
    [
        ("family=32-bit+ARM&by=app&is=0.9*", "family=32-bit+ARM&app=0.9%2A"),
        ("established=true&period=all&by=app&is=1", "established=true&period=all&app=1"),
    ],
)
def test_the_form_redirects_to_the_page_with_one_more_filter(client, query, location):
    response = client.get(f"/dashboard?{query}")
    assert (response.status_code, response["Location"]) == (302, f"/dashboard?{location}")
    assert client.get("/dashboard?by=id&is=1").status_code == 200  # no filter


def test_the_form_can_select_instances_without_an_image(client, report):
    report(image=None)
    report(image="a")
    response = client.get(client.get("/dashboard?by=image&is=")["Location"])
    assert "image <b>not given</b>" in response.content.decode()
    assert "of 2" in response.content.decode()


def test_charts_and_their_tables_begin_with_the_second_day(clock, client, report):
    report(app="1.0.0")
    clock.shift(DAY)
    html = client.get("/dashboard").content.decode()
    assert html.count('class="chart"') == 3
    assert html.count("<figcaption>") == 3
    assert html.count("as a table</summary>") == 2
    assert html.count('<th scope="row">2026-03-10</th>') == 3


def test_a_chart_that_cannot_be_drawn_says_why(clock, report, page, set_cache_options):
    report(app="nightly")
    clock.shift(DAY)
    assert "The chart begins with the second day, once an instance runs a release" in page()
    set_cache_options(HISTORY=0)
    assert "This server keeps no history" in page()


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "'\"><b>", "{{ 7 }}", "x" * 128])
def test_hostile_names_are_escaped(clock, client, report, hostile):
    report(app=hostile, image=hostile, arch=hostile[:64])
    clock.shift(DAY)
    html = client.get("/dashboard", {"app": hostile}).content.decode()
    assert "<script" not in html
    assert "<b>not" not in html.replace("<b>not given", "")
    assert html.count("<b>") == 1


def test_only_nothing_is_0_percent_and_only_everything_is_100_percent():
    shares = [(0, 0), (0, 9), (1, 1000), (1, 3), (999, 1000), (9, 9)]
    assert [percent(*each) for each in shares] == ["0%", "0%", "<1%", "33%", ">99%", "100%"]


def test_a_name_that_ends_in_a_star_links_to_itself_alone(client, report):
    report(app="edge*")
    report(app="edge-1")
    (first, _) = context()["not_releases"]
    assert first.name == "edge*"
    html = client.get(f"/dashboard{first.link}").content.decode()
    assert "edge-1" not in html
    assert "of 2" in html


def test_the_checkbox_counts_established_instances_and_keeps_the_filters(clock, client, report):
    known = report(app="1.0.0")
    clock.shift(DAY)
    report(known, app="1.0.0")
    report(app="1.0.0")
    html = client.get("/dashboard?established=true&app=1.0.0&period=year").content.decode()
    assert '<dd>1</dd><dd class="of">of 2</dd>' in html
    assert 'value="true" checked' in html
    assert html.count('<input type="hidden" name="app" value="1.0.0">') == 2
    assert html.count('<input type="hidden" name="established" value="true">') == 1
    assert 'established <b>true</b> <a href="?app=1.0.0&amp;period=year"' in html
    assert 'value="true" checked' not in client.get("/dashboard").content.decode()


def test_the_curve_and_the_change_count_established_instances_if_asked_to(clock, report, page):
    first = report()
    clock.shift(DAY)
    for id in (first, None, None):
        report(id)
    clock.shift(7 * DAY)
    report(first)
    report()
    everything, established = page(), page("?established=true")
    assert "since last week +1 33% more than" in everything
    assert "since last week 0 as many as" in established
    assert "The number of established instances at the end of each day" in established
    assert "counts all" not in established
    assert context(established=["true"])["growth_chart"].count("<title>Established instances") == 1
    assert "; counts all established instances" in page("?established=true&arch=arm")


def test_the_links_to_periods_keep_the_filters(client, settings, tmp_path):
    assert 'class="periods"' not in client.get("/dashboard").content.decode()
    settings.HEADCOUNT_HISTORY_FOLDER = str(tmp_path)
    html = client.get("/dashboard?new").content.decode()  # without a second day
    assert 'class="periods"' in html
    assert "The chart of this period begins with its second day" in html
    periods = context(app=["1"], period=["year"])["periods"]
    assert periods == [
        ("90 days", False, "?app=1&period=90-days"),
        ("a year", True, "?app=1&period=year"),
        ("everything", False, "?app=1&period=all"),
    ]


def test_a_period_that_there_is_not_is_refused(client):
    for path in ("/dashboard", "/charts/growth.svg"):
        response = client.get(f"{path}?period=10-years")
        assert (response.status_code, response.json()["field"]) == (400, "period")


def test_the_page_names_the_minute_in_which_it_was_asked_for(clock, page, report):
    report()
    assert "As of 2026-03-10 12:00 UTC" in page()
    clock.shift(timedelta(minutes=5))
    assert "As of 2026-03-10 12:05 UTC" in page()
