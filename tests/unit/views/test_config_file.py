"""What the tables of the configuration file change: hidden names, releases and known names."""

import html
import re
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.cache import records
from collector.docs import rendering
from collector.views import openapi
from tests.conftest import VERSION
from tests.unit.numbers.window import QUESTIONS

DAY = timedelta(days=1)
ID = "fdb45536-cba8-4204-b352-71fc1062fd95"
IMAGES = ["ghcr.io/a/b", "docker.io/a/c"]
RELEASES = {
    "v0.91.2": {"date": "2026-05-01"},
    "0.91.0": {"date": "2026-04-01", "vulnerable": True},
    "0.92.0rc1": {"date": "2026-05-02"},
}


@pytest.fixture
def configure(settings):
    def set_to(**tables):
        settings.HEADCOUNT_CONFIG_FILE = {"version": 1, **tables}

    return set_to


@pytest.fixture
def receipt(post):
    """Report a version, and return the receipt."""

    def send(**version):
        return post({"id": ID, "version": VERSION | version}).json()

    return send


# Names that are hidden


def test_a_name_hides_what_folds_to_it_and_no_longer_name(configure, report, stats):
    configure(hide={"app": ["0.9.0", "rude*"], "image": ["a/b"]})
    for app in ("v0.9.0-alpine", "0.9.0.1", "rudeness"):
        report(app=app, image="x.io/a/b")
    numbers = stats()
    assert numbers["versions"] == {"0.9.0.1": 1}
    assert numbers["folded"]["releases"] == {"0.9.0.1": 1}
    assert numbers["images"] == numbers["folded"]["repositories"] == {}
    assert numbers["others"] == {"versions": 2, "images": 3, "architectures": 0}
    assert stats("?app=rudeness")["instances"] == 0
    configure(hide={"app": [""]})  # a missing value, and no other
    report(app="")
    assert [*stats()["versions"]] == ["0.9.0.1", "rudeness", "v0.9.0-alpine"]


@pytest.fixture
def pages(client, clock, tmp_path, settings):
    """End a whole day, save it as an older one, and return a function that fetches all pages."""
    clock.move_to("2026-03-10T00:00:00Z")
    records().clear()

    def fetch():
        paths = ("stats", "stats/history", "stats/history.csv", "stats/archive.csv", "dashboard")
        return [client.get(f"/{path}").content.decode() for path in paths]

    def end_day():
        clock.shift(DAY)
        client.get("/stats")
        content = client.get("/stats/archive.csv").content.decode()
        (tmp_path / "old.csv").write_text(content.replace("2026-03-10", "2026-03-01"))
        settings.HEADCOUNT_HISTORY_FOLDER = str(tmp_path)
        return fetch

    return end_day


@pytest.mark.parametrize(
    ("app", "hidden", "is_hidden"),
    [
        ("v666.6.6", "v666*", True),
        ("V666.6.6", "V666*", True),
        ("v666.6.6", "v666.6.6", True),
        ("v666.6.6", "v66.*", False),
        ("v666.6.6", "rude*", False),
    ],
)
def test_a_name_that_is_hidden_later_disappears_from_past_days(
    configure, report, pages, app, hidden, is_hidden
):
    report(app=app)
    fetch = pages()
    configure(hide={"app": [hidden]})
    assert all(is_hidden != ("666.6.6" in page) for page in fetch())


@pytest.mark.parametrize(("then", "now"), [(3, 1), (1, 3)])
def test_a_past_day_keeps_the_larger_of_its_own_minimum_and_today_s(
    configure, clock, report, client, then, now
):
    configure(min_group=then)
    for app in ("rare", "rare", "usual", "usual", "usual"):
        report(app=app)
    clock.shift(DAY)
    client.get("/stats")
    configure(min_group=now)
    (day,) = client.get("/stats/history").json()["days"]
    assert day["versions"] == {"usual": 3}
    assert day["others"]["versions"] == 2


# Releases


@pytest.mark.parametrize(
    ("app", "update"),
    [
        ("v0.91.0-alpine", {"release": "0.91.2", "security": True}),
        ("0.90.0", {"release": "0.91.2", "security": False}),
        ("0.91.2rc3", {"release": "0.91.2", "security": False}),
        ("0.91.2", None),
        ("0.92.0rc1", None),
        ("9.9.9", None),
        ("edge", None),
        ("", None),
    ],
)
def test_the_receipt_names_a_newer_release(configure, receipt, app, update):
    configure(releases=RELEASES)
    assert receipt(app=app)["update"] == update


