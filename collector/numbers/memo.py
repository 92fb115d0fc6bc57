"""Keep results beside the object from which they were computed."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar, cast

MAX_RESULTS = 64
T = TypeVar("T")


@dataclass(frozen=True)
class Memo:
    """Keeps at most MAX_RESULTS results that were computed from it. It must never change."""

    results: dict[Hashable, object] = field(default_factory=dict, kw_only=True, compare=False)

    def once(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of `make` for this key, and call `make` only the first time."""
        result = cast(T | None, self.results.get(key))  # one look-up, because others may clear them
        if result is not None:
            return result
        result = make()
        if len(self.results) >= MAX_RESULTS:
            self.results.clear()
        self.results[key] = result
        return result
