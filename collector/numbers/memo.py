"""Remembers what was made of a snapshot or of a history, for as long as that exists."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

MAX_RESULTS = 64  # results remembered for one source
T = TypeVar("T")
_results: WeakKeyDictionary[Any, dict[Hashable, Any]] = WeakKeyDictionary()


def once(source: object, key: Hashable, make: Callable[[], T]) -> T:
    """Return what `make` returns for this source and key; call it only the first time.

    The source is compared by identity, and its results go when it does. A result must not refer to
    its source.
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
