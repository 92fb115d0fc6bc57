"""The configuration file: the tables that an operator can change without a restart.

HEADCOUNT_CONFIG_FILE is the path of a TOML file, or a mapping with the same content:

    version = 1
    min_group = 3
    known_names_only = true
    images = ["ghcr.io/manyfold3d/manyfold"]

    [hide]
    app = ["rude*"]

    [releases]
    "0.91.2" = {date = 2026-05-01}
    "0.91.0" = {date = 2026-04-01, vulnerable = true}

    [questions.sso]
    what = "whether single sign-on is set up"
    why = "to see whether single sign-on is worth the work that it takes"
    kind = "flag"

Every key but `version` may be left out. `docs/examples/` explains them all.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date
from functools import cached_property, lru_cache, reduce
from operator import getitem
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import msgspec
from django.conf import settings
from django.core.signals import setting_changed
from msgspec import Meta, Struct

from collector import patterns, questions
from collector.folding import NO_RELEASE, is_final, order, release, repository
from collector.questions import MAX_QUESTIONS, Table

P = ParamSpec("P")
R = TypeVar("R")
MAX_FILE = 2**18  # bytes
MAX_QUOTE = 80  # characters of an invalid value that an error quotes

Names = tuple[Annotated[str, Meta(pattern=r"^[ -~]{0,257}\Z")], ...]  # with a final `\*`


class Hide(Struct, frozen=True, forbid_unknown_fields=True):
    """The names that are not listed, by field; a final `*` matches any ending, as in filters."""

    app: Names = ()
    image: Names = ()
    arch: Names = ()


NO_HIDE = Hide()


class Release(Struct, frozen=True, forbid_unknown_fields=True):
    """A release that the application's makers published, as they spell it."""

    # The client accepts no longer name.
    name: Annotated[str, Meta(max_length=32)]
    date: date
    vulnerable: bool = False

    def __post_init__(self) -> None:
        if release(self.name) == NO_RELEASE:
            raise ValueError("Unusable `name`")


