from datetime import timedelta

import pytest

from collector.numbers import snapshot, trends

DAY = timedelta(days=1)


def series():
    """The days up to now, and the adoption of releases over them."""
    current = snapshot.current()
    days = trends.recent(current, 90)
    return days, trends.adoption(current.past, days)


def test_today_so_far_is_the_last_day_and_the_adoption_counts_each_release_by_day(clock, report):
    report(app="1.0.0")
    clock.shift(DAY)
    report(app="2.0.0")
    report(app="edge")
    days, adoption = series()
    assert [(day.date, day.instances, day.reported) for day in days] == [
        *(("2026-03-10", 1, 1), ("2026-03-11", 3, 2))
    ]
    assert adoption.releases == ("1.0.0", "2.0.0")
    assert adoption.parts == [(1, 0, 0), (1, 1, 1)]


def test_the_calendar_has_every_date_and_none_for_a_missing_day(clock, report):
    report()
    clock.shift(3 * DAY)
    by_day = trends.totals(snapshot.current(), 0)
    dates, instances = trends.calendar(by_day)
    assert [each.isoformat() for each in dates[::3]] == ["2026-03-10", "2026-03-13"]
    assert instances == [1, None, None, 1]


def test_the_largest_releases_have_a_part_and_the_others_share_one(clock, report):
    for number in range(10):
        for _ in range(number + 1):
            report(app=f"1.{number}.0")
    report(app="nightly")
    clock.shift(DAY)
    _, adoption = series()
    assert adoption.releases == tuple(f"1.{n}.0" for n in range(4, 10))
    assert adoption.parts[-1] == (5, 6, 7, 8, 9, 10, 11)


def test_a_release_that_is_large_today_has_a_part_though_others_once_were_larger(clock, report):
    for number in range(8):
        report("00000000-0000-0000-0000-000000000000", app=f"1.{number}.0")
        clock.shift(DAY)
    report(app="2.0.0")
    assert "2.0.0" in series()[1].releases


def test_a_release_that_was_large_once_keeps_its_part(clock, report):
    report(app="0.1.0")
    clock.shift(DAY)
    for number in range(1, 8):
        for _ in range(10):
            report(app=f"1.{number}.0")
    assert "0.1.0" in series()[1].releases


@pytest.mark.parametrize("reports", [0, 1])
def test_the_rules_apply_to_past_and_present_releases_alike(clock, report, settings, reports):
    settings.HEADCOUNT_MIN_GROUP = 3
    settings.HEADCOUNT_CONFIG_FILE = {"version": 1, "hide": {"app": ["1.1.*"]}}
    for app in ("v0.89.0", "0.89.0", "0.89.0-alpine"):  # each is rare, and together they are not
        report(app=app)
    for _ in range(4):
        report(app="0.90.0")
        report(app="v1.1.0")
    clock.shift(DAY)
    for _ in range(reports):
        report(app="0.89.0")
    _, adoption = series()
    assert adoption.releases == ("0.89.0", "0.90.0")
    assert adoption.parts == [(3, 4, 4), (3 + reports, 4, 4)]
