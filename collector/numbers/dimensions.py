"""The dimensions by which instances are counted.

Each counted field has two: its values as they were sent, and its folded values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from collector import folding
from collector.cache.tally import NULL, Name, decode
from collector.config import NO_CONFIG, Config
from collector.reports.fields import FIELDS
from collector.reports.parsing import Version

CACHED = 20_000  # results that each rule remembers, twice the distinct versions that a cache holds
release = lru_cache(CACHED)(folding.release)
order = lru_cache(CACHED)(folding.order)
repository = lru_cache(CACHED)(folding.repository)
family = lru_cache(CACHED)(folding.family)


@dataclass(frozen=True)
class Dimension:
    """One breakdown of the statistics, and one filter. It derives a name from a field."""

    name: str  # of the filter
    breakdown: str  # its key in the statistics
    label: str  # for people
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
RELEASE = Dimension("release", "releases", "release", "app", folding.MAX_RELEASE, release)
REPOSITORY = Dimension("repository", "repositories", "repository", "image", 255, repository)
FAMILY = Dimension("family", "families", "processor", "arch", 16, family)
FOLDED = (RELEASE, REPOSITORY, FAMILY)
FOLDS = {dimension.field: dimension.fold for dimension in FOLDED}
ALL = {dimension.name: dimension for dimension in (*RAW, *FOLDED)}


@dataclass(frozen=True)
class Rules:
    """The rules in force: no name below the minimum is listed, and no hidden one."""

    min_group: int = 1
    config: Config = NO_CONFIG


def hides(config: Config, dimension: Dimension, name: str) -> bool:
    """Return whether a name in a summary is hidden: a name as sent, or a release."""
    hidden = config.hide.match(dimension.name, name, FOLDS[dimension.field](name))
    return hidden or _is_unknown(config, dimension, name)


@lru_cache(CACHED)
def visible_names(value: Name, config: Config) -> Mapping[str, str]:
    """Return the names of a stored version by dimension. A field that [hide] matches has none.

    Raises Unavailable.
    """
    version = decode(value, Version)
    names = {name: dimension.name_of(version) for name, dimension in ALL.items()}
    if config.hide == NO_CONFIG.hide and not config.known_names_only:
        return names
    hidden = {
        raw.field
        for raw, folded in zip(RAW, FOLDED, strict=True)
        if config.hide.match(raw.field, names[raw.name], names[folded.name])
    }
    return {
        name: names[name]
        for name, each in ALL.items()
        if each.field not in hidden and not _is_unknown(config, each, names[name])
    }


def _is_unknown(config: Config, dimension: Dimension, name: str) -> bool:
    """Return whether only names of the file are shown, and this is none; "" is no name."""
    if not config.known_names_only or not name:
        return False
    spelling = config.spelling(dimension.field, name, FOLDS[dimension.field](name))
    return dimension.fold(spelling) != name


@lru_cache(2)  # of all versions, and of a selection
def group(values: tuple[Name, ...], config: Config) -> Mapping[str, Mapping[str, list[Name]]]:
    """Return the stored versions by dimension and name, without hidden names.

    A report changes how many instances have a version, but it seldom adds one or removes one.
    """
    groups: dict[str, dict[str, list[Name]]] = {name: {} for name in ALL}
    for value in values:
        if value != NULL:
            for dimension, name in visible_names(value, config).items():
                groups[dimension].setdefault(name, []).append(value)
    groups[RELEASE.name].pop(folding.NO_RELEASE, None)
    return groups


def forget_names() -> None:
    """Forget all names. They are computed again when they are needed."""
    for each in (group, visible_names, release, order, repository, family):
        each.cache_clear()
