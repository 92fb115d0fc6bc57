from datetime import date

import pytest

from collector.config import read
from simulation.fleet import Fleet


@pytest.mark.parametrize(("size", "days"), [(0, 9), (1, 1), (1, 9), (1000, 600)])
def test_a_fleet_has_exactly_the_size_asked_for_on_its_last_day(size, days):
    fleet = Fleet(size, days)
    last = [each for each in fleet.instances if each.born < days <= each.gone]
    assert len(last) == size
    assert len({each.id for each in last}) == size


@pytest.mark.parametrize("arguments", [(-1,), (5, 0), (5, 9, 0)])
def test_a_fleet_refuses_an_argument_that_is_too_small(arguments):
    with pytest.raises(ValueError, match="A fleet has 0 or more instances"):
        Fleet(*arguments)


def test_most_instances_of_a_fleet_report_on_a_day_and_it_grows():
    reports = dict(Fleet(100).reports(89))
    assert 80 < len(reports) <= 100
    assert set(next(iter(reports.values()))) == {"app", "image", "arch"}
    assert len([*Fleet(1000).reports(0)]) < len([*Fleet(1000).reports(80)])


def test_a_fleet_is_the_same_for_the_same_seed_only():
    assert [*Fleet(50).reports(7)] == [*Fleet(50).reports(7)]
    assert [*Fleet(50, seed=1).reports(7)] != [*Fleet(50).reports(7)]


def test_an_instance_never_returns_to_an_older_release():
    fleet = Fleet(200)
    order = [name for _, name in fleet.published]
    for each in fleet.instances:
        if not each.nightly:
            run = [order.index(fleet.version(each, day)["app"]) for day in range(90)]
            assert run == sorted(run)


def test_a_fleet_has_a_table_of_its_releases_of_which_one_is_vulnerable():
    fleet, today = Fleet(1), date(2026, 3, 10)
    config = read(fleet.table(today))
    assert [each.name for each in config.releases] == [name for _, name in fleet.published]
    assert config.latest == fleet.published[-1][1]
    assert [each.name for each in config.releases if each.vulnerable] == [fleet.published[-3][1]]
    assert all(each.date <= today for each in config.releases)
    assert read(Fleet(1, releases=1).table(today)).latest
    assert len(read(Fleet(1, releases=400).table(today)).releases) == 400
