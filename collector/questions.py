"""The questions that an application asks its instances besides their version.

Each is a table of the configuration file; `docs/examples/` has some. An answer is read as one of a
few values, which the question determines, so no answer can identify an instance. There are three
kinds of questions:

- `choice` has `options`. Any other text is read as "other".
- `flag` is answered with true or false.
- `number` has `bounds`. A whole number is read as the range that contains it: with the bounds 2, 6
  and 21, "0-1", "2-5", "6-20" or "21+".
"""

from bisect import bisect_right
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, TypeVar

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
Text = Annotated[str, Meta(max_length=300)]
Bound = Annotated[int, Meta(ge=1, le=10**9)]
# JSON has one type of numbers: 12.0 and 1.2e1 are whole, too.
Whole = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0, multiple_of=1)]
_text = msgspec.json.Decoder(str)
_flag = msgspec.json.Decoder(bool)
_number: "msgspec.json.Decoder[float]" = msgspec.json.Decoder(Whole)
# The allowed content of each key, for errors.
ALLOWED = {
    "name": "a name of a lower-case letter, then at most 23 lower-case letters, digits and "
    "underscores",
    "what": "a text of 1 to 300 printable characters that says what the answer is",
    "why": "a text of 1 to 300 printable characters that says what the answers are for",
    "kind": '"choice", "flag" or "number"',
    "options": f"a list of 1 to {MAX_OPTIONS} different texts of 1 to 24 letters, digits, inner "
    f'spaces, dots, hyphens and underscores, without "{OTHER}", which every choice has',
    "bounds": f"a list of 1 to {MAX_BOUNDS} whole numbers, each larger than the one before, from 1 "
    "to a billion",
}


class Question(Struct, frozen=True, tag_field="kind", kw_only=True):
    """One question. The subclasses are the kinds."""

    name: Name
    what: Text
    why: Text
    sent: ClassVar[str]  # the JSON that an instance sends, for a table in the docs

    def __post_init__(self) -> None:
        for key in ("what", "why"):
            if not (text := getattr(self, key)).strip() or not text.isprintable():
                raise ValueError(key)

    @property
    def values(self) -> tuple[str, ...]:
        """The values as which answers are read, in the order in which they are shown."""
        raise NotImplementedError

    @property
    def stored(self) -> str:
        """The counted values, for a table in the docs."""
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
        super().__post_init__()
        if len({*self.options, OTHER}) != len(self.options) + 1:
            raise ValueError("options")

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


class Number(Question, frozen=True, tag="number", dict=True):
    """A question that is answered with a whole number, of which only the range is counted."""

    bounds: Annotated[tuple[Bound, ...], Meta(min_length=1, max_length=MAX_BOUNDS)]
    sent = "a whole number"

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(first >= next_ for first, next_ in pairwise(self.bounds)):
            raise ValueError("bounds")

    @cached_property
    def values(self) -> tuple[str, ...]:
        ranges = [
            f"{first}-{next_ - 1}" if next_ - 1 > first else f"{first}"
            for first, next_ in pairwise((0, *self.bounds))
        ]
        return (*ranges, f"{self.bounds[-1]}+")

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
Kind = Literal["choice", "flag", "number"]
KINDS: dict[Kind, type[Question]] = {"choice": Choice, "flag": Flag, "number": Number}


def _decode(decoder: "msgspec.json.Decoder[T]", answer: bytes) -> T | None:
    """Return an answer in JSON, or None if it is not of the decoder's type."""
    try:
        return decoder.decode(answer)
    except (ValueError, RecursionError):
        return None
