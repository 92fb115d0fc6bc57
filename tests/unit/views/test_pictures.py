import re
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from xml.etree import ElementTree as ET

import pytest

from collector.numbers import archive
from collector.numbers.days import iso_date, to_day
from collector.views.exports import to_csv

SVG = "{http://www.w3.org/2000/svg}"
DAY = timedelta(days=1)
TODAY = "2026-03-10"
PICTURES = ["/charts/growth.svg", "/charts/adoption.svg"]


@pytest.fixture
def save(settings, tmp_path):
    """Return a function that saves past days; 1 stands for yesterday."""
    settings.HEADCOUNT_HISTORY_FOLDER = str(tmp_path)

    def write(days_ago, releases, established=1000):
        days = [iso_date(to_day(TODAY) - number) for number in days_ago]
        rows = (row for day in days for row in archive.rows(day, (1000, established, 0), releases))
        (tmp_path / f"{len([*tmp_path.iterdir()])}.csv").write_text(to_csv(rows))

    return write


def picture(client, path):
    response = client.get(path)
    assert response["Content-Type"] == "image/svg+xml"
    return ET.fromstring(response.content)


def description(client, path="/charts/adoption.svg"):
    return picture(client, path).find(f"{SVG}desc").text


@pytest.mark.parametrize("path", PICTURES)
def test_a_picture_has_a_title_and_a_description_from_its_first_day_on(clock, client, path):
    root = picture(client, path)
    assert root.get("role") == "img"
    labels = {each.get("id"): each.text for each in root if each.get("id")}
    assert [*labels] == root.get("aria-labelledby").split() == ["title", "description"]
    assert "of this application by day" in labels["title"]
    assert labels["description"].lower().count("on 2026-03-10") == 1


@pytest.mark.parametrize("path", PICTURES)
def test_a_title_that_is_too_long_for_the_picture_is_cut_where_it_is_drawn(client, settings, path):
    settings.HEADCOUNT_PROJECT_NAME = "x" * 200
    root = picture(client, path)
    assert "x" * 200 in root.find(f"{SVG}title").text
    drawn = root.find(f"{SVG}text").text
    assert (len(drawn), drawn[-1]) == (90, "…")


@pytest.mark.parametrize("path", PICTURES)
def test_the_policy_of_a_picture_allows_its_own_style_and_nothing_else(client, path):
    response = client.get(path)
    (style,) = re.findall("<style>(.*)</style>", response.content.decode())
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert response["Content-Security-Policy"] == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert not re.search("url|import|<script|href", response.content.decode())


@pytest.mark.parametrize("path", PICTURES)
def test_a_picture_has_the_colors_of_the_page_in_light_and_dark(client, path):
    text = client.get(path).content.decode()
    light, dark = text.split("@media(prefers-color-scheme:dark)")
    assert "--main:#2457c5;" in light
    assert "--main:#7ea6ff;" in dark
    used = {*re.findall(r"var\((--[\w-]+)\)", text)}
    assert all(f"{each}:" in light and f"{each}:" in dark for each in used)


def test_a_picture_is_sent_once(client):
    etag = client.get("/charts/growth.svg")["ETag"]
    response = client.get("/charts/growth.svg", headers={"If-None-Match": etag})
    assert response.status_code == 304


@pytest.mark.parametrize(
    ("period", "first"), [("90-days", "2025-12-10"), ("year", "2025-03-10"), ("all", "2024-10-26")]
)
def test_the_growth_is_over_a_period(clock, client, save, period, first):
    save(range(1, 501), {}, established=800)
    path = f"/charts/growth.svg?period={period}"
    assert description(client, path) == f"1,000 on {first}; 1,000 on 2026-03-09"
    root = picture(client, f"{path}&established=true")
    assert root.find(f"{SVG}title").text == "Established instances of this application by day"
    assert root.find(f"{SVG}desc").text == f"800 on {first}; 800 on 2026-03-09"


def test_a_gap_stays_a_gap(clock, client, save):
    save([1, 2, 3, 50, 51, 300], {})
    text = client.get("/charts/growth.svg?period=all").content.decode()
    (line,) = re.findall('<g class="line">(.*?)</g>', text)
    assert line.count("<path") == 3


def test_a_release_of_ten_established_instances_is_named(clock, client, report):
    known = [report(app="1.0.0") for _ in range(10)]
    rude = [report(app="6.6.6") for _ in range(9)]
    clock.shift(DAY)
    for id in known:
        report(id, app="1.0.0")
    for id in rude:
        report(id, app="6.6.6")
    for _ in range(50):
        report(app="9.9.9")  # a flood of one day
    clock.shift(DAY)
    text = client.get("/charts/adoption.svg").content.decode()
    assert "6.6.6" not in text
    assert "9.9.9" not in text
    assert description(client) == "On 2026-03-12: all others 86%, 1.0.0 14%."


def test_a_release_of_the_past_is_named_if_it_outlasts_the_reports_of_one_day(clock, client, save):
    save(range(100, 110), {"1.0.0": 10, "2.0.0": 9})
    save(range(200, 208), {"3.0.0": 900})
    save([150, 170], {"9.9.9": 509}, established=500)  # two floods of one day
    assert description(client).endswith("all others 99%, 1.0.0 1%.")


def test_the_names_of_layers_are_in_the_picture_and_long_ones_are_cut(clock, client, save):
    long = ".".join(["1"] * 30)
    save(range(1, 20), {"1.0.0": 500, long: 500})
    texts = [each.text for each in picture(client, "/charts/adoption.svg").iter(f"{SVG}text")]
    assert texts[-3:] == ["C all others", f"B {long[:19]}…", "A 1.0.0"]


def test_days_older_than_a_year_have_no_adoption_and_do_not_fail(clock, client, save):
    save(range(400, 420), {"1.0.0": 500})
    assert description(client) == "On 2026-03-10: all others 0%."
    assert client.get("/dashboard?period=all").status_code == 200
