import re
from datetime import date, timedelta
from xml.etree import ElementTree as ET

import pytest

from collector.views import charts

DAYS = [date(2026, 3, 1) + timedelta(days=n) for n in range(10)]
VALUES = [*range(1, 8), None, 9, None]
DRAWN = {
    "line": charts.line("Growth", DAYS, VALUES),
    "columns": charts.columns("Reports", DAYS, VALUES),
    "stack": charts.stack("Adoption", DAYS, [[40] * 10, [30] * 10, [30] * 10]),
}


def elements(svg, name):
    return list(ET.fromstring(svg).iter(name))


@pytest.mark.parametrize("svg", DRAWN.values(), ids=DRAWN)
def test_a_chart_has_a_role_and_a_title_and_nothing_that_the_policy_forbids(svg):
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root[0].tag == "title"
    assert {each.tag for each in root.iter()} <= {
        *("svg", "title", "g", "line", "text", "path", "rect")
    }
    assert not re.search("style|script|href|url|on[a-z]+=|fill|stroke", svg)


def test_a_date_without_a_number_is_a_gap():
    assert len(elements(DRAWN["columns"], "rect")) == 8
    assert len(elements(DRAWN["line"], "path")) == 2


def test_the_axes_begin_at_zero_and_name_dates():
    texts = [each.text for each in elements(DRAWN["line"], "text")]
    assert {"0", "10", "1 Mar"} <= set(texts)


def test_the_layers_of_a_stack_have_classes_and_letters_from_the_bottom():
    root = ET.fromstring(DRAWN["stack"])
    names = [each.get("class") for each in root.iter() if "layer" in (each.get("class") or "")]
    assert names == ["layer-3", "layer-2", "layer-1"]
    marks = [each.text for each in root[-1][3:]]  # after all layers, so that none covers a letter
    assert marks == ["C", "B", "A"]


def test_a_thin_layer_of_a_stack_has_no_letter():
    svg = charts.stack("x", DAYS, [[97] * 10, [3] * 10])
    assert ">A<" in svg
    assert ">B<" not in svg


@pytest.mark.parametrize(("highest", "label"), [(3_000_000, "3M"), (1500, "1.5k"), (2, "2")])
def test_large_numbers_are_short_on_the_axis(highest, label):
    assert f">{label}<" in charts.line("x", DAYS, [highest] * 10)


@pytest.mark.parametrize("count", [1, 2, 90])
@pytest.mark.parametrize("value", [0, 1, 10**9])
def test_any_number_of_days_and_any_value_can_be_drawn(count, value):
    days = [DAYS[0] + timedelta(days=n) for n in range(count)]
    for draw in (charts.line, charts.columns):
        assert draw("x", days, [value] * count)
