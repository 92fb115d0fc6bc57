"""The contract is Django's: its own backend keeps it too."""

from tests.unit.cache.contract import PlainCacheContract


class TestLocMemCache(PlainCacheContract):
    backend = "django.core.cache.backends.locmem.LocMemCache"
