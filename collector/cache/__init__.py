"""Django cache backends that keep a tally of their live values; `records()` holds the reports."""

from functools import cache
from typing import cast

from django.core.cache import caches
from django.core.signals import setting_changed

from collector.cache.base import TallyCache
from collector.conf import conf


@cache
def records() -> TallyCache:
    """Return the cache that holds the reports: one object for the whole process.

    `django.core.cache.caches` builds one object per thread, and under gevent each connection is a
    thread of its own.
    """
    return cast(TallyCache, caches.create_connection(conf.cache_alias))


def _reset_records(*, setting: str, **kwargs: object) -> None:
    """Follow `override_settings`, as Django's own `caches` does."""
    if setting in ("CACHES", "HEADCOUNT_CACHE"):
        records.cache_clear()


setting_changed.connect(_reset_records)
