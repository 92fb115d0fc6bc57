"""Tests everything that the pages can do with the keyboard alone, with and without JavaScript."""

import pytest

from tests.browser.filled import HOSTILE


@pytest.fixture(params=[True, False], ids=["JavaScript", "no JavaScript"])
def visitor(request, visit):
    with visit("300", java_script_enabled=request.param) as visitor:
        yield visitor
        assert visitor.problems == []


def test_the_first_tab_stop_skips_to_the_content(visitor):
    visitor.page.keyboard.press("Tab")
    assert visitor.focused == {"name": "Skip to the content", "visible": True}
    visitor.page.keyboard.press("Enter")
    visitor.page.keyboard.press("Tab")
    assert visitor.location == "/dashboard#content"
    assert visitor.focused["name"] == "Show only instances whose"


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", ["/dashboard", "/docs", "/docs/clients"])
def test_the_focus_is_visible_at_every_tab_stop(visit, width, path):
    with visit("300", path) as visitor:
        stops = list(visitor.resize(width).open_details().tab_stops())
        assert len(stops) >= visitor.page.get_by_role("link").count()
        assert [stop for stop in stops if not stop["visible"]] == []


def test_the_navigation_leads_to_the_other_pages(visitor):
    visitor.tab_to("Clients").press_enter()
    assert visitor.location == "/docs/clients"


def test_links_add_filters_and_remove_one_or_all(visitor):
    visitor.tab_to("64-bit x86").press_enter()
    visitor.tab_to("0.89.1").press_enter()
    assert visitor.location == "/dashboard?family=64-bit+x86&release=0.89.1"
    visitor.tab_to("64-bit x86").press_enter()
    assert visitor.location == "/dashboard?release=0.89.1"
    visitor.tab_to("64-bit x86").press_enter()
    visitor.tab_to("Remove the filter release 0.89.1").press_enter()
    assert visitor.location == "/dashboard?family=64-bit+x86"
    visitor.tab_to("show all").press_enter()
    assert visitor.location == "/dashboard?"


def test_the_form_adds_a_filter_to_the_filter_in_force(visitor):
    visitor.tab_to("64-bit x86").press_enter()
    visitor.tab_to("Show only instances whose").type("arch")
    visitor.tab_to("is").type("x86_64-linux*")
    visitor.press_enter()
    assert visitor.location == "/dashboard?family=64-bit+x86&arch=x86_64-linux%2A"


def test_the_table_of_a_chart_opens(visitor):
    table = visitor.page.locator("#growth table")
    assert not table.is_visible()
    visitor.tab_to("The latest 90 days as a table").page.keyboard.press("Enter")
    assert table.is_visible()


@pytest.mark.parametrize(
    ("section", "name"),
    [
        ("#releases", "not given"),
        *(("#releases", one["app"]) for one in HOSTILE if one["app"]),
        *(("#images", one["image"]) for one in HOSTILE if one["image"]),
    ],
)
def test_a_hostile_name_is_shown_as_it_was_sent_and_is_a_link_that_filters(visit, section, name):
    with visit("hostile") as visitor:
        visitor.page.locator(section).get_by_role("link", name=name, exact=True).focus()
        visitor.press_enter()
        assert visitor.page.locator(".filter b").inner_text() == name
        assert visitor.page.locator(".first dd").first.inner_text() == "1"