class Config(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """The content of the file."""

    version: Annotated[int, Meta(ge=1, le=1)]
    min_group: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    known_names_only: bool = False
    images: Names = ()
    hide: Hide = NO_HIDE
    releases: tuple[Release, ...] = ()
    questions: Annotated[Table, Meta(max_length=MAX_QUESTIONS)] = ()

    def __post_init__(self) -> None:
        hidden = patterns.parse(self.hide.app)
        if len(self.published) < len(self.releases) or any(map(hidden.match, self.published)):
            raise ValueError("Unusable `releases`")

    @cached_property
    def published(self) -> Mapping[str, Release]:
        """The releases by their folded names."""
        return {release(each.name): each for each in self.releases}

    @cached_property
    def latest(self) -> str | None:
        """The newest final release, as names fold to it."""
        return max(filter(is_final, self.published), key=order, default=None)

    @cached_property
    def known_images(self) -> Mapping[str, str]:
        """The images as they are listed, by themselves and by the repository to which they fold."""
        return {repository(each): each for each in self.images} | {
            each: each for each in self.images
        }


NO_CONFIG = Config(1)
# The tables whose keys are names, which `_with_lists` turns into lists.
NAMED = ("questions", "releases")
_HIDDEN = "a list of names of printable ASCII characters; a final * matches any ending"
# What an error says that each key must be. NAME stands for a name that the file chooses.
ALLOWED = {
    "": "a table with version, min_group, known_names_only, images, hide, releases and questions",
    "version": "1, and the first line of the file",
    "min_group": "a whole number from 1 to a billion",
    "known_names_only": "true or false",
    "images": "a list of names of printable ASCII characters",
    "hide": "a table with app, image and arch",
    **{f"hide.{field}": _HIDDEN for field in Hide.__struct_fields__},
    "releases": 'a table of different releases that [hide] does not have, such as "0.91.2" = {date '
    "= 2026-05-01}",
    "releases.NAME": "a table with date, and with vulnerable = true if the release is vulnerable",
    "releases.NAME.name": 'a release of at most 32 characters, such as "0.91.2"',
    "releases.NAME.date": "a date, such as 2026-05-01",
    "releases.NAME.vulnerable": "true or false",
    "questions": f"a table of at most {MAX_QUESTIONS} questions, such as [questions.sso]",
    "questions.NAME": "a table with what, why, kind, and the options or bounds of its kind",
    **{f"questions.NAME.{key}": text for key, text in questions.ALLOWED.items()},
}


class InvalidConfig(ValueError):
    """The configuration cannot be used. The message has the key, its value and the remedy.

    `reason` says the same without quoting the file.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message


class Source:
    """The configuration in force, and the file from which it comes."""

    # The content of the file, or the reason why it cannot be read: at the latest look, and when it
    # was judged last.
    seen: bytes | str | None = None
    judged: bytes | str | None = None
    reloaded = True  # whether the content that was judged last is in force

    @cached_property
    def in_force(self) -> Config:
        """The configuration, read at the first access. Raises InvalidConfig."""
        if isinstance(self.setting, Mapping):
            return read(self.setting) if self.setting else NO_CONFIG
        if self.path is None:
            return NO_CONFIG
        content = _content(self.path)
        config = parse(content)
        self.judged = content
        return config

    @property
    def setting(self) -> Any:
        """The path of the file, or a mapping in its place; empty if there is none."""
        return getattr(settings, "HEADCOUNT_CONFIG_FILE", None)

    @property
    def path(self) -> Path | None:
        """The path of the file, or None if there is none. Raises InvalidConfig."""
        if not self.setting or isinstance(self.setting, Mapping):
            return None
        if not isinstance(self.setting, str | PathLike):
            raise InvalidConfig("HEADCOUNT_CONFIG_FILE must be the path of a file, or a mapping.")
        return Path(self.setting)

    def look(self) -> str | None:
        """Look at the file, and use its content if it has changed and is the same at two looks.

        If the content cannot be used, keep the configuration, and return why, once.
        """
        if self.path is None:
            return None
        seen, self.seen = self.seen, _content(self.path)
        if self.seen == self.judged or self.seen != seen:
            return None
        self.judged = self.seen
        try:
            self.in_force = parse(self.judged)
        except InvalidConfig as error:
            self.reloaded = False
            return error.reason
        self.reloaded = True
        return None

    def reset(self, **kwargs: Any) -> None:
        """Read the setting again, to follow `override_settings`."""
        vars(self).clear()


source = Source()
setting_changed.connect(source.reset)


def remembered(function: Callable[P, R]) -> Callable[P, R]:
    """Make a function keep its latest results until the configuration or a setting changes."""

    @lru_cache(2)
    def result(config: Config, *args: P.args, **kwargs: P.kwargs) -> R:
        return function(*args, **kwargs)

    setting_changed.connect(lambda **kwargs: result.cache_clear(), weak=False)
    return lambda *args, **kwargs: result(source.in_force, *args, **kwargs)


def parse(content: bytes | str) -> Config:
    """Return the configuration in TOML. Raises InvalidConfig; a text says why there is no TOML."""
    if isinstance(content, str):
        raise InvalidConfig(f"The configuration file cannot be read: {content}.")
    try:
        table = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        position = re.search(r" \(at [a-z0-9, ]+\)\Z", str(error))
        raise InvalidConfig(
            f"The configuration file is not in TOML: {_quoted(str(error))}.",
            f"The configuration file is not in TOML{position[0] if position else ''}.",
        ) from None
    return read(table)


def read(content: Mapping[str, Any]) -> Config:
    """Return the configuration in a mapping. Raises InvalidConfig."""
    try:
        return msgspec.convert(_with_lists(content), Config)
    except (ValueError, TypeError, RecursionError) as error:
        try:
            invalid = _invalid(str(error), content)
        except (LookupError, TypeError):  # a key looks like a part of msgspec's message
            invalid = InvalidConfig(f"The configuration is invalid; it must be {ALLOWED['']}.")
        raise invalid from None


def _content(path: Path) -> bytes | str:
    """Return the content of a file, or why it cannot be read."""
    try:
        if path.exists() and not path.is_file():
            return "it is not a file"
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
    except (OSError, ValueError) as error:
        return getattr(error, "strerror", None) or "its name is invalid"
    return content if len(content) <= MAX_FILE else f"it is larger than {MAX_FILE} bytes"


def _with_lists(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content with a list in place of each table in NAMED; its entries have names."""
    result = dict(content)
    for section in result.keys() & {*NAMED}:
        entries = result[section]
        if not isinstance(entries, Mapping):
            raise ValueError(f"Not a table - at `$.{section}`")
        for number, entry in enumerate(entries.values()):
            if isinstance(entry, Mapping) and "name" in entry:
                raise ValueError(
                    f"Object contains unknown field `name` - at `$.{section}[{number}]`"
                )
        result[section] = [
            {**entry, "name": name} if isinstance(entry, Mapping) else entry
            for name, entry in entries.items()
        ]
    return result


def _invalid(error: str, content: Mapping[str, Any]) -> InvalidConfig:
    """Return the error for msgspec's "Expected `int`, got `str` - at `$.questions[0].bounds`"."""
    at = re.search(r"`\$([\w.\[\]]*)`\Z", error)
    keys: list[Any] = re.findall(r"\w+", at[1]) if at else []
    if inner := re.match(r"(?:Unusable|Object missing required field) `(\w+)`", error):
        keys.append(inner[1])
    if keys[1:] and keys[0] in NAMED:
        name = [*content[keys[0]]][int(keys[1])]
        keys, schema = [keys[0], name, *keys[2:3]], [keys[0], "NAME", *keys[2:3]]
    else:
        keys = schema = [key for key in keys if not key.isdecimal()]
    must = f"it must be {ALLOWED['.'.join(schema)]}."
    where = ".".join(map(_key, keys)) or "The configuration"
    place = ".".join(schema) or "The configuration"
    if unknown := re.match(
        r"Object contains unknown field `(.*?)`( - at `[^`]*`)?\Z", error, re.DOTALL
    ):
        return InvalidConfig(
            f"{where} has the key {_quoted(unknown[1])}; {must}", f"{place} has another key; {must}"
        )
    if error.startswith("Expected `str` - at `key`"):
        return InvalidConfig(f"{where} has a key that is no text; {must}")
    if error.startswith("Object missing"):
        return InvalidConfig(f"{where} is missing; {must}", f"{place} is missing; {must}")
    found = keys[1] if schema[2:] == ["name"] else reduce(getitem, keys, content)
    return InvalidConfig(f"{where} is {_quoted(found)}; {must}", f"{place} is invalid; {must}")


def _key(key: Any) -> str:
    return str(key) if re.fullmatch(r"[\w-]+", str(key), re.ASCII) else _quoted(key)


def _quoted(value: Any) -> str:
    """Return a value as an error shows it, on one line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits or brackets
        return "too large"
    return text if len(text) <= MAX_QUOTE else f"{text[:MAX_QUOTE]}…"
