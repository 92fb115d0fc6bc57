import json

import pytest

from collector.config import Config, Hide
from collector.numbers.breakdowns import list_names
from collector.numbers.dimensions import Rules
from tests.unit.numbers.builders import NO_RULES, folded, row, statistics_of, without_detail

HIDE = Hide(app=("v*",), image=("a*",))


def test_statistics_count_each_field_and_who_is_established():
    numbers = statistics_of(row("1", "a", "arm", count=2), row("2", "a", established=True))
    expected = {
        "instances": 3,
        "versions": {"1": 2, "2": 1},
        "images": {"a": 3},
        "architectures": {"arm": 2, "": 1},
        "others": {"versions": 0, "images": 0, "architectures": 0},
        "established": 1,
    }
    assert expected.items() <= numbers.items()


def test_null_and_the_empty_string_count_under_the_same_name():
    assert statistics_of(row(image=None), row(image=""))["images"] == {"": 2}


def test_an_instance_without_detail_counts_among_the_others():
    numbers = statistics_of(without_detail(3), row())
    assert numbers["instances"] == 4
    assert numbers["versions"] == {"1": 1}
    assert numbers["others"] == {"versions": 3, "images": 3, "architectures": 3}


def test_names_are_listed_by_frequency_and_then_alphabetically():
    assert list(list_names({"b": 1, "c": 2, "a": 1}, min_group=1)) == ["c", "a", "b"]


def test_only_the_200_most_frequent_names_are_listed():
    numbers = statistics_of(*(row(f"v{n:03}", count=n) for n in range(1, 211)))
    assert len(numbers["versions"]) == 200
    assert min(numbers["versions"].values()) == 11
    assert numbers["others"]["versions"] == sum(range(1, 11))


@pytest.mark.parametrize("character", ['"', "\\", "x"])
def test_the_longest_names_are_listed_only_as_far_as_they_fit(character):
    numbers = statistics_of(
        *(row(f"{n:03}{character * 125}", f"{n:03}{character * 252}") for n in range(300))
    )
    assert len(json.dumps(numbers)) < 150_000
    assert numbers["others"]["images"] == 300 - len(numbers["images"]) > 100


def test_a_group_below_the_minimum_is_not_listed():
    numbers = statistics_of(row("rare", count=2), row("usual", count=3), rules=Rules(min_group=3))
    assert numbers["versions"] == {"usual": 3}
    assert numbers["others"]["versions"] == 2


def test_versions_are_folded_into_releases_newest_first():
    rows = [row("v0.9.0", count=2), row("0.10.0"), row("0.9.0-alpine"), row("1.0.0rc1")]
    assert [*folded(*rows)["releases"].items()] == [("1.0.0rc1", 1), ("0.10.0", 1), ("0.9.0", 3)]


def test_versions_that_are_no_release_are_listed_apart():
    numbers = folded(row("unknown", count=2), row("edge"), row(""), row("1.0.0"))
    assert numbers["releases"] == {"1.0.0": 1}
    assert numbers["not_releases"] == {"unknown": 2, "": 1, "edge": 1}


def test_images_are_folded_into_repositories_and_architectures_into_families():
    rows = [row(image="ghcr.io/a/b", arch="x86_64-linux-musl"), row(image="a/b", arch="armv7l")]
    numbers = folded(*rows, row())
    assert numbers["repositories"] == {"a/b": 2, "": 1}
    assert numbers["families"] == {"32-bit ARM": 1, "64-bit x86": 1, "other": 1}


def test_at_least_adds_up_the_instances_on_a_release_and_newer_ones():
    rows = [row("3.0", count=2), row("2.0", count=93), row("1.0", count=5), row("edge", count=9)]
    numbers = folded(*rows)
    assert numbers["at_least"] == {"3.0.0": 2, "2.0.0": 95, "1.0.0": 100}
    assert numbers["on_releases"] == 100
    assert numbers["95_percent_run_at_least"] == "2.0.0"


def test_no_release_is_named_that_fewer_than_95_percent_run():
    rows = [row("2.0", count=94), row("1.0", count=6)]
    assert folded(*rows)["95_percent_run_at_least"] == "1.0.0"
    numbers = folded(row("edge"))
    assert (numbers["at_least"], numbers["95_percent_run_at_least"]) == ({}, None)


def test_groups_below_the_minimum_are_listed_folded_if_they_reach_it_together():
    rows = [row("v1.0"), row("1.0", count=2)]
    assert folded(*rows, rules=Rules(min_group=3))["releases"] == {"1.0.0": 3}


@pytest.mark.parametrize("rules", [NO_RULES, Rules(3), Rules(2, Config(1, hide=HIDE))])
def test_each_breakdown_and_its_others_add_up_to_all_instances(rules):
    rows = [
        row(app, image, arch, count=count)
        for count, app in enumerate(["v1.0", "1.0", "2.0rc1", "edge", "", "main"], 1)
        for image in (None, "a/b", "x.io/a/b")
        for arch in ("arm", None)
    ]
    numbers = statistics_of(*rows, without_detail(5), rules=rules)
    for names in (numbers, numbers["folded"]):
        for breakdown, others in names["others"].items():
            apart = sum(names["not_releases"].values()) if breakdown == "releases" else 0
            assert sum(names[breakdown].values()) + apart + others == numbers["instances"]
