"""What an installation may send: the table of fields, and the refusals.

Everything else that depends on a field (schema, statistics, filters, docs) derives from FIELDS.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

# ECMAScript's and Python's `$` differ at a final line break; "nothing follows" is the same in both.
_END = r"(?![\s\S])"
PRINTABLE_ASCII = rf"^[ -~]*{_END}"
UUID = rf"^[0-9A-Fa-f]{{8}}(-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}{_END}"


@dataclass(frozen=True)
class Field:
    """One field of a report's `version`: printable ASCII, of at most `limit` characters."""

    name: str
    limit: int
    example: str
    why: str
    about: str
    required: bool = False
    counted_as: str | None = None  # its breakdown in the statistics; None: checked and not kept

    @property
    def rule(self) -> str:
        """What the field may be, for a refusal."""
        null = "" if self.required else ", or null or left out"
        return f"a string of at most {self.limit} printable ASCII characters{null}"


FIELDS = (
    Field(
        name="app",
        limit=128,
        example="0.91.0",
        why="which releases are still in use",
        about="is the version of the application, as it calls itself.",
        required=True,
        counted_as="versions",
    ),
    Field(
        name="sha",
        limit=64,
        example="f8d09c9",
        why="nothing; it is part of the published format",
        about="is the git commit that the application was built from.",
        required=True,
    ),
    Field(
        name="image",
        limit=255,
        example="ghcr.io/manyfold3d/manyfold",
        why="which container images are worth building",
        about="is the name of the container image, without its tag.",
        counted_as="images",
    ),
    Field(
        name="arch",
        limit=64,
        example="x86_64-linux",
        why="which processors have to be supported",
        about="is the platform: the processor and the system's C library.",
        counted_as="architectures",
    ),
)
# The kept fields by name, each with its breakdown.
COUNTED = {field.name: field.counted_as for field in FIELDS if field.counted_as}
RULES = {
    "id": "the 36 characters of a UUID, such as fdb45536-cba8-4204-b352-71fc1062fd95",
    "version": "an object with " + ", ".join(field.name for field in FIELDS if field.required),
    **{f"version.{field.name}": field.rule for field in FIELDS},
}


def _member(field: Field) -> tuple[Any, ...]:
    rule = msgspec.Meta(
        max_length=field.limit,
        pattern=PRINTABLE_ASCII,
        description=f"`{field.name}` {field.about}",
    )
    text = Annotated[str, rule]
    return (field.name, text) if field.required else (field.name, text | None, None)


Version = msgspec.defstruct(
    "Version",
    map(_member, FIELDS),
    frozen=True,
    namespace={"__doc__": "What an installation runs. Anything else in it is ignored."},
)
Id = Annotated[str, msgspec.Meta(min_length=36, max_length=36, pattern=UUID)]


class Forget(msgspec.Struct, frozen=True):
    """The body of a request to be forgotten."""

    id: Id


class Body(Forget, frozen=True):
    """The body of a report."""

    version: Version  # type: ignore[valid-type]  # its members are the table's


class Report(NamedTuple):
    """A report as it is kept: the id in lower case, the counted fields by name."""

    id: str
    version: dict[str, str | None]


class Refusal(Exception):
    """Input that is refused: what is wrong and what to do, and the field if it is one field's."""

    def __init__(self, problem: str, field: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field


T = TypeVar("T")
_report = msgspec.json.Decoder(Body)
_forget = msgspec.json.Decoder(Forget)


def parse(body: bytes) -> Report:
    """A report from a request's body; raises Refusal."""
    sent = _decode(_report, body)
    return Report(sent.id.lower(), {name: getattr(sent.version, name) for name in COUNTED})


def parse_forget(body: bytes) -> str:
    """The id to forget from a request's body, in lower case; raises Refusal."""
    return _decode(_forget, body).id.lower()


def _decode(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _explain(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The last two are not msgspec's DecodeError: bad UTF-8, and nesting deeper than Python's
        # stack in a field that is ignored.
        raise Refusal("The body is not valid JSON; send one JSON object in UTF-8.") from None


def _explain(error: str) -> Refusal:
    """A refusal from msgspec's message: "Expected `str`, got `int` - at `$.version.app`"."""
    at = re.search(r" - at `\$\.?(.*)`$", error)
    missing = re.match(r"Object missing required field `(.*?)`", error)
    names = [at[1] if at else "", missing[1] if missing else ""]
    field = ".".join(filter(None, names))
    if not field:
        return Refusal('The body must be a JSON object, {"id": …, "version": {…}}.')
    verb = "is missing; it must be" if missing else "must be"
    return Refusal(f"{field} {verb} {RULES[field]}.", field)
