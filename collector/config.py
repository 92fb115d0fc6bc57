"""The configuration file: the tables that an operator can change without a restart.

HEADCOUNT_CONFIG_FILE is the path of a TOML file, or a mapping with the same content. Every key but
`version` may be left out; `docs/examples/` explains them all.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cached_property, lru_cache, partial
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, ParamSpec, TypeVar

import msgspec
from django.conf import settings
from django.core.signals import setting_changed
from msgspec import Meta, Struct

from collector import patterns, questions
from collector.folding import NO_RELEASE, OTHER, is_final, order, release, repository
from collector.patterns import Patterns
from collector.questions import KINDS, MAX_QUESTIONS, Kind, Question, Table

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=Struct)
MAX_FILE = 2**18  # bytes
MAX_QUOTE = 80  # characters of an invalid value that an error quotes
MAX_RELEASES = 500  # `/stats` has the date of each
MAX_RELEASE = 32  # characters of a release, as names fold to it; the client accepts no more

# A version and an image, as a report may have them, and the patterns of such names.
Version = Annotated[str, Meta(pattern=r"^[ -~]{1,128}\Z")]
Image = Annotated[str, Meta(pattern=r"^[ -~]{0,254}[ -)+-~]\Z")]  # without a final `*`
Names = tuple[Annotated[str, Meta(pattern=r"^[ -~]{0,257}\Z")], ...]  # with a final `\*`


class Hide(Struct, frozen=True, dict=True):
    """The names that are not listed, by field; a final `*` matches any ending, as in filters."""

    app: Names = ()
    image: Names = ()
    arch: Names = ()

    @cached_property
    def patterns(self) -> Mapping[str, Patterns]:
        """The patterns of hidden names by field, and of releases that are only known as they fold.

        The latter match too much rather than too little: `v1*` hides 1.0.0 there, too.
        """
        found = {field: patterns.parse(getattr(self, field)) for field in self.__struct_fields__}
        names = frozenset(release(name) or name for name in found["app"].names)
        prefixes = tuple(prefix.lstrip("vV") for prefix in found["app"].prefixes)
        return found | {"release": Patterns(names, prefixes)}

    def match(self, kind: str, sent: str, folded: str) -> bool:
        """Return whether a name is hidden, as it was sent or as it folds."""
        return any(map(self.patterns[kind].match, (sent, folded or sent)))


class Release(Struct, frozen=True):
    """A release that the application's makers published, as they spell it."""

    name: Version
    date: date
    vulnerable: bool = False

    def __post_init__(self) -> None:
        if not len(NO_RELEASE) < len(release(self.name)) <= MAX_RELEASE:
            raise ValueError("name")


class Config(Struct, frozen=True, dict=True, cache_hash=True):
    """The content of the file."""

    version: Annotated[int, Meta(ge=1, le=1)]
    min_group: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    known_names_only: bool = False
    images: tuple[Image, ...] = ()
    hide: Hide = Hide()
    releases: Annotated[tuple[Release, ...], Meta(max_length=MAX_RELEASES)] = ()
    questions: Annotated[Table, Meta(max_length=MAX_QUESTIONS)] = ()

    def __post_init__(self) -> None:
        hidden = (self.hide.match("app", each.name, name) for name, each in self.published.items())
        if len(self.published) < len(self.releases) or any(hidden):
            raise ValueError("releases")

    @cached_property
    def published(self) -> Mapping[str, Release]:
        """The releases by their folded names, newest first."""
        releases = {release(each.name): each for each in self.releases}
        return {name: releases[name] for name in sorted(releases, key=order, reverse=True)}

    @cached_property
    def latest(self) -> str | None:
        """The newest final release, as names fold to it."""
        return next(filter(is_final, self.published), None)

    @cached_property
    def known_images(self) -> Mapping[str, str]:
        """The images as they are listed, by themselves and by the repository to which they fold."""
        folded = {repository(each): each for each in self.images}
        return folded | {each: each for each in self.images}

    def spelling(self, field: str, sent: str, folded: str) -> str:
        """Return what `known_names_only` stores: the spelling of the file, or OTHER."""
        if self.hide.match(field, sent, folded):
            return OTHER
        if field == "app":
            return self.published[folded].name if folded in self.published else OTHER
        if field == "image":
            return self.known_images.get(sent) or self.known_images.get(folded, OTHER)
        return folded


