import re
from datetime import timedelta

import pytest
from django.template.loader import render_to_string

from collector.numbers.dimensions import ALL, Dimension
from collector.numbers.snapshot import current
from collector.views.dashboard import page_context, percent

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


def context(**query):
    return page_context(current(), query)


def test_the_dashboard_shows_the_statistics_of_now(clock, report, page):
    for number in range(3):
        report(app=f"0.9{number}.0")
    clock.shift(2 * DAY)
    report(app="0.93.0", arch="arm")
    html = page()
    assert "Instances of Manyfold" in html
    assert "instances 4" in html
    assert "As of 2026-03-12 12:00 UTC , counting since 2026-03-10 12:00 UTC" in html
    assert "since last week &ndash;" in html
    assert "reported today 1 of 4, so far" in html
    assert "on the latest release 25% 0.93.0: 1 of 4" in html
    assert "32-bit ARM" in html
    assert "Warming up" not in html


@pytest.mark.parametrize("installations", [0, 1])
def test_the_dashboard_of_the_first_day_explains_what_is_missing(
    clock, report, page, installations
):
    for _ in range(installations):
        report()
    html = page()
    assert "Warming up." in html
    assert "The chart begins with the second day" in html
    assert f"instances {installations}" in html
    assert ("No instance has reported yet" in html) == (not installations)


def test_the_sections_of_the_dashboard_come_in_order(client, clock, report):
    report()
    ids = re.findall(r'<section id="(\w+)"', client.get("/dashboard").content.decode())
    assert ids == [
        *("filters", "live", "growth", "releases", "adoption", "images", "processors"),
        *("reports", "data"),
    ]


def test_the_change_is_since_the_end_of_the_day_a_week_ago(clock, report):
    report()
    for _ in range(7):
        clock.shift(DAY)
        report()
    assert context()["change"] == {"date": "2026-03-10", "more": "+7", "percent": "700%"}


def test_there_is_no_change_without_a_number_for_the_day_a_week_ago(clock, report):
    report()
    clock.shift(DAY)
    assert context()["change"] is None


def test_the_latest_release_is_not_a_pre_release(report):
    report(app="2.0.0rc1")
    report(app="1.9.0")
    assert context()["latest"].name == "1.9.0"


def test_the_latest_release_is_the_newest_pre_release_if_there_is_no_other(report):
    report(app="2.0.0rc1")
    assert context()["latest"].name == "2.0.0rc1"


def test_releases_come_newest_first_with_who_runs_at_least_them(report):
    for app, size in (("1.0.0", 1), ("2.0.0", 3)):
        for _ in range(size):
            report(app=app)
    newest, oldest = context()["releases"].visible
    assert (newest.name, newest.percent, newest.percent_at_least) == ("2.0.0", "75%", "75%")
    assert (oldest.name, oldest.percent, oldest.percent_at_least) == ("1.0.0", "25%", "100%")


def test_versions_that_are_not_a_release_are_listed_apart(report):
    report(app="nightly")
    assert [share.name for share in context()["not_releases"]] == ["nightly"]


def test_a_long_table_shows_12_rows_hides_48_and_counts_the_others(report):
    for number in range(70):
        report(app=f"1.{number}.0")
    releases = context()["releases"]
    assert (len(releases.visible), len(releases.rest), releases.omitted) == (12, 48, 10)


def test_instances_that_are_not_listed_by_name_are_counted(report, page, settings):
    settings.HEADCOUNT_MIN_GROUP = 2
    report()
    assert "1 of 1 instances are not listed by name" in page()


def test_a_filter_applies_to_the_numbers_and_not_to_the_past(clock, report, page):
    report(app="1.0.0", arch="arm")
    report(app="2.0.0")
    clock.shift(DAY)
    html = page("?family=32-bit+ARM")
    assert "processor 32-bit ARM remove" in html
    assert "instances 1 of 2" in html
    assert "no filter applies" in html
    assert "no filter applies" not in page()


def test_a_name_is_a_link_that_filters_and_keeps_the_other_filters(report):
    report(app="1.0.0", arch="arm")
    (share,) = context(family=["32-bit ARM"])["releases"].visible
    assert share.link == "?family=32-bit+ARM&release=1.0.0"
    (share,) = context(family=["32-bit ARM"])["families"].visible
    assert share.chosen
    assert share.link == "?"


def test_each_filter_has_a_link_that_removes_it(report):
    chosen = context(app=["1", "2"], arch=["arm"])["filters"]
    assert [(one.value, one.link) for one in chosen] == [
        ("1", "?app=2&arch=arm"),
        ("2", "?app=1&arch=arm"),
        ("arm", "?app=1&app=2"),
    ]


