"""Results that are computed once and kept beside their source."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

MAX_RESULTS = 64
T = TypeVar("T")


@dataclass(frozen=True)
class Memo:
    """Keeps at most MAX_RESULTS results of what it is the source of; it must never change."""

    results: dict[Hashable, Any] = field(default_factory=dict, kw_only=True, compare=False)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` returns for this key, and call `make` only the first time."""
        if key in self.results:
            result: T = self.results[key]
            return result
        result = make()
        if len(self.results) >= MAX_RESULTS:
            self.results.clear()
        self.results[key] = result
        return result
