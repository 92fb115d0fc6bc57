from urllib.parse import urlencode

import pytest

from collector.conf import MAX_FILTERS
from collector.numbers.dimensions import ALL, Rules
from collector.numbers.filters import max_length, parse
from collector.patterns import exact
from collector.refusal import Refusal
from tests.unit.numbers.builders import count, hiding, row, statistics_of, without_detail

SHARED = {"app": ["1"], "arch": ["arm"]}


@pytest.mark.parametrize(
    ("rows", "filters", "matched"),
    [
        ([row("1.0"), row("1.0.1")], {"app": ["1.0"]}, 1),
        ([row("1")], {"app": ["9"]}, 0),
        ([row("0.8.1"), row("0.89"), row("0.9")], {"app": ["0.8*"]}, 2),
        ([row("0.8.1"), row("0.9")], {"app": ["*"]}, 2),
        ([row("a*b"), row("aXb")], {"app": ["a*b"]}, 1),  # only a final star makes a prefix
        ([row("edge*"), row("edge-1")], {"app": [r"edge\*"]}, 1),
        ([row("edge\\-1"), row("edge*")], {"app": [r"edge\\*"]}, 1),
        ([row("1"), row("2.1"), row("3")], {"app": ["1", "2*"]}, 2),
        ([row("1", arch="arm"), row("1", arch="x86"), row("2", arch="arm")], SHARED, 1),
        ([row(image=None), row(image=""), row(image="a")], {"image": [""]}, 2),
        ([without_detail(3)], {"app": ["*"]}, 0),
        ([row(f"v{n:03}", count=n) for n in range(1, 211)], {"app": ["v003"]}, 3),  # not listed
    ],
)
def test_a_filter_matches_whole_names_prefixes_alternatives_and_empty_values(
    rows, filters, matched
):
    assert count(*rows, **filters) == matched


@pytest.mark.parametrize("name", ["", "*", "edge*", "a**", "a\\*", "a\\\\*", "\\*", "a\\", "a\\b*"])
def test_exact_selects_this_name_and_no_longer_one(name):
    rows = [row(name), row(f"{name}-1"), row(name.removesuffix("*") + "-2")]
    assert count(*rows, app=[exact(name)]) == 1


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (["x"] * 4, "more than 3 times"),
        (["x" * 131], "longer than 130 characters"),
        (["é"], "printable ASCII"),
        (["\n"], "printable ASCII"),
    ],
)
def test_a_filter_that_no_name_can_match_and_too_many_values_are_refused(values, problem):
    with pytest.raises(Refusal, match=problem) as caught:
        parse({"app": values})
    assert caught.value.field == "app"


def test_the_longest_query_that_is_allowed_fits_into_a_request_line():
    query = [
        (name, "%" * max_length(dimension))
        for name, dimension in ALL.items()
        for _ in range(MAX_FILTERS)
    ]
    assert len(f"GET /dashboard?{urlencode(query)} HTTP/1.1\r\n") < 8190


def test_folded_names_are_filters_too():
    rows = [row("v0.8.1", arch="armv7l"), row("0.8.2", arch="arm64"), row("0.9", arch="arm")]
    assert count(*rows, release=["0.8*"]) == 2
    assert count(*rows, release=["0.8*"], family=["32-bit ARM"]) == 1
    assert count(row(image="x.io/a/b"), row(image="a/c"), repository=["a/b"]) == 1
    assert count(row("edge"), row("1.0"), release=[""]) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"image": ["secret"]},
        {"image": ["s*"]},
        {"image": ["*"], "app": ["2"]},
        {"repository": ["secret"]},
        {"repository": ["*"], "app": ["2"]},
    ],
)
def test_a_filter_does_not_reveal_what_is_not_listed(query):
    rows = [row("1", "public", count=9), row("2", "secret", count=2)]
    assert count(*rows, rules=Rules(min_group=3), **query) == 0
    assert count(*rows, rules=hiding("image", "secret*"), **query) == 0


def test_neither_alternatives_nor_two_filters_reveal_a_group_below_the_minimum():
    rows = [row(image="public", count=9), row(image="secret", count=2)]
    assert count(*rows, rules=Rules(min_group=3), image=["public", "secret"]) == 9
    rows = [row("1", "public", count=9), row("2", "public", count=1), row("2", "other", count=5)]
    assert count(*rows, rules=Rules(min_group=3), app=["2"], image=["public"]) == 0


ESTABLISHED = {"established": ["true"]}


def test_established_selects_the_instances_that_reported_on_two_days():
    rows = [row("1", count=5), row("1", established=True, count=3), row("2", established=True)]
    assert count(*rows, without_detail(3), **ESTABLISHED) == 4
    assert count(without_detail(1)._replace(established=True), **ESTABLISHED) == 1
    assert count(*rows, **ESTABLISHED, app=["1"]) == 3
    numbers = statistics_of(*rows, **ESTABLISHED)
    assert numbers["versions"] == {"1": 3, "2": 1}
    assert numbers["established"] == numbers["instances"] == sum(numbers["last_reported"].values())


@pytest.mark.parametrize("values", [["false"], [""], ["1"], ["True"], ["true", "x"]])
def test_established_is_true_or_left_out(values):
    with pytest.raises(Refusal, match="must be true, or left out") as caught:
        parse({"established": values})
    assert caught.value.field == "established"


@pytest.mark.parametrize(
    ("listed", "query"), [({}, {"app": ["2"]}), ({"1": 5}, {"app": ["1", "2"]})]
)
def test_established_does_not_reveal_a_group_below_the_minimum(listed, query):
    rows = [row("1", established=True, count=5), row("2", established=True), row("2", count=9)]
    numbers = statistics_of(*rows, rules=Rules(min_group=3), **ESTABLISHED, **query)
    assert numbers["instances"] == sum(listed.values())
    assert numbers["versions"] == listed


def test_established_finds_no_name_that_is_not_listed_without_it():
    """Fewer instances are established than there are, so no group grows over the minimum."""
    rows = [row("1", established=True, count=2), row("2", established=True, count=3)]
    for names in (["1"], ["2"], ["1", "2"], ["*"]):
        assert count(*rows, rules=Rules(min_group=3), **ESTABLISHED, app=names) in (0, 3)
        assert count(*rows, rules=hiding("app", "*"), **ESTABLISHED, app=names) == 0
