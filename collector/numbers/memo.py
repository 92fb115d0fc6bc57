"""Caches results that are computed from a snapshot or from a history, for as long as it exists."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

MAX_RESULTS = 64  # results remembered for one source
T = TypeVar("T")
_results: WeakKeyDictionary[Any, dict[Hashable, Any]] = WeakKeyDictionary()


def once(source: object, key: Hashable, make: Callable[[], T]) -> T:
    """Return what `make` returns for this source and key, and call `make` only the first time.

    Sources are compared by identity. The results are discarded when the source is
    garbage-collected, so a result must not refer to its source.
    """
    results = _results.setdefault(source, {})
    if key in results:
        result: T = results[key]
        return result
    result = make()
    if len(results) >= MAX_RESULTS:
        results.clear()
    results[key] = result
    return result
