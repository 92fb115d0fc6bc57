import math
from collections import Counter

from simulation.fleet import Fleet


def test_it_works():
    reports = dict(Fleet(100).reports(89))
    assert 60 < len(reports) <= 100
    assert set(next(iter(reports.values()))) == {"app", "image", "arch"}


def test_it_is_the_same_for_the_same_seed_and_another_for_another():
    assert [*Fleet(50).reports(7)] == [*Fleet(50).reports(7)]
    assert [*Fleet(50, seed=1).reports(7)] != [*Fleet(50).reports(7)]


def test_it_grows():
    fleet = Fleet(1000)
    assert len([*fleet.reports(0)]) < len([*fleet.reports(80)])


def test_a_release_rolls_out():
    fleet = Fleet(2000, days=90, releases=14)
    day, name = fleet.published[-3]
    early, late = (
        Counter(version["app"] for _, version in fleet.reports(round(day) + after))[name]
        for after in (1, 9)
    )
    assert 0 < early < late


def test_an_installation_never_goes_back():
    fleet = Fleet(200)
    order = [name for _, name in fleet.published]
    for each in fleet.installations:
        if not each.nightly:
            run = [order.index(fleet.version(each, day)["app"]) for day in range(90)]
            assert run == sorted(run)


def test_it_has_as_many_releases_as_asked():
    assert len({name for _, name in Fleet(1, releases=400).published}) == 400


def test_some_opt_out_and_report_no_more():
    fleet = Fleet(1000)
    (day, name), *_ = [(day, name) for day in range(90) for name in fleet.opt_outs(day)]
    assert all(name not in dict(fleet.reports(later)) for later in range(day, 90))


def test_some_are_installed_anew_with_another_id():
    fleet = Fleet(1000)
    again = [each for each in fleet.installations if each.gone < math.inf and not each.opts_out]
    for each in again:
        assert any(other.born == each.gone for other in fleet.installations)
    assert again


def test_machines_of_a_test_report_once():
    fleet = Fleet(1000)
    one, other = (dict(fleet.ci(day)) for day in (5, 6))
    assert len(one) == 10
    assert not one.keys() & other.keys()
