"""Every page in a browser: nothing is wrong with it, whatever the numbers are."""

from urllib.parse import urlencode

import pytest
from playwright.sync_api import Error

from tests.browser.conftest import STATES
from tests.browser.filled import HOSTILE

TOO_MANY = "/dashboard?" + "app=1&" * 21
EVERYTHING_ODD = "/dashboard?" + urlencode(
    [*(("app", app) for app, _, _ in HOSTILE), *(("image", image or "") for _, image, _ in HOSTILE)]
)
PAGES = [
    *((state, "/dashboard", 200) for state in STATES if state != "failing"),
    ("one version", "/dashboard?family=64-bit+ARM&image=", 200),
    ("one version", "/dashboard?app=nothing", 200),
    ("hostile", EVERYTHING_ODD, 200),
    ("none", "/", 200),  # leads to the docs
    ("none", "/docs/clients", 200),
    ("none", "/docs/api", 200),
    ("none", "/nothing", 404),
    ("none", TOO_MANY, 400),
    ("failing", "/dashboard", 500),
]
PHONE, DESK = 360, 1280  # pixels
WIDTHS = (320, PHONE, DESK // 2, DESK)  # 320: 400 %; the half: 200 %
PAPER = 718  # A4 between the margins of a browser
LOOKS = ((PHONE, "light"), (DESK, "dark"))  # no colour depends on the width


@pytest.fixture(params=PAGES, ids=lambda page: f"{page[0]} {page[1][:30]}")
def page(request):
    """The state of a server, a path, and the status of the answer."""
    return request.param


def test_it_fits_a_phone_a_screen_and_paper_folded_and_unfolded(visit, page):
    with visit(*page) as visitor:
        for _ in range(2):
            for width in WIDTHS:
                visitor.look(width)
            visitor.look(PAPER, media="print").page.emulate_media(media="screen")
            visitor.unfold()
        assert visitor.complaints == []


def test_axe_finds_nothing_on_a_light_phone_and_a_dark_screen(visit, page):
    with visit(*page) as visitor:
        visitor.unfold()
        for width, scheme in LOOKS:
            visitor.look(width, color_scheme=scheme).examine()
        assert visitor.complaints == []


def test_it_is_the_same_without_javascript(visit, page):
    read = []
    for javascript in (True, False):
        with visit(*page, java_script_enabled=javascript) as visitor:
            for width, scheme in LOOKS:
                visitor.look(width, color_scheme=scheme)
            assert visitor.complaints == []
            read.append(visitor.page.locator("body").aria_snapshot())
    assert read[0] == read[1]


def test_paper_is_white_also_where_the_screen_is_dark(visit):
    with visit("none", color_scheme="dark") as visitor:
        visitor.page.emulate_media(media="print")
        paper = visitor.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert paper == "rgb(255, 255, 255)"


@pytest.mark.parametrize("path", ["/badge.svg", "/stats", "/stats/history", "/metrics"])
def test_what_the_pages_lead_to_opens_too(visit, path):
    with visit("300", path) as visitor:
        assert visitor.complaints == []


def test_what_is_hostile_is_read_as_it_was_sent(visit):
    with visit("hostile") as visitor:
        for text, image, _ in HOSTILE[:3]:
            for section, name in (("#releases", text), ("#images", image)):
                links = visitor.page.locator(section).get_by_role("link", name=name, exact=True)
                assert links.count() == 1


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("document.body.style.width = '999px'", "too wide"),
        ("document.body.append(document.createElement('img'))", "image-alt"),
        ("document.body.style.color = 'silver'", "color-contrast"),
        ("new Image().src = 'http://other.example/'", "Content Security Policy"),
        ("document.body.setAttribute('onclick', '1')", "Content Security Policy"),
        ("setTimeout(() => { throw 1 })", "error"),
        ("console.log('anything')", "anything"),
    ],
)
def test_what_is_wrong_is_noticed(visit, wrong, complaint):
    with visit("none", "/nothing", 404) as visitor:
        visitor.page.evaluate(f"() => {{ {wrong} }}")
        assert complaint in str(visitor.look(PHONE).examine().complaints)


def test_a_third_party_is_noticed(visit):
    with visit("none") as visitor:
        with pytest.raises(Error, match="NAME_NOT_RESOLVED"):
            visitor.page.goto("http://other.example/")
        assert "a third party: http://other.example/" in visitor.complaints
