from datetime import timedelta

import pytest

from collector.numbers import history, stats, trends

DAY = timedelta(days=1)


def days():
    taken = stats.snapshot()
    return taken, [*history.days(taken), trends.so_far(stats.numbers(taken))]


def adoption():
    taken, known = days()
    return trends.adoption(taken, known, stats.numbers(taken).folded.releases)


def cells(rows):
    """The cells of a table's rows, as texts."""
    lines = rows.replace("</th>", "</td>").split("</tr>")[:-1]
    return [[cell.rpartition(">")[2] for cell in line.split("</td>")[:-1]] for line in lines]


def test_it_works(clock, report):
    report(app="1.0.0")
    clock.shift(DAY)
    report(app="2.0.0")
    growth, told = trends.growth(*days()), adoption()
    assert cells(growth["growth_rows"]) == [["2026-03-11", "2", "0"], ["2026-03-10", "1", "0"]]
    assert cells(growth["reports_rows"]) == [["2026-03-11", "1"], ["2026-03-10", "1"]]
    assert told["layers"] == [("A", "1.0.0"), ("B", "2.0.0"), ("C", "all others")]
    assert cells(told["adoption_rows"]) == [
        ["2026-03-11", "50 %", "50 %", "0 %", "2"],
        ["2026-03-10", "100 %", "0 %", "0 %", "1"],
    ]


def test_the_first_day_has_no_trend(clock, report):
    report()
    assert trends.growth(*days()) == {"days": 0}
    assert adoption() == {}


def test_a_day_on_which_nothing_ran_is_a_gap(clock, report):
    report()
    clock.shift(3 * DAY)
    axis, by_date = trends.spread(days()[1])
    assert [day in by_date for day in axis] == [True, False, False, True]


def test_the_largest_releases_have_layers_and_the_rest_one(clock, report):
    for number in range(10):
        for _ in range(number + 1):
            report(app=f"1.{number}.0")
    report(app="nightly")
    clock.shift(DAY)
    told = adoption()
    assert told["layers"] == [
        *zip("ABCDEF", [f"1.{n}.0" for n in range(4, 10)], strict=True),
        ("G", "all others"),
    ]
    assert cells(told["adoption_rows"])[0][-2:] == ["20 %", "56"]


def test_the_largest_today_have_layers_though_others_once_were_larger(clock, report):
    for number in range(8):
        report("00000000-0000-0000-0000-000000000000", app=f"1.{number}.0")
        clock.shift(DAY)
    report(app="2.0.0")
    assert ("F", "2.0.0") in adoption()["layers"]


def test_a_release_that_was_large_once_keeps_its_layer(clock, report):
    report(app="0.1.0")
    clock.shift(DAY)
    for number in range(1, 8):
        for _ in range(10):
            report(app=f"1.{number}.0")
    assert ("A", "0.1.0") in adoption()["layers"]


def test_days_that_are_over_are_made_once(clock, report):
    report()
    clock.shift(DAY)
    taken, known = days()
    first = trends.growth(taken, known)["growth_rows"]
    report()
    again, now = days()
    assert again.past is taken.past
    assert cells(trends.growth(again, now)["growth_rows"])[1:] == cells(first)[1:]


@pytest.mark.parametrize(
    ("part", "of", "told"),
    [
        (0, 0, "0 %"),
        (0, 9, "0 %"),
        (1, 1000, "<1 %"),
        (999, 1000, ">99 %"),
        (9, 9, "100 %"),
        (1, 3, "33 %"),
    ],
)
def test_a_percentage_never_hides_a_few(part, of, told):
    assert trends.percent(part, of) == told


def test_the_rules_hold_for_the_past_and_agree_with_the_releases(clock, report, settings):
    settings.HEADCOUNT_MIN_GROUP = 3
    settings.HEADCOUNT_HIDE = {"app": "^1[.]1[.]"}
    for app in ("v0.89.0", "0.89.0", "0.89.0-alpine"):  # each is rare, and together they are not
        report(app=app)
    for _ in range(4):
        report(app="0.90.0")
        report(app="v1.1.0")
    clock.shift(DAY)
    told = adoption()
    assert told["layers"] == [("A", "0.89.0"), ("B", "0.90.0"), ("C", "all others")]
    for row in cells(told["adoption_rows"]):
        assert row[1:] == ["27 %", "36 %", "36 %", "11"]
