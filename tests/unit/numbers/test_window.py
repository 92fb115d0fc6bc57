"""When a report counts: from the day it came to the end of the seventh day after, in UTC."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import time_machine
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from collector.cache import records
from collector.numbers import snapshot
from collector.numbers.stats import statistics

RETENTION = 7


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


@dataclass
class LatestReport:
    app: str
    day: int
    established: bool


class Window(RuleBasedStateMachine):
    """Compares random reports, upgrades, erasures and silence with a model of the window."""

    ids = st.integers(0, 5).map(lambda n: str(UUID(int=n)))
    apps = st.sampled_from(["1", "2", "3"])

    def __init__(self):
        super().__init__()
        self.travel = time_machine.travel(datetime(2026, 2, 25, 22, tzinfo=UTC), tick=False)
        self.clock = self.travel.start()
        records().clear()
        self.live = {}

    def teardown(self):
        self.travel.stop()

    @property
    def today(self):
        return datetime.now(UTC).toordinal()

    @rule(id=ids, app=apps)
    def report(self, id, app):
        records().put(id, {"app": app, "image": None, "arch": None})
        old = self.live.get(id)
        established = old is not None and (old.established or old.day < self.today)
        self.live[id] = LatestReport(app, self.today, established)

    @rule(id=ids)
    def forget(self, id):
        assert records().delete(id) == (id in self.live)
        self.live.pop(id, None)

    @rule(hours=st.sampled_from([1, 2, 24, 48, 24 * 7, 24 * 8]))
    def stay_silent(self, hours):
        self.clock.shift(timedelta(hours=hours))
        live = self.live.items()
        self.live = {id: report for id, report in live if self.today <= report.day + RETENTION}

    @rule()
    def free(self):
        records().free_expired()

    @invariant()
    def the_statistics_agree_with_the_model(self):
        numbers = statistics(snapshot.current())
        reports = self.live.values()
        apps = [report.app for report in reports]
        assert numbers.instances == len(self.live)
        assert numbers.versions == {app: apps.count(app) for app in set(apps)}
        assert numbers.established == sum(report.established for report in reports)
        days = [report.day for report in reports]
        window = range(self.today - RETENTION, self.today + 1)
        assert [*numbers.last_reported.values()] == [days.count(day) for day in window]


TestWindow = Window.TestCase
TestWindow.settings = settings(stateful_step_count=30)
