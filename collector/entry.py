"""The entry of CACHES that holds the reports.

Settings import this while they are read, so it needs nothing of Django.
"""

from typing import Any

DAY = 24 * 60 * 60  # seconds
MAX_ENTRIES = 1_000_000  # live keys of a cache, unless its OPTIONS say otherwise
CONNECTIONS = 2304  # at once, in the server of its own
MAX_VALUES = 10_000  # distinct live values of a cache, likewise


def records_cache(
    retention_days: int = 7,
    max_instances: int = MAX_ENTRIES,
    history_days: int = 90,
    redis_url: str = "",
    redis_unchecked: bool = False,
) -> dict[str, Any]:
    """An entry of CACHES that keeps reports in memory, or in the store at a URL."""
    entry: dict[str, Any] = {
        "BACKEND": "collector.cache.memory.MemoryCache",
        "LOCATION": "records",
        "TIMEOUT": retention_days * DAY,
        "OPTIONS": {
            "GRANULARITY": DAY,
            "MAX_ENTRIES": max_instances,
            "HISTORY": history_days,
            "SUMMARY": "collector.history.closing",
        },
    }
    if redis_url:
        entry |= {"BACKEND": "collector.cache.redis.RedisCache", "LOCATION": redis_url}
        entry["OPTIONS"]["UNCHECKED"] = redis_unchecked
    return entry
