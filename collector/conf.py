"""The settings of `collector`, typed, and its fixed limits.

Settings are read at the moment of use, so `override_settings` works; `checks.py` validates them.
The entry CACHES[HEADCOUNT_CACHE] alone says how long reports count and how many there may be.
"""

from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from collector.config import Config, Hide, source
from collector.questions import Table

DAY = 24 * 60 * 60  # seconds
MAX_ENTRIES = 1_000_000  # live keys in a cache, unless its OPTIONS say otherwise
MAX_VALUES = 10_000  # distinct live values in a cache, unless its OPTIONS say otherwise
MAX_BODY = 4096  # bytes in a request's body
MAX_LISTED = 200  # values that a breakdown lists by name
MAX_NAMES = 24_000  # bytes of names in a breakdown; seven breakdowns then take 168 kB
MAX_SUMMARY_NAMES = 50  # values that a breakdown of a past day lists by name
MAX_SUMMARY_BYTES = 2_000  # bytes of names and counts in a breakdown of a past day
MAX_HISTORY = 999_000  # bytes of past days in one response
# Values of one filter. Three values of each filter, with the longest names and percent-encoded, fit
# into the 8,190 bytes that the stand-alone server accepts as a request line.
MAX_FILTERS = 3

# Upper bounds for the memory of one process, found by measurement (benchmarks/flood.py): the
# process at startup, with cached responses and a history of the longest names; an instance, while
# the table that contains it is copied into a larger one; a distinct version with the longest names,
# and the statistics about it.
BASE_BYTES = 128 * 2**20
INSTANCE_BYTES = 150
VALUE_BYTES = 6 * 2**10
ARCHIVE_BYTES = 30 * 2**20  # ten years of saved days, and of what is drawn from them


UNNAMED = "this application"


class Conf:
    """One property for each setting."""

    @property
    def cache_alias(self) -> str:
        """The name of the entry in Django's CACHES that holds the reports."""
        return getattr(settings, "HEADCOUNT_CACHE", "records")

    @property
    def cache(self) -> dict[str, Any]:
        """The entry in Django's CACHES that holds the reports."""
        return settings.CACHES[self.cache_alias]

    @property
    def shared(self) -> bool:
        """Whether the reports are in a store that several processes share."""
        return bool(import_string(self.cache["BACKEND"]).shared)

    @property
    def unchecked(self) -> bool:
        """Whether the store is used without checking that it writes nothing to disk."""
        return bool(self.cache["OPTIONS"].get("UNCHECKED"))

    @property
    def retention_days(self) -> int:
        """Number of whole UTC days that a report counts after the day on which it arrives."""
        return int(self.cache["TIMEOUT"]) // DAY

    @property
    def max_instances(self) -> int:
        """Largest number of instances. When it is reached, new instances get a 503."""
        return int(self.cache["OPTIONS"].get("MAX_ENTRIES", MAX_ENTRIES))

    @property
    def max_values(self) -> int:
        """Largest number of distinct versions. Further ones are counted without details."""
        return int(self.cache["OPTIONS"].get("MAX_VALUES", MAX_VALUES))

    @property
    def memory_ceiling(self) -> int:
        """Largest number of bytes of memory that one process needs, besides its connections."""
        instances = 0 if self.shared else self.max_instances
        archive = ARCHIVE_BYTES if self.history_folder else 0
        reports = INSTANCE_BYTES * instances + VALUE_BYTES * self.max_values
        return BASE_BYTES + archive + reports

    @property
    def history_days(self) -> int:
        """Number of past days in the history. 0: there is no history."""
        return int(self.cache["OPTIONS"].get("HISTORY", 0))

    @property
    def history_folder(self) -> str:
        """The folder of saved days that the server reads and never writes. Not set: none."""
        return getattr(settings, "HEADCOUNT_HISTORY_FOLDER", "")

    @property
    def stand_alone(self) -> bool:
        """Whether this is the stand-alone server, and not an app in another project."""
        return getattr(settings, "HEADCOUNT_STAND_ALONE", False)

    @property
    def project_name(self) -> str:
        """The name of the software whose instances report. Not set: "this application"."""
        return getattr(settings, "HEADCOUNT_PROJECT_NAME", "") or UNNAMED

    @property
    def revision(self) -> str:
        """The revision of the source code, as stated by whoever built this server."""
        return getattr(settings, "HEADCOUNT_REVISION", "")

    @property
    def public_url(self) -> str:
        """The URL at which clients reach this server. The docs quote it."""
        url: str = getattr(settings, "HEADCOUNT_PUBLIC_URL", "http://127.0.0.1:8000")
        return url.rstrip("/")

    @property
    def docs_url(self) -> str:
        """The page to which `GET /` redirects. Not set: the docs on this server."""
        return getattr(settings, "HEADCOUNT_DOCS_URL", "")

    @property
    def source_url(self) -> str:
        """The URL of the source code that this server runs. Each page links to it."""
        return getattr(settings, "HEADCOUNT_SOURCE_URL", "")

    @property
    def contact(self) -> str:
        """Who is responsible for this server, and how to reach them."""
        return getattr(settings, "HEADCOUNT_CONTACT", "")

    @property
    def config(self) -> Config:
        """The configuration in force. Raises InvalidConfig if it never was valid."""
        return source.in_force

    @property
    def min_group(self) -> int:
        """A value is listed by name only if at least this many instances report it."""
        default: int = getattr(settings, "HEADCOUNT_MIN_GROUP", 1)
        return self.config.min_group or default

    @property
    def known_names_only(self) -> bool:
        """Whether only names that the configuration file has are stored."""
        return self.config.known_names_only

    @property
    def hide(self) -> Hide:
        """The fields that have hidden names, which are not listed."""
        return self.config.hide

    @property
    def questions(self) -> Table:
        """The questions that a report may also answer."""
        return self.config.questions

    def in_force(self) -> list[tuple[str, str, str]]:
        """Return the name, the displayed value and the meaning of every setting."""
        omitted = {"cache", "config"} if self.questions else {"cache", "config", "questions"}
        return [
            (name, _displayed(getattr(self, name)), (setting.__doc__ or "").partition("\n")[0])
            for name, setting in vars(Conf).items()
            if isinstance(setting, property) and name not in omitted
        ]


conf = Conf()


def records_cache(
    retention_days: int = 7,
    max_instances: int = MAX_ENTRIES,
    history_days: int = 90,
    redis_url: str = "",
    redis_unchecked: bool = False,
) -> dict[str, Any]:
    """Return an entry for CACHES that holds the reports in memory, or in the store at a URL."""
    entry: dict[str, Any] = {
        "BACKEND": "collector.cache.memory.MemoryCache",
        "LOCATION": "records",
        "TIMEOUT": retention_days * DAY,
        "OPTIONS": {
            "MAX_ENTRIES": max_instances,
            "HISTORY": history_days,
        },
    }
    if redis_url:
        entry |= {"BACKEND": "collector.cache.redis.RedisCache", "LOCATION": redis_url}
        entry["OPTIONS"]["UNCHECKED"] = redis_unchecked
    return entry


def _displayed(value: object) -> str:
    """Return a setting's value as a reader sees it. Hidden names stay secret; fields do not."""
    if isinstance(value, Hide):
        value = ", ".join(field for field in value.__struct_fields__ if getattr(value, field))
    if isinstance(value, tuple):
        value = ", ".join(question.name for question in value)
    return f"{value}" or "not set"