NO_CONFIG = Config(1)
_HIDDEN = "a list of names of printable ASCII characters; a final * matches any ending"
# What an error says that each key must be. NAME stands for a name that the file chooses.
ALLOWED = {
    "": "a table with version, min_group, known_names_only, images, hide, releases and questions",
    "version": "1, and the first key of the file",
    "min_group": "a whole number from 1 to a billion",
    "known_names_only": "true or false",
    "images": "a list of names of 1 to 255 printable ASCII characters, without a final *, which is "
    "no pattern here",
    "hide": "a table with app, image and arch",
    **{f"hide.{field}": _HIDDEN for field in Hide.__struct_fields__},
    "releases": f"a table of at most {MAX_RELEASES} different releases that [hide] does not have, "
    'such as "0.91.2" = {date = 2026-05-01}',
    "releases.NAME": "a table with date, and with vulnerable = true if the release is vulnerable",
    "releases.NAME.name": f"a release in printable ASCII characters, of at most {MAX_RELEASE} as "
    'versions fold to it, such as "0.91.2"',
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
        self.judged = _content(self.path)
        return parse(self.judged)

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
        table = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        position = re.search(r" \(at [a-z0-9, ]+\)\Z", str(error))
        raise InvalidConfig(
            f"The configuration file is not in TOML: {_quoted(str(error))}.",
            f"The configuration file is not in TOML{position[0] if position else ''}.",
        ) from None
    return read(table)


def read(content: Mapping[str, Any]) -> Config:
    """Return the configuration in a mapping. Raises InvalidConfig."""
    config = _struct(Config, content)
    if next(iter(content)) != "version":
        raise _invalid(("version",), "is not the first key")
    return config


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


def _struct(kind: type[S], content: Any, *keys: str) -> S:
    """Return the struct in a table of the file; `keys` lead to it. Raises InvalidConfig."""
    table, fields = _table(content, *keys), msgspec.structs.fields(kind)
    for key in table:
        if key not in {field.name for field in fields} - {"name"}:
            raise _invalid(keys, f"has the key {_quoted(key)}", "has another key")
    table = {**table, "name": keys[-1] if keys else ""}  # of a question or a release
    values = {
        field.name: _value(field.type, table, *keys, field.name)
        for field in fields
        if field.required or field.name in table
    }
    try:
        return kind(**values)
    except ValueError as error:  # from `__post_init__`, with the key
        keys = (*keys, str(error))
        raise _invalid(keys, f"is {_quoted(table[keys[-1]])}", "is invalid") from None


def _value(kind: Any, table: Mapping[str, Any], *keys: str) -> Any:
    """Return the value of the last key, which a table of the file has. Raises InvalidConfig."""
    if keys[-1] not in table:
        raise _invalid(keys, "is missing")
    content = table[keys[-1]]
    value = READERS[keys](content, *keys) if keys in READERS else content
    try:
        return msgspec.convert(value, kind)
    except (ValueError, TypeError, RecursionError):
        raise _invalid(keys, f"is {_quoted(content)}", "is invalid") from None


def _entries(reader: Callable[..., S], content: Any, *keys: str) -> tuple[S, ...]:
    return tuple(reader(each, *keys, name) for name, each in _table(content, *keys).items())


def _question(content: Any, *keys: str) -> Question:
    table = dict(_table(content, *keys))
    kind = _value(Kind, table, *keys, "kind")
    del table["kind"]
    return _struct(KINDS[kind], table, *keys)


# What reads the tables of the file.
READERS: dict[tuple[str, ...], Callable[..., Any]] = {
    ("hide",): partial(_struct, Hide),
    ("releases",): partial(_entries, partial(_struct, Release)),
    ("questions",): partial(_entries, _question),
}


def _table(content: Any, *keys: str) -> Mapping[str, Any]:
    if not isinstance(content, Mapping):
        raise _invalid(keys, f"is {_quoted(content)}", "is invalid")
    return content


def _invalid(keys: Sequence[str], problem: str, reason: str = "") -> InvalidConfig:
    """Return the error for a key of the file. The reason does not quote the file."""
    is_named = keys[1:] and keys[0] in ("questions", "releases")
    schema = (keys[0], "NAME", *keys[2:]) if is_named else keys
    must = f"it must be {ALLOWED['.'.join(schema)]}."
    where, place = (".".join(path) or "The configuration" for path in (map(_key, keys), schema))
    return InvalidConfig(f"{where} {problem}; {must}", f"{place} {reason or problem}; {must}")


def _key(key: Any) -> str:
    is_bare = isinstance(key, str) and re.fullmatch(r"[\w-]+", key, re.ASCII)
    return key if is_bare else _quoted(key)


def _quoted(value: Any) -> str:
    """Return a value as an error shows it, on one line."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # thousands of digits or brackets
        return "too large"
    return text if len(text) <= MAX_QUOTE else f"{text[:MAX_QUOTE]}…"
