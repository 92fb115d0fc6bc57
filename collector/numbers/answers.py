"""The types of what is answered as JSON. They are what is encoded, and what the API's page shows.

A breakdown more in the table of fields is one more here.
"""

from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from collector.numbers.dimensions import FOLDED, RAW, Dimension
from collector.reports.fields import COUNTED

PERCENT = 95  # of the installations on a release run at least the one that is told
Count = Annotated[int, Meta(ge=0)]
Names = dict[str, Count]
Date = Annotated[str, Meta(extra_json_schema={"format": "date"})]
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]


def _said(type_: Any, description: str) -> Any:
    return Annotated[type_, Meta(description=description)]


def _type(name: str, meaning: str, members: list[tuple[str, Any]], **options: Any) -> Any:
    namespace = {"__doc__": meaning, "__module__": __name__}
    return msgspec.defstruct(name, members, frozen=True, namespace=namespace, **options)


def _names(dimensions: tuple[Dimension, ...]) -> list[tuple[str, Any]]:
    return [(each.breakdown, _said(Names, f"Installations by {each.name}.")) for each in dimensions]


def _counts(dimensions: tuple[Dimension, ...]) -> list[tuple[str, Any]]:
    return [(each.breakdown, Count) for each in dimensions]


class Problem(Struct, frozen=True):
    """A refusal: what is wrong and what to do, and the field if it is one field's."""

    error: str
    field: str | UnsetType = UNSET


# A report's detail is a dict from the parser to the receipt. Its members are the table's, which
# mypy cannot know.
Kept: Any = TypedDict("Kept", dict.fromkeys(COUNTED, str | None))  # type: ignore[misc]
Kept.__doc__ = "What is kept of a report."
Receipt = _type(
    "Receipt",
    "The answer to a report.",
    [
        ("stored", _said(Kept | None, "What was kept; null: there was no room for its detail.")),
        ("forgotten_at", _said(Moment | None, "When it is forgotten.")),
    ],
)


class Status(Struct, frozen=True):
    """Whether it can take reports."""

    status: Literal["ready"]


class Health(Struct, frozen=True):
    """That it is alive, what code it runs, and how that is set."""

    status: Literal["alive"]
    release: str
    revision: Annotated[str, Meta(description="Of the source code, as who built it says.")]
    fingerprint: Annotated[str, Meta(description="Of the files of `collector`.")]
    settings: dict[str, str]


Others = _type("Others", "How many are not listed by name.", _counts(RAW))
FoldedOthers = _type("FoldedOthers", Others.__doc__, _counts(FOLDED))
Folded = _type(
    "Folded",
    "Installations by what their values have in common.",
    [
        *_names(FOLDED),
        ("not_releases", _said(Names, "Versions that are no release.")),
        ("others", FoldedOthers),
        ("at_least", _said(Names, "How many run at least this release; newest first.")),
        ("on_releases", _said(Count, "How many run a release that is listed.")),
        (
            "percent_run_at_least",
            _said(str | None, f"The release that {PERCENT} % of those run, or a newer one."),
        ),
    ],
    rename={"percent_run_at_least": f"{PERCENT}_percent_run_at_least"},
)
Numbers = _type(
    "Numbers",
    "The statistics.",
    [
        ("instances", _said(Count, "Installations whose report counts now.")),
        *_names(RAW),
        ("others", Others),
        ("established", _said(Count, "Those that reported on at least two days.")),
        ("folded", Folded),
        ("since", _said(Moment, "When counting began.")),
        ("warming_up", _said(bool, "Whether that is less than a whole UTC day ago.")),
        ("window_days", _said(Count, "Days that a report counts after the day it came.")),
        (
            "last_reported",
            _said(dict[Date, Count], "Installations by the day of their latest report."),
        ),
    ],
)
Day = _type(
    "Day",
    "The numbers as they stood at the end of a day.",
    [
        ("date", Date),
        ("instances", Count),
        ("established", Count),
        ("reported", _said(Count, "Installations that reported on this day.")),
        *_names(RAW),
        ("others", Others),
    ],
)


class History(Struct, frozen=True):
    """The days that are over, the oldest first; one on which the server did not run is missing."""

    since: Moment
    history_days: Annotated[Count, Meta(description="Days that are kept.")]
    days: list[Day]  # type: ignore[valid-type]  # its members are the table's


class BadgeDescription(Struct, frozen=True):
    """A badge in shields.io's endpoint schema, https://shields.io/badges/endpoint-badge."""

    schemaVersion: Literal[1]  # noqa: N815  shields.io's names
    label: str
    message: str
    color: str
    cacheSeconds: Annotated[int, Meta(ge=300)]  # noqa: N815  likewise
