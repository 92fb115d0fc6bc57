"""The dimensions by which instances are counted.

Each counted field has two: its values as they were sent, and its folded values.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from collector.numbers import folding
from collector.reports.fields import FIELDS

Version = Mapping[str, str | None]  # the counted fields of a report, by name


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
        return self.fold(version[self.field] or "")


RAW = tuple(
    Dimension(field.name, field.counted_as, field.label, field.name, field.limit)
    for field in FIELDS
    if field.counted_as
)
RELEASE = Dimension("release", "releases", "release", "app", 128, folding.release)
REPOSITORY = Dimension("repository", "repositories", "repository", "image", 255, folding.repository)
FAMILY = Dimension("family", "families", "processor", "arch", 16, folding.family)
FOLDED = (RELEASE, REPOSITORY, FAMILY)
ALL = {dimension.name: dimension for dimension in (*RAW, *FOLDED)}


@dataclass(frozen=True)
class Rules:
    """Which names may be listed: none of a group below the minimum, and none that is hidden."""

    min_group: int = 1
    hide: Mapping[str, str] | None = None  # by field, a regular expression

    def hides(self, dimension: Dimension, *names: str) -> bool:
        """Return whether the pattern of the dimension's field matches one of these names."""
        pattern = (self.hide or {}).get(dimension.field)
        return bool(pattern) and any(re.search(str(pattern), name) for name in names)

    def hides_version(self, dimension: Dimension, version: Version) -> bool:
        """Return whether the name of a version is hidden, as it was sent or folded."""
        return self.hides(dimension, version[dimension.field] or "", dimension.name_of(version))
