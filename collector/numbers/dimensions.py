"""The dimensions by which instances are counted.

Each counted field has two: its values as they were sent, and its folded values.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from collector.cache import Name, decode
from collector.cache.tally import NULL
from collector.numbers import folding
from collector.questions import Table
from collector.reports.fields import FIELDS
from collector.reports.parsing import Version


@dataclass(frozen=True)
class Dimension:
    """One breakdown of the statistics, and one filter. It derives a name from a field."""

    name: str  # of the filter
    breakdown: str  # its key in the statistics
    label: str  # what people call it
    field: str
    max_length: int  # characters of a name
    fold: Callable[[str], str] = str

    def name_of(self, version: Version) -> str:
        """Return the name that a version has in this dimension; a missing value is ""."""
        return self.fold(getattr(version, self.field) or "")


RAW = tuple(
    Dimension(field.name, field.counted_as, field.label, field.name, field.limit)
    for field in FIELDS
    if field.counted_as
)
VERSION, IMAGE, ARCHITECTURE = RAW
RELEASE = Dimension("release", "releases", "release", "app", 128, folding.release)
REPOSITORY = Dimension("repository", "repositories", "repository", "image", 255, folding.repository)
FAMILY = Dimension("family", "families", "processor", "arch", 16, folding.family)
FOLDED = (RELEASE, REPOSITORY, FAMILY)
ALL = {dimension.name: dimension for dimension in (*RAW, *FOLDED)}


@lru_cache(folding.CACHED)
def names_in(value: Name) -> Mapping[str, str]:
    """Return the name that a stored version has in each dimension. Raises Unavailable."""
    version = decode(value, Version)
    return {name: dimension.name_of(version) for name, dimension in ALL.items()}


Hide = tuple[tuple[str, str], ...]  # fields, each with a regular expression; "" hides nothing


@dataclass(frozen=True)
class Rules:
    """The rules in force: the names that may be listed, and the questions.

    No name of a group below the minimum is listed, and none that is hidden.
    """

    min_group: int = 1
    hide: Hide = ()
    questions: Table = ()


def hides(hide: Hide, dimension: Dimension, *names: str) -> bool:
    """Return whether the pattern of the dimension's field matches one of these names."""
    return any(
        re.search(pattern, name)
        for field, pattern in hide
        if pattern and field == dimension.field
        for name in names
    )


def visible_names(value: Name, hide: Hide) -> dict[str, str]:
    """Return the names of a stored version that are not hidden, as sent or folded, by dimension."""
    names = names_in(value)
    return {
        dimension: name
        for dimension, name in names.items()
        if not hides(hide, ALL[dimension], names[ALL[dimension].field], name)
    }


@lru_cache(2)  # of all versions, and of those that a filter selects
def group(values: tuple[Name, ...], hide: Hide) -> Mapping[str, Mapping[str, list[Name]]]:
    """Return the stored versions by dimension and name, without hidden names.

    A report changes how many instances have a version, but it seldom adds one or removes one.
    """
    groups: dict[str, dict[str, list[Name]]] = {name: {} for name in ALL}
    for value in values:
        if value != NULL:
            for dimension, name in visible_names(value, hide).items():
                groups[dimension].setdefault(name, []).append(value)
    groups[RELEASE.name].pop(folding.NO_RELEASE, None)
    return groups


def forget_names() -> None:
    """Forget all names; those that are needed are computed again."""
    group.cache_clear()
    names_in.cache_clear()
    folding.clear_caches()
