from collector.cache import records
from collector.numbers.dimensions import Rules
from collector.numbers.grouping import add_up, group, groups_of
from collector.numbers.snapshot import current
from tests.unit.numbers.builders import NO_RULES, row, tally_of, without_detail


def test_values_are_grouped_by_name_in_alphabetical_order():
    tally = tally_of(row("v2.0"), row("2.0.0"), row("edge"), row("1.0"), without_detail(1))
    groups = group(tally.values, NO_RULES)
    assert [*groups["versions"]] == ["1.0", "2.0.0", "edge", "v2.0"]
    assert {name: len(values) for name, values in groups["releases"].items()} == {
        "1.0.0": 1,
        "2.0.0": 2,
    }
    assert [*groups["not_releases"]] == ["edge"]


def test_a_hidden_name_is_in_no_group():
    tally = tally_of(row("1.0-secret"), row("1.0"))
    groups = group(tally.values, Rules(hide={"app": "secret"}))
    assert [*groups["versions"]] == ["1.0"]
    assert len(groups["releases"]["1.0.0"]) == 1


def test_the_counts_of_all_values_with_a_name_are_added_up():
    tally = tally_of(row("v1.0", count=2), row("1.0", count=3), row("2.0"))
    groups = group(tally.values, NO_RULES)
    assert add_up(groups["releases"], tally) == {"1.0.0": 5, "2.0.0": 1}


def test_groups_are_remembered_until_a_value_is_added_or_the_rules_change(report):
    def groups():
        return groups_of(records().tally().values, rules)

    rules = NO_RULES
    report()
    first = groups()
    report()
    assert groups() is first
    report(app="0.92.0")
    second = groups()
    assert second is not first
    rules = Rules(hide={"app": "92"})
    assert groups() is not second


def test_groups_of_other_values_are_not_mixed_up(report, stats):
    report(app="1.0.0")
    report(app="2.0.0", arch="armv7")
    assert stats("?arch=armv7")["versions"] == {"2.0.0": 1}
    assert stats()["versions"] == {"1.0.0": 1, "2.0.0": 1}
    assert current().tally.size == 2
