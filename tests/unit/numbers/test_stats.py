import json

import msgspec
import pytest

from collector.cache import Row, Totals
from collector.numbers import stats
from collector.numbers.dimensions import RAW, Rules
from collector.numbers.filters import parse, select
from collector.numbers.stats import last_reported, listing
from collector.reports.parsing import Refusal

DAY = 86400
NO_RULES = Rules()
APP = RAW[0]


def row(app="1", image=None, arch=None, *, renewed=False, size=1):
    return Row({"app": app, "image": image, "arch": arch}, 8 * DAY, renewed, size)


def summary(totals, rules):
    return msgspec.to_builtins(stats.summary(totals, rules))


def filtered(rows, rules=NO_RULES, **query):
    sizes = [(each.value, each.size) for each in rows]
    return sum(size for _, size in select(sizes, parse(query), rules))


def test_it_works():
    rows = [row("1", "a", "arm", size=2), row("2", "a", renewed=True)]
    numbers = summary(Totals.of(rows), NO_RULES)
    del numbers["folded"]
    assert numbers == {
        "instances": 3,
        "versions": {"1": 2, "2": 1},
        "images": {"a": 3},
        "architectures": {"arm": 2, "": 1},
        "others": {"versions": 0, "images": 0, "architectures": 0},
        "established": 1,
    }


def test_null_and_the_empty_string_count_as_one():
    assert summary(Totals.of([row(image=None), row(image="")]), NO_RULES)["images"] == {"": 2}


def test_without_detail_an_installation_counts_and_has_no_name():
    numbers = summary(Totals.of([Row(None, 8 * DAY, False, 3), row()]), NO_RULES)
    assert numbers["instances"] == 4
    assert numbers["versions"] == {"1": 1}
    assert numbers["others"] == {"versions": 3, "images": 3, "architectures": 3}


def test_the_most_frequent_come_first_and_equals_in_order_of_name():
    assert list(listing(APP, {"b": 1, "c": 2, "a": 1}, NO_RULES)) == ["c", "a", "b"]


def test_the_200_most_frequent_are_listed():
    rows = [row(f"v{n:03}", size=n) for n in range(1, 211)]
    numbers = summary(Totals.of(rows), NO_RULES)
    assert len(numbers["versions"]) == 200
    assert min(numbers["versions"].values()) == 11
    assert numbers["others"]["versions"] == sum(range(1, 11))


def test_a_value_beyond_the_listed_is_found_by_its_filter():
    rows = [row(f"v{n:03}", size=n) for n in range(1, 211)]
    assert filtered(rows, app=["v003"]) == 3


def test_a_small_group_is_not_listed():
    numbers = summary(Totals.of([row("rare", size=2), row("usual", size=3)]), Rules(min_group=3))
    assert numbers["versions"] == {"usual": 3}
    assert numbers["others"]["versions"] == 2


def test_a_hidden_value_is_not_listed():
    rules = Rules(hide={"image": "casino"})
    numbers = summary(Totals.of([row(image="ghcr.io/casino/x"), row(image="b")]), rules)
    assert numbers["images"] == {"b": 1}
    assert numbers["others"]["images"] == 1
    assert numbers["instances"] == 2


def folded(rows, rules=NO_RULES):
    return summary(Totals.of(rows), rules)["folded"]


def test_versions_are_folded_by_release_the_newest_first():
    rows = [row("v0.9.0", size=2), row("0.10.0"), row("0.9.0-alpine"), row("1.0.0rc1")]
    assert [*folded(rows)["releases"].items()] == [("1.0.0rc1", 1), ("0.10.0", 1), ("0.9.0", 3)]


def test_what_is_no_release_stands_apart():
    numbers = folded([row("unknown", size=2), row("edge"), row(""), row("1.0.0")])
    assert numbers["releases"] == {"1.0.0": 1}
    assert numbers["not_releases"] == {"unknown": 2, "": 1, "edge": 1}


def test_images_are_folded_by_repository():
    rows = [row(image="ghcr.io/a/b"), row(image="a/b"), row(image=None)]
    assert folded(rows)["repositories"] == {"a/b": 2, "": 1}


def test_architectures_are_folded_by_family():
    rows = [row(arch="x86_64-linux-musl"), row(arch="armv7l-linux"), row(arch=None)]
    assert folded(rows)["families"] == {"32-bit ARM": 1, "64-bit x86": 1, "other": 1}


def test_what_runs_at_least_a_release_is_told():
    rows = [row("3.0", size=2), row("2.0", size=93), row("1.0", size=5), row("edge", size=9)]
    numbers = folded(rows)
    assert numbers["at_least"] == {"3.0.0": 2, "2.0.0": 95, "1.0.0": 100}
    assert numbers["on_releases"] == 100
    assert numbers["95_percent_run_at_least"] == "2.0.0"


def test_95_percent_are_no_fewer():
    rows = [row("2.0", size=94), row("1.0", size=6)]
    assert folded(rows)["95_percent_run_at_least"] == "1.0.0"


def test_without_a_release_nothing_is_at_least():
    numbers = folded([row("edge")])
    assert (numbers["at_least"], numbers["95_percent_run_at_least"]) == ({}, None)


