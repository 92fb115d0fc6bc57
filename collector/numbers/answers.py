"""The types of what is answered as JSON. They are what is encoded, and what the API's page shows.

A breakdown more in the table of fields is one more here.
"""

from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

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


class BadgeDescription(Struct, frozen=True):
    """A badge in shields.io's endpoint schema, https://shields.io/badges/endpoint-badge."""

    schemaVersion: Literal[1]  # noqa: N815  shields.io's names
    label: str
    message: str
    color: str
    cacheSeconds: Annotated[int, Meta(ge=300)]  # noqa: N815  likewise
