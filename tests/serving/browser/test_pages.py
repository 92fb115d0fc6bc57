"""Every page in a browser: nothing is wrong with it, whatever the numbers are."""

from urllib.parse import urlencode

import pytest

from tests.serving.browser.conftest import STATES
from tests.serving.browser.filled import HOSTILE
from tests.serving.browser.visitor import COLOUR_RULES

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
    ("none", "/docs/api", 200),
    ("none", "/nothing", 404),
    ("none", TOO_MANY, 400),
    ("failing", "/dashboard", 500),
]
PHONE, DESK = 360, 1280  # pixels
WIDTHS = (320, PHONE, DESK // 2, DESK)  # 320: 400 %; the half: 200 %
PAPER = 718  # A4 between the margins of a browser


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


def test_it_is_the_same_without_javascript(visit, page):
    with visit(*page) as visitor, visit(*page, java_script_enabled=False) as without:
        for width in (PHONE, DESK):
            for scheme in ("light", "dark"):
                without.look(width, color_scheme=scheme)
        read, read_without = (
            each.page.locator("body").aria_snapshot() for each in (visitor, without)
        )
        assert without.complaints == []
        assert read == read_without


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_axe_finds_nothing_in_light_and_dark(visit, width, page):
    with visit(*page) as visitor:
        visitor.look(width).unfold().examine("light").examine("dark", COLOUR_RULES)
        assert visitor.complaints == []


def test_paper_is_white_also_where_the_screen_is_dark(visit):
    with visit("none", color_scheme="dark") as visitor:
        visitor.page.emulate_media(media="print")
        paper = visitor.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert paper == "rgb(255, 255, 255)"


@pytest.mark.parametrize("path", ["/badge.svg", "/stats", "/stats/history", "/metrics"])
def test_what_the_pages_lead_to_opens_too(visit, path):
    with visit("300", path) as visitor:
        assert visitor.complaints == []


@pytest.mark.parametrize("odd", HOSTILE[0][:1] + HOSTILE[1][:1] + HOSTILE[2][:1])
def test_what_is_hostile_is_read_as_it_was_sent(visit, odd):
    with visit("hostile") as visitor:
        assert visitor.page.locator("#releases").get_by_role("link", name=odd, exact=True).count()


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("document.body.style.width = '999px'", "too wide"),
        ("document.body.append(document.createElement('img'))", "image-alt"),
        ("document.body.style.color = 'silver'", "color-contrast"),
        ("new Image().src = 'http://other.example/'", "Content Security Policy"),
        ("document.body.setAttribute('onclick', '1')", "Content Security Policy"),
        ("location = 'http://other.example/'", "a third party"),
        ("setTimeout(() => { throw 1 })", "error"),
        ("console.log('anything')", "anything"),
    ],
)
def test_what_is_wrong_is_noticed(visit, wrong, complaint):
    with visit("none", "/nothing", 404) as visitor:
        visitor.page.evaluate(f"() => {{ {wrong} }}")
        assert complaint in str(visitor.look(PHONE).examine().complaints)