def test_the_receipt_has_no_update_without_releases(configure, receipt):
    assert "update" not in receipt()
    configure(releases={})
    assert "update" not in receipt()
    configure(releases={"0.92.0rc1": {"date": "2026-05-02"}})
    assert receipt(app="0.1.0")["update"] is None


def test_latest_is_a_filter_wherever_filters_are(configure, report, stats, client):
    configure(releases=RELEASES)
    for app in ("v0.91.2", "0.91.2-1", "0.91.0", "9.9.9", "latest"):
        report(app=app)
    assert stats("?release=latest")["versions"] == {"0.91.2-1": 1, "v0.91.2": 1}
    assert stats("?release=latest&release=0.91.0")["instances"] == 3
    assert client.get("/badge.json?release=latest").json()["message"].startswith("2")
    assert "<dd>2</dd>" in client.get("/dashboard?release=latest").content.decode()
    for tables in ({}, {"releases": RELEASES, "min_group": 3}):
        configure(**tables)
        assert stats("?release=latest")["instances"] == 0
    configure(releases={"0.92.0rc1": {"date": "2026-05-02"}})
    assert client.get("/badge.json?release=latest").json()["message"] == "unknown"


def test_stats_have_dates_and_how_many_run_a_vulnerable_release(configure, report, stats):
    assert "published" not in stats()
    configure(releases=RELEASES)
    for app in ("v0.91.2", "0.91.0", "v0.91.0", "9.9.9"):
        report(app=app)
    assert stats()["published"] == {
        "latest": "0.91.2",
        "dates": {"0.92.0rc1": "2026-05-02", "0.91.2": "2026-05-01", "0.91.0": "2026-04-01"},
        "vulnerable": {"0.91.0": 2},
        "on_vulnerable": 2,
    }


@pytest.mark.parametrize(
    ("apps", "vulnerable", "on_vulnerable", "shown"),
    [
        ([], {}, 0, "0 of 4"),
        (["0.91.0"], {}, None, "Some of 5"),
        (["0.91.0", "0.90.0"] * 2, {}, 4, "4 of 8"),
        (["0.91.0"] * 3 + ["0.90.0"], {"0.91.0": 3}, None, "Some of 8"),
    ],
)
def test_instances_on_rare_vulnerable_releases_count_together(
    configure, report, stats, client, apps, vulnerable, on_vulnerable, shown
):
    releases = dict.fromkeys(("0.91.0", "0.90.0"), RELEASES["0.91.0"])
    configure(releases=releases, min_group=3)
    for app in [*apps, *["9.9.9"] * 4]:
        report(app=app)
    published = stats()["published"]
    assert (published["vulnerable"], published["on_vulnerable"]) == (vulnerable, on_vulnerable)
    page = client.get("/dashboard").content.decode()
    assert f"{shown} run a release that is marked vulnerable." in page


def test_the_dashboard_shows_dates_and_never_calls_latest_what_was_reported(
    configure, report, client
):
    configure(releases=RELEASES)
    for app in ("9.9.9", "0.91.2", "0.91.0"):
        report(app=app)
    page = client.get("/dashboard").content.decode()
    shown = re.sub(r"\s+", " ", re.sub("<.*?>", " ", page))
    assert "on the latest release 33% 0.91.2 (2026-05-01): 1 of 3 on a release" in shown
    assert "1 of 3 run a release that is marked vulnerable." in shown
    assert re.search("0.91.0 +2026-04-01, vulnerable ", shown)
    assert re.search("0.91.2 +2026-05-01 ", shown)
    configure(releases={"0.92.0rc1": {"date": "2026-05-02"}})
    assert "the table has no final release" in client.get("/dashboard").content.decode()


# Only known names


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ({"app": "0.91.2-alpine"}, {"app": "v0.91.2"}),
        ({"app": "9.9.9"}, {"app": "other"}),
        ({"app": ""}, {"app": "other"}),
        ({"image": "ghcr.io/a/b"}, {"image": "ghcr.io/a/b"}),
        ({"image": "registry.example/a/c"}, {"image": "docker.io/a/c"}),
        ({"image": "registry.example/secret"}, {"image": "other"}),
        ({"image": None}, {"image": None}),
        ({"arch": "amd64"}, {"arch": "64-bit x86"}),
        ({"arch": "armv6-rude"}, {"arch": "other"}),  # hidden
        ({"arch": "sparc"}, {"arch": "other"}),
        ({"arch": None}, {"arch": None}),
    ],
)
def test_only_the_spelling_of_the_file_is_stored(configure, receipt, sent, stored):
    hide = {"arch": ["armv6*"]}
    configure(releases=RELEASES, images=IMAGES, hide=hide, known_names_only=True)
    found = receipt(**sent)["stored"]
    assert {name: found[name] for name in sent} == stored


