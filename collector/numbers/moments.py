"""Moments, in POSIX seconds, and UTC days, as the number of days since 1970-01-01."""

from datetime import UTC, datetime
from functools import lru_cache

from collector.conf import DAY


@lru_cache(maxsize=64)  # all receipts of a day name the same moment
def iso(moment: float) -> str:
    """Return a moment in ISO 8601 format, in UTC, to the second."""
    return f"{datetime.fromtimestamp(int(moment), UTC):%Y-%m-%dT%H:%M:%SZ}"


def iso_date(day: int) -> str:
    """Return a day in ISO 8601 format."""
    return iso(day * DAY)[:10]


def day_of_report(expiry: float | None, retention_days: int) -> int | None:
    """Return the day on which reports with this expiry came, or None if they never expire.

    A report expires at the midnight that ends the last day of its window.
    """
    return None if expiry is None else int(expiry) // DAY - 1 - retention_days


def whole_day_between(since: float, now: float) -> bool:
    """Return whether a whole UTC day lies between two moments."""
    first_midnight = -(-since // DAY) * DAY
    return now >= first_midnight + DAY
