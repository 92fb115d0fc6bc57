"""When a report counts: from the day it came to the end of the seventh day after, in UTC."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import settings

from collector.cache import records
from tests.unit.numbers.window import Window


def at(text):
    return datetime.fromisoformat(text)


@pytest.mark.parametrize("second", ["00:00:00", "12:00:00", "23:59:59"])
@pytest.mark.parametrize(
    ("day", "last_day"),
    [
        ("2026-03-10", "2026-03-17"),
        ("2026-01-31", "2026-02-07"),
        ("2024-02-28", "2024-03-06"),
        ("2024-02-29", "2024-03-07"),
        ("2026-12-27", "2027-01-03"),
    ],
)
def test_a_report_counts_to_the_end_of_the_seventh_day_after_its_own(
    clock, report, stats, day, last_day, second
):
    clock.move_to(at(f"{day}T{second}Z"))
    report()
    assert stats()["instances"] == 1
    clock.move_to(at(f"{last_day}T23:59:59Z"))
    assert stats()["instances"] == 1
    clock.shift(timedelta(seconds=1))
    assert stats()["instances"] == 0


def test_reports_before_and_after_midnight_belong_to_different_days(clock, report, stats):
    clock.move_to(at("2026-03-10T23:59:59Z"))
    report()
    clock.shift(timedelta(seconds=1))
    report()
    assert [*stats()["last_reported"].items()][-2:] == [("2026-03-10", 1), ("2026-03-11", 1)]
    clock.move_to(at("2026-03-18T00:00:00Z"))
    assert stats()["instances"] == 1


def test_the_receipt_says_when_the_report_is_forgotten(clock, post):
    sent = {"id": str(UUID(int=1)), "version": {"app": "1", "sha": ""}}
    assert post(sent).json()["forgotten_at"] == "2026-03-18T00:00:00Z"
    clock.move_to(at("2026-03-11T00:00:00Z"))
    assert post(sent).json()["forgotten_at"] == "2026-03-19T00:00:00Z"


def test_a_later_report_replaces_the_version_and_the_day(clock, report, stats):
    id = report(app="1")
    clock.shift(timedelta(days=1))
    report(id, app="2")
    numbers = stats()
    assert numbers["versions"] == {"2": 1}
    assert numbers["last_reported"]["2026-03-10"] == 0
    assert numbers["last_reported"]["2026-03-11"] == 1


def test_an_instance_is_established_once_it_reports_on_a_second_day(clock, report, stats):
    id = report()
    report(id, app="2")
    assert stats()["established"] == 0
    clock.shift(timedelta(days=1))
    report(id)
    report()
    assert stats()["established"] == 1


def test_an_erased_instance_that_reports_again_is_new(clock, report, post, stats):
    id = report()
    clock.shift(timedelta(days=1))
    report(id)
    assert post({"id": id}, "/forget").status_code == 204
    assert stats()["instances"] == 0
    report(id)
    assert (stats()["instances"], stats()["established"]) == (1, 0)


def test_an_expired_instance_that_reports_again_is_new(clock, report, stats):
    id = report()
    clock.shift(timedelta(days=8))
    report(id)
    assert (stats()["instances"], stats()["established"]) == (1, 0)


def test_stats_count_a_report_at_once(clock, report, stats):
    for count in range(1, 4):
        report()
        assert stats()["instances"] == count


def test_stats_fall_at_midnight_when_reports_expire(clock, report, stats):
    report()
    clock.shift(timedelta(days=3))
    report()
    before = stats()
    clock.move_to(at("2026-03-18T00:00:00Z"))
    after = stats()
    assert (before["instances"], after["instances"]) == (2, 1)
    assert "2026-03-10" not in after["last_reported"]


@pytest.mark.parametrize(
    ("since", "still_warming", "warm"),
    [
        ("2026-03-10T12:00:00Z", "2026-03-11T23:59:59Z", "2026-03-12T00:00:00Z"),
        ("2026-03-10T00:00:00Z", "2026-03-10T23:59:59Z", "2026-03-11T00:00:00Z"),
    ],
)
def test_stats_warm_up_until_a_whole_day_was_counted(clock, stats, since, still_warming, warm):
    clock.move_to(at(since))
    records().clear()
    assert stats()["since"] == since
    clock.move_to(at(still_warming))
    assert stats()["warming_up"] is True
    clock.move_to(at(warm))
    assert stats()["warming_up"] is False


TestWindow = Window.TestCase
TestWindow.settings = settings(stateful_step_count=30)
