"""Tests every page in a browser, with few, many and hostile numbers to show."""

import re
from itertools import combinations
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Error

from collector.conf import MAX_FILTERS
from tests.browser.conftest import SERVERS
from tests.browser.filled import HOSTILE

TOO_MANY = "/dashboard?" + "app=1&" * (MAX_FILTERS + 1)
# Those with the widest names.
ALL_HOSTILE = "/dashboard?" + urlencode(
    [(field, one[field]) for field in ("app", "image") for one in HOSTILE[1 : MAX_FILTERS + 1]]
)
PAGES = [
    *((name, "/dashboard", 200) for name in SERVERS if name != "failing"),
    ("one version", "/dashboard?family=64-bit+ARM&image=", 200),
    ("one version", "/dashboard?app=nothing", 200),
    ("hostile", ALL_HOSTILE, 200),
    ("none", "/", 200),  # redirects to the docs
    ("300", "/docs", 200),
    ("none", "/docs/clients", 200),
    ("none", "/nothing", 404),
    ("none", TOO_MANY, 400),
    ("failing", "/dashboard", 500),
]
PHONE, DESK = 360, 1280  # pixels
WIDTHS = (320, PHONE, DESK // 2, DESK)  # as wide as at 400% and 200% zoom, too
PAPER = 718  # A4 without a browser's margins
SCREENS = ((PHONE, "light"), (DESK, "dark"))  # no color depends on the width


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page[0]} {page[1][:30]}")
def test_a_page_is_right_on_all_screens_and_on_paper_and_needs_no_javascript(visit, page):
    with visit(*page) as visitor:
        content = visible_text(visitor)
        assert_it_fits(visitor)
        assert_it_fits(visitor.open_details())
        for width, scheme in SCREENS:
            visitor.resize(width, color_scheme=scheme).run_axe()
        assert visitor.problems == []
    with visit(*page, java_script_enabled=False) as visitor:
        assert visible_text(visitor) == content
        assert visitor.problems == []


def assert_it_fits(visitor):
    for width in WIDTHS:
        visitor.resize(width)
    visitor.resize(PAPER, media="print").page.emulate_media(media="screen")
    assert visitor.problems == []


def visible_text(visitor):
    """Return what a screen reader finds, without the time at which the page was loaded."""
    content = visitor.page.locator("body").aria_snapshot()
    return re.sub(r"\d\d:\d\d UTC", "00:00 UTC", content)


def test_a_printed_page_is_white_even_if_the_screen_is_dark(visit):
    with visit("none", color_scheme="dark") as visitor:
        visitor.page.emulate_media(media="print")
        color = visitor.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert color == "rgb(255, 255, 255)"


@pytest.mark.parametrize("path", ["/badge.svg", "/stats", "/stats/history", "/metrics"])
def test_a_surface_that_the_dashboard_links_to_opens_without_problems(visit, path):
    with visit("300", path) as visitor:
        assert visitor.problems == []


def test_the_labels_of_a_chart_do_not_overlap_on_a_phone(visit):
    with visit("300") as visitor:
        labels = visitor.resize(PHONE).page.locator("#growth .axis text").all()
        for one, other in combinations([label.bounding_box() for label in labels], 2):
            assert any(
                one[start] + one[size] <= other[start] or other[start] + other[size] <= one[start]
                for start, size in (("x", "width"), ("y", "height"))
            )


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("document.body.style.width = '999px'", "too wide"),
        ("document.body.style.color = 'silver'", "color-contrast"),
        ("new Image().src = 'http://other.example/'", "Content Security Policy"),
        ("setTimeout(() => { throw 1 })", "error"),
        ("console.log('anything')", "anything"),
    ],
)
def test_a_visitor_notes_each_kind_of_problem(visit, script, problem):
    with visit("none", "/nothing", 404) as visitor:
        visitor.page.evaluate(f"() => {{ {script} }}")
        assert problem in str(visitor.resize(PHONE).run_axe().problems)


def test_a_visitor_notes_a_request_to_a_third_party(visit):
    with visit("none") as visitor:
        with pytest.raises(Error, match="NAME_NOT_RESOLVED"):
            visitor.page.goto("http://other.example/")
        assert "a third party: http://other.example/" in visitor.problems
