"""Filters: which instances to count, without revealing a name that may not be listed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from collector import patterns
from collector.cache.tally import NULL, Name, Tally
from collector.conf import MAX_FILTERS
from collector.numbers.dimensions import ALL, RELEASE, Dimension, Rules, visible_names
from collector.patterns import Patterns
from collector.refusal import Refusal

ESTABLISHED, TRUE = "established", "true"  # the parameter that selects established instances


@dataclass(frozen=True)
class Filter:
    """Patterns in one dimension."""

    dimension: Dimension
    patterns: Patterns

    @property
    def is_latest(self) -> bool:
        """Whether the filter selects the latest release, beside others or not."""
        return self.dimension is RELEASE and LATEST in self.patterns.names

    def matches(self, name: str | None) -> bool:
        """Return whether the filter selects a name; None is hidden, which no filter selects."""
        return name is not None and self.patterns.match(name)


@dataclass(frozen=True)
class Filters:
    """The instances to count match all names, and are established if that is asked for."""

    names: tuple[Filter, ...] = ()
    established: bool = False


NO_FILTERS = Filters()
LATEST = "latest"  # in a filter of releases: the newest final release that is published


def parse(query: Mapping[str, Sequence[str]]) -> Filters:
    """Return the filters of a query, whose other parameters are ignored. Raises Refusal."""
    names = tuple(_filter(ALL[name], values) for name, values in query.items() if name in ALL)
    established = query.get(ESTABLISHED, ())
    if any(value != TRUE for value in established):
        raise Refusal(f"{ESTABLISHED} must be {TRUE}, or left out.", ESTABLISHED)
    return Filters(names, bool(established))


def max_length(dimension: Dimension) -> int:
    r"""Return the most characters of a filter value: a name and a final `\*`."""
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
    return Filter(dimension, patterns.parse(values))


def select(tally: Tally, filters: Sequence[Filter], rules: Rules) -> set[Name]:
    """Return the values in a tally that match all filters.

    A filter must not reveal a name that may not be listed: hidden names are left out, and so are
    instances with the same names in the filtered dimensions if they are fewer than the minimum.
    """
    filters = tuple(_with_latest(one, rules.config.latest) for one in filters)
    matches = []
    groups: Counter[tuple[str | None, ...]] = Counter()
    for value, count in tally.counts.items():
        if value != NULL:
            visible = visible_names(value, rules.config)
            group = tuple(visible.get(one.dimension.name) for one in filters)
            if all(map(Filter.matches, filters, group)):
                matches.append((value, group))
                groups[group] += count
    return {value for value, group in matches if groups[group] >= rules.min_group}


def _with_latest(one: Filter, latest: str | None) -> Filter:
    """Return a filter with the name of the latest release in place of LATEST, if there is one."""
    if latest is None or not one.is_latest:
        return one
    names = one.patterns.names - {LATEST} | {latest}
    return replace(one, patterns=replace(one.patterns, names=names))
