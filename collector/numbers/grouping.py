"""Grouping: which values of a tally have which name in each breakdown.

A report changes how many instances have a value, but it seldom adds a value or removes one. So the
groups of the latest tally are kept, and for the next one only the counts are added up again.
"""

from collections import defaultdict
from collections.abc import Mapping

from collector.cache import Tally
from collector.cache.tally import Name
from collector.numbers.dimensions import ALL, RAW, RELEASE, Dimension, Rules, Version
from collector.numbers.folding import NO_RELEASE

NOT_RELEASES = "not_releases"  # the breakdown by version of the values that have no release
Values = Mapping[Name, Version | None]
Groups = Mapping[str, Mapping[str, list[Name]]]  # values, by breakdown and name

_latest: tuple[Values, Rules, Groups] | None = None


def groups_of(values: Values, rules: Rules) -> Groups:
    """Return what `group` returns, and remember it while no value is added or removed."""
    global _latest  # noqa: PLW0603  the one memory of the latest groups
    latest = _latest
    if latest and latest[0] is values and latest[1] == rules:
        return latest[2]
    groups = group(values, rules)
    _latest = (values, rules, groups)
    return groups


def remembers(values: Values) -> bool:
    """Return whether the latest groups are of these values."""
    return _latest is not None and _latest[0] is values


def forget_groups() -> None:
    """Drop the latest groups: some may be of values that no instance reports any more."""
    global _latest  # noqa: PLW0603  as in `groups_of`
    _latest = None


def group(values: Values, rules: Rules) -> Groups:
    """Return the values by breakdown and name, the names in alphabetical order.

    Hidden names are left out.
    """
    groups = {each.breakdown: _by_name(each, values, rules) for each in ALL.values()}
    groups[NOT_RELEASES] = {
        version: names
        for version, names in groups[RAW[0].breakdown].items()
        if RELEASE.fold(version) == NO_RELEASE
    }
    groups[RELEASE.breakdown].pop(NO_RELEASE, None)
    return groups


def add_up(groups: Mapping[str, list[Name]], tally: Tally) -> dict[str, int]:
    """Return how many instances each name of a breakdown has."""
    count = tally.counts.__getitem__
    return {
        # Most names have one value, for which a sum would take twice as long.
        name: sum(map(count, values)) if len(values) > 1 else count(values[0])
        for name, values in groups.items()
    }


def _by_name(dimension: Dimension, values: Values, rules: Rules) -> dict[str, list[Name]]:
    groups: defaultdict[str, list[Name]] = defaultdict(list)
    for name, version in values.items():
        if version is not None and not rules.hides_version(dimension, version):
            groups[dimension.name_of(version)].append(name)
    return dict(sorted(groups.items()))
