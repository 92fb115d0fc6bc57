"""Filters: which installations to count, without telling what is not told by name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.cache import Row
from collector.conf import MAX_FILTERS
from collector.dimensions import ALL, Dimension, Kept, Rules
from collector.reports import Refusal


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


def select(rows: Sequence[Row], filters: Filters, rules: Rules) -> Sequence[Row]:
    """The rows that the filters match: all of them, if there is no filter.

    With a minimum group, the matches are grouped by the names that are filtered, and a group
    below the minimum is left out, as is a hidden name: else a filter would tell what is not told.
    """
    if not filters:
        return rows
    # Rows of one tally share the object of a value: up to sixteen in a window of seven days.
    values = {id(row.value): row.value for row in rows}
    groups = {
        key: tuple(one.dimension.of(value) for one in filters)
        for key, value in values.items()
        if value is not None
        and all(one.match(value) for one in filters)
        and not any(rules.hides_version(one.dimension, value) for one in filters)
    }
    if rules.min_group > 1:
        sizes: Counter[tuple[str, ...]] = Counter()
        for row in rows:
            if group := groups.get(id(row.value)):
                sizes[group] += row.size
        groups = {key: group for key, group in groups.items() if sizes[group] >= rules.min_group}
    return [row for row in rows if id(row.value) in groups]
