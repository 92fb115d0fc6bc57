"""Folding: what many raw values have in common. The rules are here, and only here.

- A release is a version without its leading `v` and its build suffix: `v0.89.0`, `0.89` and
  `0.89.0-alpine` are 0.89.0. A pre-release is a release of its own. What has no number with a dot
  in front (`unknown`, `edge`, `pr-12`, `sha-0a1b2c3`) is no release.
- A repository is an image without its registry's host: `ghcr.io/a/b` and `a/b` are a/b.
- A family is the kind of processor in an architecture: 64-bit x86, 64-bit ARM, 32-bit ARM, other.

Each rule takes a raw value, "" for one that is missing, and is remembered for those seen lately.
"""

import re
from functools import lru_cache

from packaging.version import Version

NO_RELEASE = ""
X86, ARM64, ARM32, OTHER = "64-bit x86", "64-bit ARM", "32-bit ARM", "other"
SEEN = 20_000  # raw values remembered; twice as many as a cache keeps by default

# The number in front, and a pre-release as packaging's scheme (PEP 440) knows it.
_RELEASE = re.compile(
    r"v?(\d+(?:\.\d+)+(?:[-._]?(?:alpha|beta|a|b|c|rc|pre|preview)[-._]?\d*(?![a-z\d]))?)",
    re.IGNORECASE,
)
_FAMILIES = (
    (X86, re.compile(r"x86[_-]64|amd64|x64", re.IGNORECASE)),
    (ARM64, re.compile(r"aarch64|arm64", re.IGNORECASE)),
    (ARM32, re.compile(r"arm", re.IGNORECASE)),
)


@lru_cache(SEEN)
def release(app: str) -> str:
    """The release of a version, with three numbers at least; NO_RELEASE if it is none."""
    found = _RELEASE.match(app)
    if not found or app[found.end() :][:1].isalnum():
        return NO_RELEASE
    version = Version(found[1])
    numbers = [*version.release, 0, 0][: max(3, len(version.release))]
    while len(numbers) > 3 and not numbers[-1]:
        numbers.pop()
    pre = "".join(map(str, version.pre)) if version.pre else ""
    return ".".join(map(str, numbers)) + pre


@lru_cache(SEEN)
def order(name: str) -> Version:
    """What releases are compared by."""
    return Version(name)


@lru_cache(SEEN)
def repository(image: str) -> str:
    """An image's name without its registry's host."""
    host, slash, rest = image.partition("/")
    # Docker's own rule: the first part is a host if it has a dot or a port, or is localhost.
    is_host = slash and ("." in host or ":" in host or host == "localhost")
    return rest if is_host else image


def forget() -> None:
    """Remember no value that was seen."""
    for rule in (release, order, repository, family):
        rule.cache_clear()


@lru_cache(SEEN)
def family(arch: str) -> str:
    """The kind of processor of an architecture."""
    return next((name for name, pattern in _FAMILIES if pattern.match(arch)), OTHER)
