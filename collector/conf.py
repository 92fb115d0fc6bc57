"""The settings of `collector`, typed, and its fixed limits.

Settings are read when they are asked for, so `override_settings` works; `checks.py` validates
them. How long and how many reports are kept is said by CACHES[HEADCOUNT_CACHE] alone.
"""

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

DAY = 24 * 60 * 60  # seconds
MAX_ENTRIES = 1_000_000  # live keys of a cache, unless its OPTIONS say otherwise
CONNECTIONS = 2304  # at once, in the server of its own
MAX_VALUES = 10_000  # distinct live values of a cache, likewise
MAX_BODY = 4096  # bytes of a request's body
MAX_LISTED = 200  # values of a breakdown that are listed by name
MAX_NAMES = 24_000  # bytes of the names of a breakdown; seven of them make 168 kB
# Values of one filter. Three of each filter, of the longest names and percent-encoded, fit into the
# 8,190 bytes that gunicorn takes of a request line.
MAX_FILTERS = 3

# What the process takes at most, by measurement: the start, answers that are kept until the next
# report and a history of the longest names; each connection while its head comes; each installation
# while a table of them is copied into a larger one; each distinct version of the longest names, and
# what is made of it.
BASE_BYTES = 128 * 2**20
CONNECTION_BYTES = 120_000
INSTANCE_BYTES = 150
VALUE_BYTES = 6 * 2**10


class Conf:
    """One property a setting."""

    @property
    def cache_alias(self) -> str:
        """The entry of Django's CACHES that holds the reports."""
        return getattr(settings, "HEADCOUNT_CACHE", "records")

    @property
    def cache(self) -> dict[str, Any]:
        """That entry."""
        return settings.CACHES[self.cache_alias]

    @property
    def shared(self) -> bool:
        """Whether reports are in a store that several processes share."""
        return bool(import_string(self.cache["BACKEND"]).shared)

    @property
    def unchecked(self) -> bool:
        """Whether that store is taken though its options cannot be looked at."""
        return bool(self.cache["OPTIONS"].get("UNCHECKED"))

    @property
    def retention_days(self) -> int:
        """Whole UTC days that a report counts after the day it came."""
        return int(self.cache["TIMEOUT"]) // DAY

    @property
    def max_instances(self) -> int:
        """Installations kept at once."""
        return int(self.cache["OPTIONS"].get("MAX_ENTRIES", MAX_ENTRIES))

    @property
    def max_values(self) -> int:
        """Distinct versions kept at once."""
        return int(self.cache["OPTIONS"].get("MAX_VALUES", MAX_VALUES))

    @property
    def memory_ceiling(self) -> int:
        """Bytes of memory that the process stays under, whatever is sent; by measurement."""
        instances = 0 if self.shared else self.max_instances
        kept = INSTANCE_BYTES * instances + VALUE_BYTES * self.max_values
        return BASE_BYTES + CONNECTION_BYTES * CONNECTIONS + kept

    @property
    def history_days(self) -> int:
        """Days of which one aggregate is kept; 0: none."""
        return int(self.cache["OPTIONS"].get("HISTORY", 0))

    @property
    def project_name(self) -> str:
        """The software whose installations report."""
        return getattr(settings, "HEADCOUNT_PROJECT_NAME", "Manyfold")

    @property
    def revision(self) -> str:
        """The revision of the source code that runs, as who built it says."""
        return getattr(settings, "HEADCOUNT_REVISION", "")

    @property
    def public_url(self) -> str:
        """Where this server is reached, as the docs write it."""
        url: str = getattr(settings, "HEADCOUNT_PUBLIC_URL", "http://127.0.0.1:8000")
        return url.rstrip("/")

    @property
    def docs_url(self) -> str:
        """Where a browser that visits is sent; not set: to the docs served here."""
        return getattr(settings, "HEADCOUNT_DOCS_URL", "")

    @property
    def min_group(self) -> int:
        """A value that fewer installations report is not listed by name."""
        return getattr(settings, "HEADCOUNT_MIN_GROUP", 1)

    @property
    def hide(self) -> dict[str, str]:
        """By field, a regular expression; values in which it is found are not listed by name."""
        return getattr(settings, "HEADCOUNT_HIDE", {})

    def in_force(self) -> list[tuple[str, str, str]]:
        """Every setting: its name, its value as it is shown, and what it means."""
        return [
            (name, _shown(getattr(self, name)), setting.__doc__ or "")
            for name, setting in vars(Conf).items()
            if isinstance(setting, property) and name != "cache"
        ]


def _shown(value: Any) -> str:
    """A setting's value; of the patterns only for which fields there are some."""
    if isinstance(value, dict):
        value = ", ".join(field for field, pattern in value.items() if pattern)
    return f"{value}" or "not set"


conf = Conf()


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
        },
    }
    if redis_url:
        entry |= {"BACKEND": "collector.cache.redis.RedisCache", "LOCATION": redis_url}
        entry["OPTIONS"]["UNCHECKED"] = redis_unchecked
    return entry