def test_a_small_group_may_show_in_a_larger_one_that_it_is_part_of():
    rows = [row("v1.0"), row("1.0", size=2)]
    assert folded(rows, Rules(min_group=3))["releases"] == {"1.0.0": 3}


def test_what_is_hidden_is_hidden_folded():
    rows = [row(image="secret.example/a/b", size=9), row(image="other.example/secret/b"), row()]
    numbers = folded(rows, Rules(hide={"image": "secret"}))
    assert numbers["repositories"] == {"": 1}
    assert numbers["others"]["repositories"] == 10


@pytest.mark.parametrize("rules", [NO_RULES, Rules(3), Rules(2, {"app": "^v", "image": "a"})])
def test_every_breakdown_and_its_others_is_the_total(rules):
    rows = [
        row(app, image, arch, size=size)
        for size, app in enumerate(["v1.0", "1.0", "2.0rc1", "edge", "", "main"], 1)
        for image in (None, "a/b", "x.io/a/b")
        for arch in ("arm", None)
    ]
    numbers = summary(Totals.of([*rows, Row(None, 8 * DAY, False, 5)]), rules)
    for names in (numbers, numbers["folded"]):
        for breakdown, rest in names["others"].items():
            apart = sum(names["not_releases"].values()) if breakdown == "releases" else 0
            assert sum(names[breakdown].values()) + apart + rest == numbers["instances"]


@pytest.mark.parametrize("character", ['"', "\\", "x"])
def test_names_fill_no_more_than_their_room(character):
    rows = [row(f"{n:03}{character * 125}", f"{n:03}{character * 252}") for n in range(300)]
    numbers = summary(Totals.of(rows), NO_RULES)
    assert len(json.dumps(numbers)) < 150_000
    assert numbers["others"]["images"] == 300 - len(numbers["images"]) > 100


def test_a_filter_is_exact():
    assert filtered([row("1.0"), row("1.0.1")], app=["1.0"]) == 1


def test_a_final_star_is_a_prefix():
    assert filtered([row("0.8.1"), row("0.89"), row("0.9")], app=["0.8*"]) == 2
    assert filtered([row("0.8.1"), row("0.9")], app=["*"]) == 2


def test_a_star_elsewhere_is_itself():
    assert filtered([row("a*b"), row("aXb")], app=["a*b"]) == 1


def test_repeated_means_either():
    assert filtered([row("1"), row("2"), row("3")], app=["1", "3"]) == 2
    assert filtered([row("1"), row("2.1"), row("3")], app=["1", "2*"]) == 2


def test_different_fields_mean_both():
    rows = [row("1", arch="arm"), row("1", arch="x86"), row("2", arch="arm")]
    assert filtered(rows, app=["1"], arch=["arm"]) == 1


def test_an_empty_filter_selects_null_and_empty():
    rows = [row(image=None), row(image=""), row(image="a")]
    assert filtered(rows, image=[""]) == 2


def test_an_unknown_value_answers_0():
    assert filtered([row("1")], app=["9"]) == 0


def test_without_detail_no_filter_matches():
    assert filtered([Row(None, 8 * DAY, False, 3)], app=["*"]) == 0


def test_too_many_values_of_a_filter_are_refused():
    with pytest.raises(Refusal) as caught:
        parse({"app": ["x"] * 21})
    assert caught.value.field == "app"
    assert "20" in caught.value.problem


def test_folded_names_are_filters_too():
    rows = [row("v0.8.1", arch="armv7l"), row("0.8.2", arch="arm64"), row("0.9", arch="arm")]
    assert filtered(rows, release=["0.8*"]) == 2
    assert filtered(rows, release=["0.8*"], family=["32-bit ARM"]) == 1
    assert filtered([row(image="x.io/a/b"), row(image="a/c")], repository=["a/b"]) == 1
    assert filtered([row("edge"), row("1.0")], release=[""]) == 1


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
def test_a_filter_does_not_tell_what_is_not_listed(query):
    rows = [row("1", "public", size=9), row("2", "secret", size=2)]
    assert filtered(rows, Rules(min_group=3), **query) == 0
    assert filtered(rows, Rules(hide={"image": "secret"}), **query) == 0


def test_a_union_does_not_tell_it_either():
    rows = [row(image="public", size=9), row(image="secret", size=2)]
    assert filtered(rows, Rules(min_group=3), image=["public", "secret"]) == 9


def test_nor_does_an_intersection():
    rows = [row("1", "public", size=9), row("2", "public", size=1), row("2", "other", size=5)]
    assert filtered(rows, Rules(min_group=3), app=["2"], image=["public"]) == 0


def test_the_days_of_the_window_are_all_there():
    rows = [row(size=3), Row(None, 9 * DAY, False, 2)]
    assert last_reported(Totals.of(rows), 1.5 * DAY, 7) == {
        "1969-12-26": 0,
        "1969-12-27": 0,
        "1969-12-28": 0,
        "1969-12-29": 0,
        "1969-12-30": 0,
        "1969-12-31": 0,
        "1970-01-01": 3,
        "1970-01-02": 2,
    }


def test_a_day_that_has_not_begun_counts_as_today():
    assert (
        last_reported(Totals.of([Row(None, 12 * DAY, False, 2)]), 0.5 * DAY, 7)["1970-01-01"] == 2
    )
