"""The parser of reports: JSON from a request's body becomes a Report or a Refusal."""

import re
from functools import lru_cache
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from collector.questions import Table
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
    "answers": "an object with answers to questions, or null or left out",
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
    """A parsed report: the id in lower case, the counted fields, and what is kept of the answers.

    Fields and answers are by name. A question that was not answered is missing.
    """

    id: str
    version: dict[str, str | None]
    answers: dict[str, str]


class Refusal(Exception):
    """Invalid input: what is wrong, what to send instead, and in which field, if it is in one."""

    def __init__(self, problem: str, field: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.field = field


T = TypeVar("T")
_forget_decoder = msgspec.json.Decoder(Forget)


def parse(body: bytes, questions: Table = ()) -> Report:
    """Return the report in a request's body, or raise Refusal."""
    content = _decode(_decoder_for(questions), body, questions)
    answers = {}
    if given := questions and content.answers:
        for each in questions:
            if (answer := getattr(given, each.name)) is not None:
                answers[each.name] = each.kept(answer)
    version = {name: getattr(content.version, name) for name in COUNTED}
    return Report(content.id.lower(), version, answers)


def parse_forget(body: bytes) -> str:
    """Return the id, in lower case, whose report a request asks to erase, or raise Refusal."""
    return _decode(_forget_decoder, body).id.lower()


def answers_type(questions: Table) -> Any:
    """Return the type of the `answers` of a report."""
    return msgspec.defstruct(
        "Answers",
        [(each.name, each.answer_type, None) for each in questions],
        frozen=True,
        namespace={"__doc__": "The answers to questions. Other members are ignored."},
    )


@lru_cache(1)
def _decoder_for(questions: Table) -> Any:
    members = [("answers", answers_type(questions) | None, None)] if questions else []
    return msgspec.json.Decoder(msgspec.defstruct("Body", members, bases=(Body,), frozen=True))


def _decode(decoder: "msgspec.json.Decoder[T]", body: bytes, questions: Table = ()) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), questions) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # msgspec raises UnicodeDecodeError for invalid UTF-8, and RecursionError for a field that
        # is ignored but nested deeper than Python's stack.
        raise Refusal("The body is not valid JSON; send one JSON object in UTF-8.") from None


def _refusal(message: str, questions: Table) -> Refusal:
    """Return the refusal for msgspec's "Expected `str`, got `int` - at `$.version.app`"."""
    rules = RULES | {f"answers.{each.name}": each.rule for each in questions}
    at = re.search(r" - at `\$\.?(.*)`$", message)
    missing = re.match(r"Object missing required field `(.*?)`", message)
    names = [at[1] if at else "", missing[1] if missing else ""]
    field = ".".join(filter(None, names))
    if not field:
        return Refusal('The body must be a JSON object, {"id": …, "version": {…}}.')
    verb = "is missing; it must be" if missing else "must be"
    return Refusal(f"{field} {verb} {rules[field]}.", field)
