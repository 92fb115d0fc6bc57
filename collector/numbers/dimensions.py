"""What installations are divided by: each counted field as it was sent, and folded.

A dimension is a breakdown of the numbers and a filter of the same installations.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from collector.numbers import folding
from collector.reports.fields import COUNTED

Kept = Mapping[str, str | None]  # what is kept of a report: the counted fields by name


@dataclass(frozen=True)
class Dimension:
    """A name for each installation, made of one field of its report."""

    name: str  # of the filter
    breakdown: str  # in the numbers
    field: str
    fold: Callable[[str], str] = str

    def of(self, version: Kept) -> str:
        """The name of an installation; what is missing is the empty string."""
        return self.fold(version[self.field] or "")


RAW = tuple(Dimension(field, breakdown, field) for field, breakdown in COUNTED.items())
RELEASE = Dimension("release", "releases", "app", folding.release)
FOLDED = (
    RELEASE,
    Dimension("repository", "repositories", "image", folding.repository),
    Dimension("family", "families", "arch", folding.family),
)
ALL = {dimension.name: dimension for dimension in (*RAW, *FOLDED)}


@dataclass(frozen=True)
class Rules:
    """What may be told by name: no small group, and nothing that the operator hides."""

    min_group: int = 1
    hide: Mapping[str, str] | None = None  # by field, a regular expression

    def hides(self, dimension: Dimension, *names: str) -> bool:
        """Whether one of these names, raw or folded, is hidden."""
        pattern = (self.hide or {}).get(dimension.field)
        return pattern is not None and pattern != "" and any(re.search(pattern, n) for n in names)

    def hides_version(self, dimension: Dimension, version: Kept) -> bool:
        """Whether the name of this installation is hidden, as it was sent or folded."""
        return self.hides(dimension, version[dimension.field] or "", dimension.of(version))
