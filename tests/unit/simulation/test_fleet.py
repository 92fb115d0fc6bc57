import math
from collections import Counter

import pytest

from simulation.fleet import Fleet


def size_on(fleet, day):
    return sum(each.born <= day < each.gone for each in fleet.instances)


def test_almost_every_instance_reports_on_a_day():
    reports = dict(Fleet(100).reports(89))
    assert 80 < len(reports) <= 100
    assert set(next(iter(reports.values()))) == {"app", "image", "arch"}


def test_a_fleet_is_the_same_for_the_same_seed_and_different_for_another():
    assert [*Fleet(50).reports(7)] == [*Fleet(50).reports(7)]
    assert [*Fleet(50, seed=1).reports(7)] != [*Fleet(50).reports(7)]


@pytest.mark.parametrize(
    ("size", "days"), [(0, 9), (1, 1), (1, 400), (7, 90), (100, 1), (1000, 600)]
)
def test_a_fleet_has_exactly_the_size_asked_for_after_its_last_day(size, days):
    assert size_on(Fleet(size, days), days - 1) == size


def test_a_fleet_grows_from_three_fifths_of_its_size():
    fleet = Fleet(1000)
    sizes = [size_on(fleet, day) for day in range(90)]
    assert sizes[0] == 600
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("instances must be at least 0", {"size": -1}),
        ("days must be at least 1", {"size": 1, "days": 0}),
        ("releases must be at least 1", {"size": 1, "releases": 0}),
    ],
)
def test_a_fleet_refuses_a_number_that_is_too_small(name, arguments):
    with pytest.raises(ValueError, match=name):
        Fleet(**arguments)


def test_a_release_rolls_out_over_days():
    fleet = Fleet(2000, days=90, releases=14)
    day, name = fleet.releases[-3]
    early, late = (
        Counter(version["app"] for _, version in fleet.reports(round(day) + after))[name]
        for after in (1, 9)
    )
    assert 0 < early < late


def test_an_instance_never_downgrades():
    fleet = Fleet(200)
    order = [name for _, name in fleet.releases]
    for each in fleet.instances:
        if not each.nightly:
            versions = [order.index(fleet.version(each, day)["app"]) for day in range(90)]
            assert versions == sorted(versions)


def test_a_fleet_has_as_many_releases_as_asked_for():
    assert len({name for _, name in Fleet(1, releases=400).releases}) == 400


def test_an_instance_that_opted_out_reports_no_more():
    fleet = Fleet(1000)
    (day, id), *_ = [(day, id) for day in range(90) for id in fleet.opt_outs(day)]
    assert all(id not in dict(fleet.reports(later)) for later in range(day, 90))


def test_an_instance_that_did_not_opt_out_is_reinstalled_with_another_id():
    fleet = Fleet(1000)
    lost = Counter(each.gone for each in fleet.instances if not each.opts_out)
    new = Counter(each.born for each in fleet.instances)
    del lost[math.inf]
    assert lost
    assert all(new[day] >= count for day, count in lost.items())
    assert len({each.id for each in fleet.instances}) == len(fleet.instances)


def test_a_test_machine_reports_once():
    fleet = Fleet(1000)
    one, other = (dict(fleet.ci(day)) for day in (5, 6))
    assert len(one) == 10
    assert not one.keys() & other.keys()
