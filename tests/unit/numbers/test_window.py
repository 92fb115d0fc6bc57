"""When a report counts: from the day it came to the end of the seventh day after, in UTC."""

from datetime import datetime, timedelta

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
