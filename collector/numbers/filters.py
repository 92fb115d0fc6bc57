"""Filters: which instances to count, without revealing a name that may not be listed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.cache import Name, Tally
from collector.cache.tally import NULL
from collector.conf import MAX_FILTERS
from collector.numbers.dimensions import ALL, Dimension, Rules, visible_names
from collector.reports.parsing import Refusal


@dataclass(frozen=True)
class Filter:
    """Names, or beginnings of names, in one dimension."""

    dimension: Dimension
    names: frozenset[str]
    prefixes: tuple[str, ...]

    def matches(self, name: str | None) -> bool:
        """Return whether the filter selects a name; None is hidden, which no filter selects."""
        return name is not None and (name in self.names or name.startswith(self.prefixes))


Filters = tuple[Filter, ...]
NO_FILTERS: Filters = ()


def parse(query: Mapping[str, Sequence[str]]) -> Filters:
    r"""Return the filters of a query: the values given for each dimension.

    A final `*` makes a value a prefix, and `\*` stands for a literal `*` there. Other
    parameters are ignored. Raise Refusal if one dimension has more than MAX_FILTERS values, or if a
    value is too long or is not printable ASCII.
    """
    return tuple(_filter(ALL[name], values) for name, values in query.items() if name in ALL)


def exact(name: str) -> str:
    r"""Return the filter value that selects this name only; a final `*` becomes `\*`."""
    if not name.endswith("*"):
        return name
    text, backslashes = _split(name)
    return text + 2 * backslashes + r"\*"


def max_length(dimension: Dimension) -> int:
    r"""Return how many characters a filter value may have: those of a name and a final `\*`."""
    return dimension.max_length + 2


def _filter(dimension: Dimension, values: Sequence[str]) -> Filter:
    if len(values) > MAX_FILTERS:
        problem = f"{dimension.name} is given more than {MAX_FILTERS} times; use fewer."
        raise Refusal(problem, dimension.name)
    if any(len(value) > max_length(dimension) for value in values):
        problem = f"{dimension.name} is longer than {max_length(dimension)} characters; shorten it."
        raise Refusal(problem, dimension.name)
    if not all(value.isascii() and value.isprintable() for value in values):
        raise Refusal(
            f"{dimension.name} must be printable ASCII, as all names are.", dimension.name
        )
    names, prefixes = set(), []
    for value in values:
        if not value.endswith("*"):
            names.add(value)
            continue
        text, backslashes = _split(value)
        start = text + backslashes[: len(backslashes) // 2]
        if len(backslashes) % 2:
            names.add(f"{start}*")
        else:
            prefixes.append(start)
    return Filter(dimension, frozenset(names), tuple(prefixes))


def _split(value: str) -> tuple[str, str]:
    """Split a value that ends in `*` into its text and the backslashes before the star."""
    text = value[:-1].rstrip("\\")
    return text, value[len(text) : -1]


def select(tally: Tally, filters: Filters, rules: Rules) -> set[Name]:
    """Return the values in a tally that match all filters.

    Instances that have the same names in the filtered dimensions form a group. Groups below the
    minimum and hidden names are left out, because a filter must not reveal a name that may not be
    listed.
    """
    matches = []
    groups: Counter[tuple[str | None, ...]] = Counter()
    for value, count in tally.counts.items():
        if value != NULL:
            visible = visible_names(value, rules.hide)
            group = tuple(visible.get(one.dimension.name) for one in filters)
            if all(map(Filter.matches, filters, group)):
                matches.append((value, group))
                groups[group] += count
    return {value for value, group in matches if groups[group] >= rules.min_group}
