"""The table of questions: what an application asks its instances besides their version.

A table is a TOML file, or a dictionary with the same content:

    [users]
    what = "the number of people who have an account"
    why = "to decide how large an instance we have to test with"
    kind = "number"
    bounds = [2, 6, 21]

An answer is read as one of a few values, which the table determines, so no answer can identify an
instance. There are three kinds of questions:

- `choice` has `options`. Any other text is read as "other".
- `flag` is answered with true or false.
- `number` has `bounds`. A whole number is read as the range that contains it: with the bounds
  above, "0-1", "2-5", "6-20" or "21+".
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import Meta, Struct

MAX_QUESTIONS = 16
MAX_OPTIONS = 32
MAX_BOUNDS = 15
OTHER = "other"  # the value of all texts that are none of the options
T = TypeVar("T")

# With these lengths, the query of a badge fits into a request line, as conf.MAX_FILTERS explains.
Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,23}\Z")]
Option = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]([A-Za-z0-9 ._-]{0,22}[A-Za-z0-9._-])?\Z")]
# A vertical bar would separate the columns of a table in the docs.
Text = Annotated[str, Meta(pattern=r"^[^|\x00-\x1f\x7f]{1,300}\Z")]
Bound = Annotated[int, Meta(ge=1, le=10**9)]
# JSON has one type of numbers: 12.0 and 1.2e1 are whole, too.
Whole = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0, multiple_of=1)]
_text = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool)
_number: "msgspec.json.Decoder[float]" = msgspec.json.Decoder(Whole)
NAME = "a lower-case letter, then at most 23 lower-case letters, digits and underscores"
ALLOWED = {
    "what": 'a text of 1 to 300 characters, without "|", that says what the answer is',
    "why": 'a text of 1 to 300 characters, without "|", that says what the answers are for',
    "kind": '"choice", "flag" or "number"',
    "options": f"a list of 1 to {MAX_OPTIONS} different texts of 1 to 24 letters, digits, inner "
    f'spaces, dots, hyphens and underscores, without "{OTHER}", which every choice has',
    "bounds": f"a list of 1 to {MAX_BOUNDS} whole numbers, each larger than the one before, from 1 "
    "to a billion",
}


class InvalidTable(ValueError):
    """A table cannot be used. The message names the question and the key, and what is allowed."""


class Question(Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True, kw_only=True):
    """One question. The subclasses are the kinds."""

    name: Name
    what: Text
    why: Text
    sent: ClassVar[str]  # what an instance sends, for a table in the docs

    @property
    def values(self) -> tuple[str, ...]:
        """The values as which answers are read, in the order in which they are shown."""
        raise NotImplementedError

    @property
    def stored(self) -> str:
        """What is counted of an answer, for a table in the docs."""
        return f"one of {', '.join(self.values)}"

    @property
    def example(self) -> Any:
        """An answer."""
        return self.values[0]

    def read(self, answer: bytes) -> str | None:
        """Return the value of an answer in JSON, or None if it is no answer to this question."""
        raise NotImplementedError


class Choice(Question, frozen=True, tag="choice"):
    """A question with options."""

    options: Annotated[tuple[Option, ...], Meta(min_length=1, max_length=MAX_OPTIONS)]
    sent = "a name"

    def __post_init__(self) -> None:
        if len({*self.options, OTHER}) != len(self.options) + 1:
            raise ValueError("Unusable value - at `$.options`")

    @property
    def values(self) -> tuple[str, ...]:
        return (*self.options, OTHER)

    def read(self, answer: bytes) -> str | None:
        text = _decode(_text, answer)
        return text if text is None or text in self.options else OTHER


class Flag(Question, frozen=True, tag="flag"):
    """A question that is answered with true or false."""

    sent = "true or false"
    stored = sent
    example = True

    @property
    def values(self) -> tuple[str, ...]:
        return ("true", "false")

    def read(self, answer: bytes) -> str | None:
        is_true = _decode(_flag, answer)
        return None if is_true is None else "true" if is_true else "false"


class Number(Question, frozen=True, tag="number"):
    """A question that is answered with a whole number, of which only the range is counted."""

    bounds: Annotated[tuple[Bound, ...], Meta(min_length=1, max_length=MAX_BOUNDS)]
    sent = "a whole number"

    def __post_init__(self) -> None:
        if any(first >= next_ for first, next_ in pairwise(self.bounds)):
            raise ValueError("Unusable value - at `$.bounds`")

    @property
    def values(self) -> tuple[str, ...]:
        return _ranges(self.bounds)

    @property
    def stored(self) -> str:
        return f"only its range, one of {', '.join(self.values)}"

    @property
    def example(self) -> int:
        return self.bounds[0]

    def read(self, answer: bytes) -> str | None:
        number = _decode(_number, answer)
        return None if number is None else self.values[bisect_right(self.bounds, number)]


Table = tuple[Choice | Flag | Number, ...]


def table(setting: Any) -> Table:
    """Return the questions of a table, or of the TOML file at a path. Raises InvalidTable.

    An empty setting has no questions. The latest table is remembered: its file is read once.
    """
    try:
        return _table(msgspec.json.encode(setting or {}))
    except (TypeError, UnicodeEncodeError, RecursionError):
        raise InvalidTable("The table has a key or a value that TOML does not have.") from None


@lru_cache(1)
def _table(setting: bytes) -> Table:
    content = msgspec.json.decode(setting)
    if isinstance(content, str):
        content = _read(Path(content))
    if not isinstance(content, Mapping):
        raise InvalidTable("The table must be a dictionary, or the path of a TOML file.")
    if len(content) > MAX_QUESTIONS:
        raise InvalidTable(f"{len(content)} questions are too many; ask at most {MAX_QUESTIONS}.")
    return tuple(_question(name, entry) for name, entry in content.items())


def _read(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidTable(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError) as error:  # neither TOML nor UTF-8
        raise InvalidTable(f"{path} is not a TOML file: {error}.") from None


def _question(name: str, entry: Any) -> Choice | Flag | Number:
    if not isinstance(entry, Mapping):
        raise InvalidTable(f"The question {name!r} must be a table: write [{name}] above it.")
    try:
        return msgspec.convert({**entry, "name": name}, Choice | Flag | Number)
    except (ValueError, RecursionError) as error:
        raise InvalidTable(f"The question {name!r}: {_explain(str(error), entry)}.") from None


def _explain(error: str, entry: Mapping[str, Any]) -> str:
    """Return what is wrong with a question: msgspec's message, in the words of the table."""
    if unknown := re.search(r"unknown field `(.*)`", error):
        return f"{unknown[1]} is not a key of a {entry['kind']}"
    if missing := re.search(r"missing required field `(.*?)`", error):
        return f"{missing[1]} is missing; it must be {ALLOWED[missing[1]]}"
    at = re.search(r"`\$\.?(\w*)", error)
    key = at[1] if at else "kind"
    if key == "name":
        return f"the name is invalid; use {NAME}"
    return f"{key} is {entry.get(key)!r}; it must be {ALLOWED[key]}"


@lru_cache(MAX_QUESTIONS)
def _ranges(bounds: tuple[int, ...]) -> tuple[str, ...]:
    """Return the names of the ranges that the bounds separate."""
    ranges = [
        f"{first}-{next_ - 1}" if next_ - 1 > first else f"{first}"
        for first, next_ in pairwise((0, *bounds))
    ]
    return (*ranges, f"{bounds[-1]}+")


def _decode(decoder: "msgspec.json.Decoder[T]", answer: bytes) -> T | None:
    """Return an answer in JSON, or None if it is not of the decoder's type."""
    try:
        return decoder.decode(answer)
    except (ValueError, RecursionError):
        return None
