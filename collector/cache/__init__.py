"""Django cache backends that keep a tally of their live values; `records()` holds the reports."""

from functools import cache
from typing import Any, cast

from django.core.cache import caches
from django.core.signals import setting_changed

from collector.cache.base import (
    CacheFull,
    Choice,
    Row,
    Sizes,
    TallyCache,
    TooManyValues,
    Totals,
    Unavailable,
    Unusable,
)
from collector.conf import conf

__all__ = [
    "CacheFull",
    "Choice",
    "Row",
    "Sizes",
    "TallyCache",
    "TooManyValues",
    "Totals",
    "Unavailable",
    "Unusable",
    "records",
]


@cache
def records() -> TallyCache:
    """The cache that holds the reports, one object for the whole process.

    `django.core.cache.caches` builds one a thread, and under gevent every connection is a thread.
    """
    return cast(TallyCache, caches.create_connection(conf.cache_alias))


def _forget_object(*, setting: str, **kwargs: Any) -> None:
    """Follow `override_settings`, as Django's own `caches` does."""
    if setting in ("CACHES", "HEADCOUNT_CACHE"):
        records.cache_clear()


setting_changed.connect(_forget_object)
