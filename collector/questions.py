"""The table of questions: what an application asks its instances besides their version.

A table is a TOML file, or a dictionary with the same content:

    [users]
    why = "to decide how large an instance we have to test with"
    kind = "number"
    bounds = [2, 6, 21]

Three kinds of questions exist. What is kept of an answer is one of a few values, which the table
determines, so no answer can identify an instance by itself:

- `choice` has `options`. Any other answer is kept as "other".
- `flag` is answered with true or false.
- `number` has `bounds`. A whole number is kept as the range that it is in: with the bounds above,
  "0-1", "2-5", "6-20" or "21+".
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from msgspec import Meta

MAX_QUESTIONS = 16
MAX_OPTIONS = 32
MAX_BOUNDS = 15
OTHER = "other"  # stands for all answers that are none of the options
# With these lengths, the query of a badge fits into a request line, as conf.MAX_FILTERS explains.
NAME = "a lower-case letter, then at most 23 lower-case letters, digits and underscores"
TEXT = "1 to 24 letters, digits, spaces, dots, hyphens and underscores"
ALLOWED = {
    "why": 'a text of 1 to 300 characters, without "|", that says what the answers are for',
    "kind": '"choice", "flag" or "number"',
    "options": f"a list of 1 to {MAX_OPTIONS} different texts of {TEXT}, without "
    f'"{OTHER}", which every choice has',
    "bounds": f"a list of 1 to {MAX_BOUNDS} whole numbers, each larger than the one before, and 1 "
    "or more",
}
KEYS = {"choice": ("options",), "flag": (), "number": ("bounds",)}  # besides `why` and `kind`


class InvalidTable(ValueError):
    """A table that cannot be used: which question is wrong, in which key, and what is allowed."""


@dataclass(frozen=True)
class Question:
    """One question, and the values that are kept of its answers."""

    name: str
    why: str
    kind: str
    values: tuple[str, ...]  # in the order in which they are shown
    bounds: tuple[int, ...] = ()

    @cached_property
    def section(self) -> str:
        """The section of the cache that has the answers: another one if the values change."""
        meaning = blake2b(repr((self.kind, self.values)).encode(), digest_size=4).hexdigest()
        return f"answers:{self.name}:{meaning}"

    @property
    def answer_type(self) -> Any:
        """The type of an answer; null is no answer."""
        # JSON has one type of numbers: 12.0 and 1.2e1 are whole, too.
        whole = Annotated[int, Meta(ge=0)] | Annotated[float, Meta(ge=0, multiple_of=1)]
        types: dict[str, Any] = {"choice": str, "flag": bool, "number": whole}
        return types[self.kind] | None

    @property
    def rule(self) -> str:
        """What a refusal says that an answer must be."""
        rules = {
            "choice": "a string",
            "flag": "true or false",
            "number": "a whole number, 0 or more",
        }
        return f"{rules[self.kind]}, or null or left out"

    @property
    def sent(self) -> str:
        """What is sent, for a table in the docs."""
        sent = {"choice": "a name", "flag": "true or false", "number": "a whole number"}
        return sent[self.kind]

    @property
    def stored(self) -> str:
        """What is stored of an answer, for a table in the docs."""
        listed = ", ".join(self.values)
        stored = {
            "choice": f"one of {listed}",
            "flag": "true or false",
            "number": f"only its range, one of {listed}",
        }
        return stored[self.kind]

    @property
    def example(self) -> Any:
        """An answer."""
        examples = {"choice": self.values[0], "flag": True, "number": sum(self.bounds[:1])}
        return examples[self.kind]

    def kept(self, answer: Any) -> str:
        """Return the value that is kept of an answer."""
        if self.kind == "flag":
            return "true" if answer else "false"
        if self.kind == "number":
            return self.values[bisect_right(self.bounds, answer)]
        return answer if answer in self.values else OTHER


Table = tuple[Question, ...]
_latest: tuple[Any, Table] = ("", ())


def table(setting: Any) -> Table:
    """Return the questions of a table, or of the TOML file at a path. Raises InvalidTable.

    An empty setting has no questions. The latest table is remembered: its file is read once.
    """
    global _latest  # noqa: PLW0603  the one memory of the latest table
    latest = _latest
    if latest[0] is not setting:
        latest = _latest = setting, tuple(_questions(_content(setting)))
    return latest[1]


def _content(setting: Any) -> Mapping[str, Any]:
    if isinstance(setting, Mapping) or not setting:
        return setting or {}
    try:
        return tomllib.loads(Path(setting).read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidTable(f"{setting} cannot be read: {error.strerror}.") from None
    except ValueError as error:  # no TOML, or no UTF-8
        raise InvalidTable(f"{setting} is not a TOML file: {error}.") from None


def _questions(content: Mapping[str, Any]) -> Iterator[Question]:
    if len(content) > MAX_QUESTIONS:
        raise InvalidTable(f"{len(content)} questions are too many; ask at most {MAX_QUESTIONS}.")
    for name, entry in content.items():
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,23}", name):
            raise InvalidTable(f"The question {name!r} has an invalid name; use {NAME}.")
        if not isinstance(entry, Mapping):
            raise InvalidTable(f"The question {name!r} must be a table: write [{name}] above it.")
        yield _question(name, entry)


def _question(name: str, entry: Mapping[str, Any]) -> Question:
    kind = str(entry.get("kind"))
    keys = ("why", "kind", *KEYS.get(kind, ()))
    for key in keys:
        if not VALID[key](entry.get(key)):
            problem = f"{key} is {entry[key]!r}; it" if key in entry else f"{key} is missing; it"
            raise InvalidTable(f"The question {name!r}: {problem} must be {ALLOWED[key]}.")
    if unknown := sorted(entry.keys() - set(keys)):
        raise InvalidTable(
            f"The question {name!r}: {unknown[0]} is not a key of a {kind}, which has "
            f"{', '.join(keys)}."
        )
    bounds = tuple(entry.get("bounds", ()))
    values = {
        "choice": (*entry.get("options", ()), OTHER),
        "flag": ("true", "false"),
        "number": tuple(_ranges(bounds)),
    }
    return Question(name, entry["why"], kind, values[kind], bounds)


def _ranges(bounds: tuple[int, ...]) -> Iterator[str]:
    """Return the names of the ranges that the bounds separate."""
    for first, next_ in pairwise((0, *bounds)):
        yield f"{first}-{next_ - 1}" if next_ - 1 > first else f"{first}"
    if bounds:
        yield f"{bounds[-1]}+"


def _is_list(value: Any, most: int) -> bool:
    return isinstance(value, (list, tuple)) and 1 <= len(value) <= most


def _are_options(value: Any) -> bool:
    return (
        _is_list(value, MAX_OPTIONS)
        and all(
            isinstance(each, str) and re.fullmatch(r"[A-Za-z0-9 ._-]{1,24}", each) for each in value
        )
        and len({*value, OTHER}) == len(value) + 1
    )


def _are_bounds(value: Any) -> bool:
    return (
        _is_list(value, MAX_BOUNDS)
        and all(type(each) is int for each in value)
        and all(first < next_ for first, next_ in pairwise((0, *value)))
    )


VALID: dict[str, Callable[[Any], bool]] = {
    "why": lambda value: (
        isinstance(value, str)
        and 1 <= len(value) <= 300
        and value.isprintable()
        and "|" not in value  # which separates the columns of a table in the docs
    ),
    "kind": lambda value: isinstance(value, str) and value in KEYS,
    "options": _are_options,
    "bounds": _are_bounds,
}
