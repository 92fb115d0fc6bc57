r"""Patterns, in which filters and `[hide]` are written.

A pattern is a name, or a beginning of names if it ends in `*`; `\*` stands for a literal `*` there.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Patterns:
    """Names and beginnings of names."""

    names: frozenset[str]
    prefixes: tuple[str, ...]

    def match(self, name: str) -> bool:
        return name in self.names or name.startswith(self.prefixes)


def parse(patterns: Iterable[str]) -> Patterns:
    """Return the patterns as they are matched."""
    names, prefixes = set(), []
    for pattern in patterns:
        if not pattern.endswith("*"):
            names.add(pattern)
            continue
        text, backslashes = _split(pattern)
        start = text + backslashes[: len(backslashes) // 2]
        if len(backslashes) % 2:
            names.add(f"{start}*")
        else:
            prefixes.append(start)
    return Patterns(frozenset(names), tuple(prefixes))


def exact(name: str) -> str:
    r"""Return the pattern that matches this name only; a final `*` becomes `\*`."""
    if not name.endswith("*"):
        return name
    text, backslashes = _split(name)
    return text + 2 * backslashes + r"\*"


def _split(pattern: str) -> tuple[str, str]:
    """Split a pattern that ends in `*` into its text and the backslashes before the star."""
    text = pattern[:-1].rstrip("\\")
    return text, pattern[len(text) : -1]
