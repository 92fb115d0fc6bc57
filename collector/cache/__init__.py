"""Django cache backends that keep a tally of their live values; `records()` holds the reports."""

from functools import cache
from typing import Any, cast

from django.core.cache import caches
from django.core.signals import setting_changed

from collector.cache.base import (
    CacheFull,
    InvalidURL,
    TallyCache,
    TooManyValues,
    Unavailable,
)
from collector.cache.tally import Cohort, Tally
from collector.conf import conf

__all__ = [
    "CacheFull",
    "Cohort",
    "InvalidURL",
    "Tally",
    "TallyCache",
    "TooManyValues",
    "Unavailable",
    "records",
]


@cache
def records() -> TallyCache:
    """Return the cache that holds the reports: one object for the whole process.

    `django.core.cache.caches` builds one object per thread, and under gevent each connection is a
    thread of its own.
    """
    return cast(TallyCache, caches.create_connection(conf.cache_alias))


def _reset_records(*, setting: str, **kwargs: Any) -> None:
    """Follow `override_settings`, as Django's own `caches` does."""
    if setting in ("CACHES", "HEADCOUNT_CACHE"):
        records.cache_clear()


setting_changed.connect(_reset_records)