def test_the_longest_names_of_the_file_can_be_stored_and_read(configure, receipt, stats):
    release, image = "1.0-" + "a" * 124, "b" * 255
    configure(releases={release: RELEASES["0.91.0"]}, images=[image], known_names_only=True)
    receipt(app="1.0", image=image)
    assert [stats()["versions"], stats()["images"]] == [{release: 1}, {image: 1}]


def test_what_is_stored_folds_as_what_was_sent(configure, report, stats):
    sent = {"app": "0.91.2", "image": "a/b", "arch": "aarch64-linux"}
    report(**sent)
    before = stats()["folded"]
    configure(releases=RELEASES, images=IMAGES, known_names_only=True)
    report(**sent)
    after = stats()["folded"]
    for breakdown in ("releases", "repositories", "families"):
        assert [*after[breakdown]] == [*before[breakdown]]
        assert sum(after[breakdown].values()) == 2


def test_names_from_before_the_switch_that_the_file_lacks_are_hidden(
    configure, report, pages, stats, client
):
    unknown = {"app": "6.6.6-rude", "image": "registry.example/secret", "arch": "rude"}
    report(**unknown)
    report(app="0.91.2-rude", image="registry.example/a/b", arch="arm64-rude")
    fetch = pages()
    assert all("rude" in page for page in fetch()[:3])
    configure(releases=RELEASES, images=IMAGES, known_names_only=True)
    assert not re.findall(r"rude|6\.6\.6|registry\.example", "".join(fetch()))
    assert stats()["folded"]["releases"] == {"0.91.2": 1}
    assert stats()["folded"]["repositories"] == {"a/b": 1}
    assert [stats(f"?{field}={unknown[field]}")["instances"] for field in unknown] == [0, 0, 0]
    assert "6.6.6" not in client.get("/metrics").content.decode()
    days = client.get("/stats/history?from=2026-03-01").json()["days"]
    assert [day["releases"] for day in days] == [{"0.91.2": 1}] * 2


def test_a_counter_tells_of_names_that_are_missing_in_the_file(configure, receipt, client):
    def unknown():
        """Return how many names of each field were replaced since the start."""
        text = client.get("/metrics").content.decode()
        found = re.findall(
            r'^headcount_unknown_names_total{field="(\w+)"} (\S+)', text, re.MULTILINE
        )
        return Counter({field: float(count) for field, count in found})

    assert unknown() == {}
    configure(releases=RELEASES, images=IMAGES, known_names_only=True)
    before = unknown()
    receipt(app="9.9.9", image=None, arch="sparc")
    receipt(app="9.9.9", image="ghcr.io/a/b", arch="arm64")
    receipt(app="0.91.2", image="secret", arch="arm64")
    assert unknown() - before == {"app": 2, "image": 1, "arch": 1}


# Text


@given(st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" ")))
def test_a_text_stays_a_text_in_markdown(value):
    for place in ("> - It is .{}.", "| a |\n|---|\n| .{}. |"):
        shown = rendering._html(place.format(rendering.text(value)))
        assert f".{value}." in html.unescape(re.sub("<[^>]*>", "", shown))


HOSTILE = "_a_ [x](https://x.example) <b>&amp; `c` | **d** ![e](f) {: #g } \\* &#65; ~~h~~"


@pytest.mark.parametrize("path", ["/docs", "/docs/clients"])
def test_a_text_of_the_file_is_a_text_in_the_docs(configure, client, path):
    question = {"why": HOSTILE, "what": HOSTILE, "kind": "choice", "options": ["_a_", "b"]}
    configure(questions={"it": question})
    page = html.unescape(re.sub("<[^>]*>", "", client.get(path).content.decode()))
    assert HOSTILE in page
    assert "one of _a_, b, other" in page


def test_the_description_of_the_api_has_what_the_tables_add(configure):
    def members():
        schemas = openapi.document()["components"]["schemas"]
        return schemas, {*schemas["Receipt"]["properties"]}, {*schemas["Numbers"]["properties"]}

    schemas, receipt, numbers = members()
    assert not schemas.keys() & {"Update", "Published"}
    assert not {"update"} & receipt
    assert not {"published"} & numbers
    configure(releases=RELEASES, questions={"it": QUESTIONS["sso"] | {"what": "<b>"}})
    schemas, receipt, numbers = members()
    assert schemas.keys() >= {"Update", "Published"}
    assert "update" in schemas["Receipt"]["required"]
    assert "published" in schemas["Numbers"]["required"]
    description = schemas["Body"]["properties"]["answers"]["properties"]["it"]["description"]
    assert description == "&lt;b&gt;: true or false."
