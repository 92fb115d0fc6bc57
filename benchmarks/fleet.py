"""Reports of equal length, the same in every run for the same seed.

`simulation.fleet` behaves like a real fleet. These reports do not: here each report must cost the
same, and a million of them must take little time to make.
"""

import json
import random
import uuid
from collections.abc import Iterator
from typing import Any

ANSWERS = {"database": "sqlite", "users": 12, "sso": True, "photos": 2345}


def ids(count: int, seed: object) -> Iterator[str]:
    """Yield random UUIDs of version 4."""
    source = random.Random(repr(seed))
    for _ in range(count):
        yield str(uuid.UUID(int=source.getrandbits(128), version=4))


def version(number: int, distinct: int) -> dict[str, str | None]:
    """Return one of `distinct` versions."""
    app = f"v0.{100 + number % distinct % 900}.{number % distinct // 900}"
    return {"app": app, "image": "ghcr.io/example/app", "arch": "x86_64"}


def longest_version(number: int) -> dict[str, str | None]:
    """Return a version with the longest names: half are releases, half need escapes in JSON."""
    digits = f"{number:0255b}"  # as many characters as the longest field may have
    escaped = digits.replace("0", '"').replace("1", "\\")
    app = f"1.1{digits[-125:]}" if number % 2 else escaped[-128:]
    return {"app": app, "image": escaped, "arch": escaped[-64:]}


def reports(count: int, seed: object, distinct: int = 400) -> Iterator[bytes]:
    """Yield the bodies of reports of new instances."""
    for number, name in enumerate(ids(count, seed)):
        yield body(name, version(number, distinct))


def longest_reports(count: int, seed: object) -> Iterator[bytes]:
    """Yield the bodies of reports, each with another one of the longest versions."""
    for number, name in enumerate(ids(count, seed)):
        yield body(name, longest_version(number))


def body(name: str, reported: dict[str, str | None], **more: Any) -> bytes:
    """Return the body of a report; `more` are further members, such as `answers`."""
    return json.dumps({"id": name, "version": {**reported, "sha": "3f1c0e9a"}, **more}).encode()
