"""Filters: which installations to count, without telling what is not told by name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.cache import Sizes
from collector.conf import MAX_FILTERS
from collector.numbers.dimensions import ALL, Dimension, Kept, Rules
from collector.reports.parsing import Refusal


@dataclass(frozen=True)
class Filter:
    """Names, or beginnings of names, in one dimension."""

    dimension: Dimension
    exact: frozenset[str]
    prefixes: tuple[str, ...]

    def match(self, version: Kept) -> bool:
        """Whether an installation has one of the names."""
        name = self.dimension.of(version)
        return name in self.exact or name.startswith(self.prefixes)


Filters = tuple[Filter, ...]
NO_FILTERS: Filters = ()


def parse(query: Mapping[str, Sequence[str]]) -> Filters:
    """Filters from the values of each parameter; a final `*` makes a prefix.

    Raises Refusal for more than MAX_FILTERS values of one; other parameters are ignored.
    """
    return tuple(_filter(ALL[name], given) for name, given in query.items() if name in ALL)


def _filter(dimension: Dimension, given: Sequence[str]) -> Filter:
    if len(given) > MAX_FILTERS:
        problem = f"{dimension.name} is given more than {MAX_FILTERS} times; use fewer."
        raise Refusal(problem, dimension.name)
    return Filter(
        dimension,
        frozenset(name for name in given if not name.endswith("*")),
        tuple(name[:-1] for name in given if name.endswith("*")),
    )


def select(sizes: Sizes, filters: Filters, rules: Rules) -> Sizes:
    """The versions that the filters match, of those given with their number of installations.

    With a minimum group, the matches are grouped by the names that are filtered, and a group
    below the minimum is left out, as is a hidden name: else a filter would tell what is not told.
    """
    matches = [
        (tuple(one.dimension.of(version) for one in filters), version, size)
        for version, size in sizes
        if version is not None
        and all(one.match(version) for one in filters)
        and not any(rules.hides_version(one.dimension, version) for one in filters)
    ]
    groups: Counter[tuple[str, ...]] = Counter()
    for group, _, size in matches:
        groups[group] += size
    return [(version, size) for group, version, size in matches if groups[group] >= rules.min_group]
