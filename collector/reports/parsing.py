"""The parser of reports: JSON from a request's body becomes a Report or a Refusal."""

import re
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from collector.reports.fields import COUNTED, FIELDS, Field

# In ECMAScript `$` matches only at the end, in Python also before a final line break. This
# lookahead means the same in both, so the published schema and the parser agree.
_END = r"(?![\s\S])"
PRINTABLE_ASCII = rf"^[ -~]*{_END}"
UUID = rf"^[0-9A-Fa-f]{{8}}(-[0-9A-Fa-f]{{4}}){{3}}-[0-9A-Fa-f]{{12}}{_END}"
RULES = {
    "id": "the 36 characters of a UUID, such as fdb45536-cba8-4204-b352-71fc1062fd95",
    "version": "an object with " + ", ".join(field.name for field in FIELDS if field.required),
    **{f"version.{field.name}": field.rule for field in FIELDS},
}


def _member(field: Field) -> tuple[Any, ...]:
    """Return a field as `msgspec.defstruct` wants it."""
    constraints = msgspec.Meta(
        max_length=field.limit,
        pattern=PRINTABLE_ASCII,
        description=f"{field.meaning[0].upper()}{field.meaning[1:]}.",
    )
    text = Annotated[str, constraints]
    return (field.name, text) if field.required else (field.name, text | None, None)


Version = msgspec.defstruct(
    "Version",
    map(_member, FIELDS),
    frozen=True,
    namespace={"__doc__": "What an instance runs. Other members are ignored."},
)
Id = Annotated[str, msgspec.Meta(min_length=36, max_length=36, pattern=UUID)]


class Forget(msgspec.Struct, frozen=True):
    """The body of a request to erase a report."""

    id: Id


class Body(Forget, frozen=True):
    """The body of a report."""

    version: Version  # type: ignore[valid-type]  # mypy cannot know members that FIELDS defines


class Report(NamedTuple):
    """A parsed report: the id in lower case, and the counted fields by name."""

    id: str
    version: dict[str, str | None]


class Refusal(Exception):
    """Invalid input: what is wrong, what to send instead, and in which field, if it is in one."""

    def __init__(self, problem: str, field: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field


T = TypeVar("T")
_body_decoder = msgspec.json.Decoder(Body)
_forget_decoder = msgspec.json.Decoder(Forget)


def parse(body: bytes) -> Report:
    """Return the report in a request's body, or raise Refusal."""
    content = _decode(_body_decoder, body)
    return Report(content.id.lower(), {name: getattr(content.version, name) for name in COUNTED})


def parse_forget(body: bytes) -> str:
    """Return the id, in lower case, whose report a request asks to erase, or raise Refusal."""
    return _decode(_forget_decoder, body).id.lower()


def _decode(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _refusal(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # msgspec raises UnicodeDecodeError for invalid UTF-8, and RecursionError for a field that
        # is ignored but nested deeper than Python's stack.
        raise Refusal("The body is not valid JSON; send one JSON object in UTF-8.") from None


def _refusal(message: str) -> Refusal:
    """Return the refusal for msgspec's "Expected `str`, got `int` - at `$.version.app`"."""
    at = re.search(r" - at `\$\.?(.*)`$", message)
    missing = re.match(r"Object missing required field `(.*?)`", message)
    names = [at[1] if at else "", missing[1] if missing else ""]
    field = ".".join(filter(None, names))
    if not field:
        return Refusal('The body must be a JSON object, {"id": …, "version": {…}}.')
    verb = "is missing; it must be" if missing else "must be"
    return Refusal(f"{field} {verb} {RULES[field]}.", field)
