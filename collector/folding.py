"""Folding: what many values as sent have in common. This module holds all of its rules.

- The release of a version is the version without its leading `v` and its build suffix: `v0.89.0`,
  `0.89` and `0.89.0-alpine` are 0.89.0. A pre-release is a release of its own. A development build
  (`0.92.0-dev`, `0.92.0-SNAPSHOT`, `0.92.0.dev5`) is no release, and neither is a version that does
  not begin with a dotted number (`unknown`, `edge`, `pr-12`, `sha-0a1b2c3`), or whose release would
  be longer than a version may be.
- The repository of an image is the image without the host of its registry: `ghcr.io/a/b` and `a/b`
  are a/b.
- The family of an architecture is its kind of processor, one of FAMILIES or "other".

Each rule takes a value as sent, with "" for a missing one.
"""

import re

from packaging.version import Version

NO_RELEASE = ""
MAX_RELEASE = 128  # characters, as of a version; padding makes `1.2` longer
OTHER = "other"
FINAL = ("~",)  # comes after "a", "b" and "rc"

# The number in front, and a pre-release as packaging's scheme (PEP 440) knows it. Debian's versions
# have a tilde before it.
_RELEASE = re.compile(
    r"v?(\d+(?:\.\d+)+(?:[-._~]?(?:alpha|beta|a|b|c|rc|pre|preview)[-._]?\d*(?![a-z\d]))?)",
    re.IGNORECASE,
)
_DEVELOPMENT = re.compile(r"[-._+~](?:dev|snapshot|nightly|canary)(?![a-z])", re.IGNORECASE)
# The first pattern that matches the beginning of an architecture decides.
FAMILIES = {
    "64-bit x86": re.compile(r"x86[_-]64|amd64|x64", re.IGNORECASE),
    "32-bit x86": re.compile(r"i[3-6]86|x86|ia32", re.IGNORECASE),
    "64-bit ARM": re.compile(r"aarch64|arm64", re.IGNORECASE),
    "32-bit ARM": re.compile(r"arm", re.IGNORECASE),
    "RISC-V": re.compile(r"riscv", re.IGNORECASE),
    "POWER": re.compile(r"powerpc|ppc", re.IGNORECASE),
    "s390x": re.compile(r"s390", re.IGNORECASE),
}


def release(app: str) -> str:
    """Return the release of a version, with at least three numbers, or NO_RELEASE."""
    match = _RELEASE.match(app)
    if not match:
        return NO_RELEASE
    suffix = app[match.end() :]
    if suffix[:1].isalnum() or _DEVELOPMENT.search(suffix):
        return NO_RELEASE
    version = Version(match[1].replace("~", ""))
    numbers = [*version.release, 0, 0][: max(3, len(version.release))]
    while len(numbers) > 3 and not numbers[-1]:
        numbers.pop()
    pre = "".join(map(str, version.pre)) if version.pre else ""
    name = ".".join(map(str, numbers)) + pre
    return name if len(name) <= MAX_RELEASE else NO_RELEASE


def order(name: str) -> tuple[tuple[int, ...], tuple[str | int, ...]]:
    """Return what to compare a release by: its numbers, then its pre-release, if it is one."""
    version = Version(name)
    return version.release, version.pre or FINAL


def is_final(name: str) -> bool:
    """Return whether a release is final, and not a pre-release."""
    return order(name)[1] == FINAL


def repository(image: str) -> str:
    """Return the name of an image without the host of its registry."""
    host, slash, rest = image.partition("/")
    # Docker's own rule: the first part is a host if it has a dot or a port, or is localhost.
    is_host = slash and ("." in host or ":" in host or host == "localhost")
    return rest if is_host else image


def family(arch: str) -> str:
    """Return the family of an architecture. A family is its own."""
    if arch in FAMILIES:
        return arch
    return next((name for name, pattern in FAMILIES.items() if pattern.match(arch)), OTHER)