def test_the_form_redirects_to_the_page_with_one_more_filter(client):
    response = client.get("/dashboard?family=32-bit+ARM&by=app&is=0.9*")
    assert response.status_code == 302
    assert response["Location"] == "/dashboard?family=32-bit+ARM&app=0.9%2A"


def test_the_form_can_select_instances_without_an_image(client, report):
    report(image=None)
    report(image="a")
    response = client.get(client.get("/dashboard?by=image&is=")["Location"])
    assert "image <b>not given</b>" in response.content.decode()
    assert "of 2" in response.content.decode()


def test_the_form_ignores_a_field_that_is_no_filter(client):
    assert client.get("/dashboard?by=id&is=1").status_code == 200


def test_too_many_filters_are_refused_as_a_page(client):
    query = "&".join(f"app={n}" for n in range(21))
    response = client.get(f"/dashboard?{query}", headers={"Accept": "text/html,*/*;q=0.8"})
    assert response.status_code == 400
    assert "app is given more than 3 times" in response.content.decode()


def test_the_page_says_that_no_instance_matches(report, page):
    report()
    assert "No instance matches" in page("?app=nothing")


def test_charts_and_their_tables_begin_with_the_second_day(clock, client, report):
    report(app="1.0.0")
    clock.shift(DAY)
    html = client.get("/dashboard").content.decode()
    assert html.count('<svg viewBox="') == 3
    assert html.count("<figcaption>") == 3
    assert html.count("<summary>As a table</summary>") == 3
    assert html.count('<th scope="row">2026-03-10</th>') == 3


def test_there_is_no_adoption_without_a_release(clock, report, page):
    report(app="nightly")
    clock.shift(DAY)
    assert "The chart begins with the second day, once an instance runs a release" in page()


def test_a_server_without_a_history_says_so(clock, report, page, settings):
    entry = settings.CACHES["records"]
    entry = {**entry, "OPTIONS": {**entry["OPTIONS"], "HISTORY": 0}}
    settings.CACHES = {**settings.CACHES, "records": entry}
    assert "This server keeps no history" in page()


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "'\"><b>", "{{ 7 }}", "x" * 128])
def test_hostile_names_are_escaped(clock, client, report, hostile):
    report(app=hostile, image=hostile, arch=hostile[:64])
    clock.shift(DAY)
    html = client.get("/dashboard", {"app": hostile}).content.decode()
    assert "<script" not in html
    assert "<b>not" not in html.replace("<b>not given", "")
    assert html.count("<b>") == 1


def test_every_count_on_the_page_is_of_the_same_moment(clock, report, client):
    for number in range(5):
        report(app=f"1.{number}.0")
    clock.shift(DAY)
    page, numbers = context(), client.get("/stats").json()
    counts = {share.name: share.count for share in page["releases"].visible}
    assert counts == numbers["folded"]["releases"]
    assert page["numbers"].instances == numbers["instances"]
    assert f"<td>{numbers['instances']}</td>" in page["growth_rows"]


@pytest.mark.parametrize(
    ("part", "of", "expected"),
    [
        (0, 0, "0%"),
        (0, 9, "0%"),
        (1, 1000, "<1%"),
        (999, 1000, ">99%"),
        (9, 9, "100%"),
        (1, 3, "33%"),
    ],
)
def test_only_nothing_is_0_percent_and_only_everything_is_100_percent(part, of, expected):
    assert percent(part, of) == expected


def test_a_name_that_ends_in_a_star_links_to_itself_alone(client, report):
    report(app="edge*")
    report(app="edge-1")
    (first, _) = context()["not_releases"]
    assert first.name == "edge*"
    html = client.get(f"/dashboard{first.link}").content.decode()
    assert "edge-1" not in html
    assert "of 2" in html


def test_a_further_field_in_the_table_can_be_a_filter(client, monkeypatch):
    field = Dimension("os", "systems", "operating system", "arch", 64)
    monkeypatch.setitem(ALL, "os", field)
    response = client.get("/dashboard?os=debian")
    assert response.status_code == 200
    assert "operating system <b>debian</b>" in response.content.decode()


def test_the_rows_of_past_days_are_rendered_once(clock, report, monkeypatch):
    report(app="1.0.0")
    clock.shift(DAY)
    before = context()["growth_rows"]
    report(app="1.0.0")
    rendered = []
    monkeypatch.setattr(
        "collector.views.dashboard.render_to_string",
        lambda template, values: rendered.append(values) or render_to_string(template, values),
    )
    after = context()["growth_rows"]
    assert len(rendered) == 3  # today's row of each table
    assert before.split("\n")[1] == after.split("\n")[1]
