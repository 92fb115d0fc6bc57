"""UTC days, as the number of days since 1970-01-01, and timestamps, in POSIX seconds."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Annotated

from msgspec import Meta

from collector.conf import DAY

EPOCH = date(1970, 1, 1)
Date = Annotated[str, Meta(extra_json_schema={"format": "date"})]
Timestamp = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


@lru_cache(maxsize=64)  # all receipts of a day name the same timestamp
def iso(timestamp: float) -> Timestamp:
    """Return a timestamp in ISO 8601 format, in UTC, to the second."""
    return f"{datetime.fromtimestamp(int(timestamp), UTC):%Y-%m-%dT%H:%M:%SZ}"


def iso_date(day: int) -> Date:
    """Return a day in ISO 8601 format."""
    return iso(day * DAY)[:10]


def to_day(text: Date) -> int:
    """Return the day of a date in the form YYYY-MM-DD. Raises ValueError."""
    day = (date.fromisoformat(text) - EPOCH).days
    if f"{EPOCH + timedelta(day)}" != text:  # Python reads further forms, such as 2026-W49-5
        raise ValueError(text)
    return day
