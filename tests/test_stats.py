import pytest

from collector.cache import Row
from collector.reports import Refusal
from collector.stats import NO_FILTERS, Filters, Rules, last_reported, listing, select, summary

DAY = 86400
NO_RULES = Rules()


def row(app="1", image=None, arch=None, *, renewed=False, size=1):
    return Row({"app": app, "image": image, "arch": arch}, 8 * DAY, renewed, size)


def filtered(rows, rules=NO_RULES, **query):
    return sum(found.size for found in select(rows, Filters.parse(query), rules))


def test_it_works():
    rows = [row("1", "a", "arm", size=2), row("2", "a", renewed=True)]
    assert summary(rows, NO_RULES) == {
        "instances": 3,
        "versions": {"1": 2, "2": 1},
        "images": {"a": 3},
        "architectures": {"arm": 2, "": 1},
        "others": {"versions": 0, "images": 0, "architectures": 0},
        "established": 1,
    }


def test_null_and_the_empty_string_count_as_one():
    assert summary([row(image=None), row(image="")], NO_RULES)["images"] == {"": 2}


def test_without_detail_an_installation_counts_and_has_no_name():
    numbers = summary([Row(None, 8 * DAY, False, 3), row()], NO_RULES)
    assert numbers["instances"] == 4
    assert numbers["versions"] == {"1": 1}
    assert numbers["others"] == {"versions": 3, "images": 3, "architectures": 3}


def test_the_most_frequent_come_first_and_equals_in_order_of_name():
    assert list(listing("app", {"b": 1, "c": 2, "a": 1}, NO_RULES)) == ["c", "a", "b"]


def test_the_200_most_frequent_are_listed():
    rows = [row(f"v{n:03}", size=n) for n in range(1, 211)]
    numbers = summary(rows, NO_RULES)
    assert len(numbers["versions"]) == 200
    assert min(numbers["versions"].values()) == 11
    assert numbers["others"]["versions"] == sum(range(1, 11))


def test_a_value_beyond_the_listed_is_found_by_its_filter():
    rows = [row(f"v{n:03}", size=n) for n in range(1, 211)]
    assert filtered(rows, app=["v003"]) == 3


def test_a_small_group_is_not_listed():
    numbers = summary([row("rare", size=2), row("usual", size=3)], Rules(min_group=3))
    assert numbers["versions"] == {"usual": 3}
    assert numbers["others"]["versions"] == 2


def test_a_hidden_value_is_not_listed():
    rules = Rules(hide={"image": "casino"})
    numbers = summary([row(image="ghcr.io/casino/x"), row(image="b")], rules)
    assert numbers["images"] == {"b": 1}
    assert numbers["others"]["images"] == 1
    assert numbers["instances"] == 2


def test_no_filter_is_everything():
    rows = [row(), Row(None, 8 * DAY, False, 1)]
    assert select(rows, NO_FILTERS, NO_RULES) == rows


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
        Filters.parse({"app": ["x"] * 21})
    assert caught.value.field == "app"
    assert "20" in caught.value.problem


@pytest.mark.parametrize(
    "query",
    [
        {"image": ["secret"]},
        {"image": ["s*"]},
        {"image": ["*"], "app": ["2"]},
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
    assert last_reported(rows, 1.5 * DAY, 7) == {
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
    assert last_reported([Row(None, 12 * DAY, False, 2)], 0.5 * DAY, 7)["1970-01-01"] == 2
