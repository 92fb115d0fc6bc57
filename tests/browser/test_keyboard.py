"""Everything that the pages can do, with the keyboard alone; with JavaScript and without."""

import pytest

from tests.browser.filled import HOSTILE


@pytest.fixture(params=[True, False], ids=["JavaScript", "no JavaScript"])
def visitor(request, visit):
    with visit("300", java_script_enabled=request.param) as visitor:
        yield visitor
        assert visitor.complaints == []


def test_the_first_stop_skips_to_the_content(visitor):
    visitor.page.keyboard.press("Tab")
    assert visitor.focused == {"name": "Skip to the content", "visible": True}
    visitor.page.keyboard.press("Enter")
    visitor.page.keyboard.press("Tab")
    assert visitor.where == "/dashboard#content"
    assert visitor.focused["name"] == "Only those whose"


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("path", ["/dashboard", "/docs", "/docs/clients", "/docs/api"])
def test_every_stop_is_seen(visit, width, path):
    with visit("300", path) as visitor:
        stops = list(visitor.look(width).unfold().tab_stops())
        assert len(stops) >= visitor.page.get_by_role("link").count()
        assert [stop for stop in stops if not stop["visible"]] == []


def test_the_navigation_leads_to_the_other_pages(visitor):
    visitor.tab_to("API").enter()
    assert visitor.where == "/docs/api"


def test_names_are_filters_that_add_up(visitor):
    visitor.tab_to("64-bit x86").enter()
    visitor.tab_to("0.89.1").enter()
    assert visitor.where == "/dashboard?family=64-bit+x86&release=0.89.1"


def test_a_chosen_name_is_one_no_more(visitor):
    visitor.tab_to("64-bit x86").enter()
    visitor.tab_to("64-bit x86").enter()
    assert visitor.where == "/dashboard?"


def test_the_form_adds_a_filter(visitor):
    visitor.tab_to("64-bit x86").enter()
    visitor.tab_to("Only those whose").page.keyboard.type("arch")
    visitor.tab_to("is").page.keyboard.type("x86_64-linux*")
    visitor.enter()
    assert visitor.where == "/dashboard?family=64-bit+x86&arch=x86_64-linux%2A"


def test_a_filter_is_removed(visitor):
    visitor.tab_to("64-bit x86").enter()
    visitor.tab_to("0.89.1").enter()
    visitor.tab_to("Remove the filter processor 64-bit x86").enter()
    assert visitor.where == "/dashboard?release=0.89.1"
    visitor.tab_to("show all").enter()
    assert visitor.where == "/dashboard?"


def test_the_table_of_a_chart_opens(visitor):
    table = visitor.page.locator("#growth table")
    assert not table.is_visible()
    visitor.tab_to("As a table").page.keyboard.press("Enter")
    assert table.is_visible()


@pytest.mark.parametrize("odd", [app for app, _, _ in HOSTILE], ids=[0, 1, 2, 3, 4])
def test_what_is_hostile_is_a_filter_too(visit, odd):
    with visit("hostile") as visitor:
        visitor.tab_to(odd or "not given").enter()
        assert visitor.page.locator(".filter b").inner_text() == (odd or "not given")
        assert visitor.page.locator(".first dd").first.inner_text() == "1"
