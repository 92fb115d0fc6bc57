import math
from collections import Counter

import pytest

from simulation.fleet import Fleet


def test_most_instances_report_on_a_day():
    reports = dict(Fleet(100).reports(89))
    assert 60 < len(reports) <= 100
    assert set(next(iter(reports.values()))) == {"app", "image", "arch"}


def test_a_fleet_is_the_same_for_the_same_seed_and_another_for_another():
    assert [*Fleet(50).reports(7)] == [*Fleet(50).reports(7)]
    assert [*Fleet(50, seed=1).reports(7)] != [*Fleet(50).reports(7)]


@pytest.mark.parametrize("size", [0, 1, 7, 1000])
@pytest.mark.parametrize("days", [1, 2, 90, 600])
def test_a_fleet_has_exactly_its_size_after_the_last_day(size, days):
    instances = Fleet(size, days).instances
    assert sum(each.born < days <= each.gone for each in instances) == size


@pytest.mark.parametrize("arguments", [(-1, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_a_fleet_without_days_or_releases_or_with_a_negative_size_is_refused(arguments):
    with pytest.raises(ValueError, match="at least"):
        Fleet(*arguments)


def test_a_fleet_grows():
    fleet = Fleet(1000)
    assert len([*fleet.reports(0)]) < len([*fleet.reports(80)])


def test_a_release_spreads_over_the_fleet_within_days():
    fleet = Fleet(2000, days=90, releases=14)
    day, name = fleet.published[-3]
    early, late = (
        Counter(version["app"] for _, version in fleet.reports(round(day) + after))[name]
        for after in (1, 9)
    )
    assert 0 < early < late


def test_an_instance_is_never_downgraded():
    fleet = Fleet(200)
    order = [name for _, name in fleet.published]
    for each in fleet.instances:
        if not each.nightly:
            releases = [order.index(fleet.version(each, day)["app"]) for day in range(90)]
            assert releases == sorted(releases)


def test_a_fleet_has_the_number_of_releases_that_was_asked_for():
    assert len({name for _, name in Fleet(1, releases=400).published}) == 400


def test_an_instance_that_opts_out_does_not_report_again():
    fleet = Fleet(1000)
    (day, name), *_ = [(day, name) for day in range(90) for name in fleet.opt_outs(day)]
    assert all(name not in dict(fleet.reports(later)) for later in range(day, 90))


def test_an_instance_that_leaves_without_opting_out_is_installed_again():
    fleet = Fleet(1000)
    leavers = [each for each in fleet.instances if each.gone < math.inf and not each.opts_out]
    assert leavers
    for each in leavers:
        assert any(other.born == each.gone for other in fleet.instances)


def test_a_test_machine_reports_once():
    fleet = Fleet(1000)
    one, other = (dict(fleet.ci(day)) for day in (5, 6))
    assert len(one) == 10
    assert not one.keys() & other.keys()
