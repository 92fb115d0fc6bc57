"""The parser of reports: JSON from a request's body becomes a Report or a Refusal."""

import json
import re
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from collector.questions import Table
from collector.refusal import Refusal
from collector.reports.fields import FIELDS

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
T = TypeVar("T")


def _text(name: str) -> Meta:
    """Return what the field with this name allows."""
    (field,) = (field for field in FIELDS if field.name == name)
    description = f"{field.meaning[0].upper()}{field.meaning[1:]}."
    return Meta(max_length=field.limit, pattern=PRINTABLE_ASCII, description=description)


App = Annotated[str, _text("app")]
Sha = Annotated[str, _text("sha")]
Image = Annotated[str, _text("image")]
Arch = Annotated[str, _text("arch")]
Id = Annotated[str, Meta(min_length=36, max_length=36, pattern=UUID)]


class Version(Struct, frozen=True):
    """The fields of a version that the server stores."""

    app: App
    image: Image | None = None
    arch: Arch | None = None


class SentVersion(Struct, frozen=True):
    """What an instance runs. Other members are ignored."""

    app: App
    sha: Sha
    image: Image | None = None
    arch: Arch | None = None


class Forget(Struct, frozen=True):
    """The body of a request to erase a report."""

    id: Id


class Body(Forget, frozen=True):
    """The body of a report."""

    version: SentVersion
    answers: Raw | UnsetType = UNSET  # decoded by `read_answers`


class Report(NamedTuple):
    """A parsed report.

    The id is in lower case. `answers` has the value of each answer to a question of the table, or
    None for an answer that cannot be used.
    """

    id: str
    version: Version
    answers: dict[str, str | None]


_body_decoder = msgspec.json.Decoder(Body)
_forget_decoder = msgspec.json.Decoder(Forget)
_answers_decoder = msgspec.json.Decoder(dict[str, Raw])


def example(questions: Table = ()) -> dict[str, Any]:
    """Return an example of a report, as an instance sends it."""
    version = {field.name: field.example for field in FIELDS}
    report = {"id": "fdb45536-cba8-4204-b352-71fc1062fd95", "version": version}
    answers = {"answers": {each.name: each.example for each in questions}}
    return report | (answers if questions else {})


def parse(body: bytes, questions: Table = ()) -> Report:
    """Return the report in a request's body, or raise Refusal."""
    content = _decode(_body_decoder, _unescaped(body), '{"id": …, "version": {…}}')
    sent = content.version
    answers = read_answers(bytes(content.answers or b""), questions) if questions else {}
    return Report(content.id.lower(), Version(sent.app, sent.image, sent.arch), answers)


def parse_forget(body: bytes) -> str:
    """Return the id, in lower case, whose report a request asks to erase, or raise Refusal."""
    return _decode(_forget_decoder, body, '{"id": …}').id.lower()


def read_answers(answers: bytes, questions: Table) -> dict[str, str | None]:
    """Return the value of each answer to a question, by its name.

    Each answer is decoded by itself, so that an invalid one costs only itself, and never the
    report.
    """
    try:
        sent = _answers_decoder.decode(answers)
    except (ValueError, RecursionError):
        return {}
    return {each.name: each.read(bytes(sent[each.name])) for each in questions if each.name in sent}


def _unescaped(body: bytes) -> bytes:
    """Return a body with characters in place of their escapes, if it is JSON.

    msgspec refuses a whole body for an escape of half a character, such as a text has that was cut
    in between. Half a character in bytes costs only its answer.
    """
    if b"\\u" not in body:
        return body
    try:
        content = json.loads(body.decode())
        return json.dumps(content, ensure_ascii=False).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        return body


def _decode(decoder: "msgspec.json.Decoder[T]", body: bytes, example: str) -> T:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), example) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # msgspec raises UnicodeDecodeError for invalid UTF-8, and RecursionError for a field that
        # is ignored but nested deeper than Python's stack.
        raise Refusal("The body is not valid JSON; send one JSON object in UTF-8.") from None


def _refusal(message: str, example: str) -> Refusal:
    """Return the refusal for msgspec's "Expected `str`, got `int` - at `$.version.app`"."""
    at = re.search(r" - at `\$\.?(.*)`$", message)
    missing = re.match(r"Object missing required field `(.*?)`", message)
    names = [at[1] if at else "", missing[1] if missing else ""]
    field = ".".join(filter(None, names))
    if not field:
        return Refusal(f"The body must be a JSON object, {example}.")
    verb = "is missing; it must be" if missing else "must be"
    return Refusal(f"{field} {verb} {RULES[field]}.", field)
