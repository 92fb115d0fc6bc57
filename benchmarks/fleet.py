"""A made-up fleet: ids, versions and reports, the same in every run for the same seed."""

import json
import random
import uuid
from collections.abc import Iterator

# The receipt of any report below; only its length matters, and `ingest` compares that.
RECEIPT = json.dumps(
    {
        "stored": {
            "app": "v0.100.0",
            "image": "ghcr.io/example/app",
            "arch": "x86_64",
        },
        "forgotten_at": "2026-12-02T00:00:00Z",
    },
    separators=(",", ":"),
).encode()


def ids(count: int, seed: object) -> Iterator[str]:
    """Random UUIDs of version 4."""
    source = random.Random(repr(seed))
    for _ in range(count):
        yield str(uuid.UUID(int=source.getrandbits(128), version=4))


def version(number: int, distinct: int) -> dict[str, str | None]:
    """What an installation runs: one of `distinct` versions, all of the same length."""
    return {
        "app": f"v0.{100 + number % distinct % 900}.{number % distinct // 900}",
        "image": "ghcr.io/example/app",
        "arch": "x86_64",
    }


def longest(number: int) -> dict[str, str | None]:
    """A version of the longest names: every other one is a release, the rest JSON escapes."""
    digits = f"{number:0255b}"  # as many as the longest field takes
    escaped = digits.replace("0", '"').replace("1", "\\")
    app = f"1.1{digits[-125:]}" if number % 2 else escaped[-128:]
    return {"app": app, "image": escaped, "arch": escaped[-64:]}


def reports(count: int, seed: object, distinct: int = 400) -> Iterator[bytes]:
    """The bodies that a fleet's installations send."""
    for number, name in enumerate(ids(count, seed)):
        yield body(name, version(number, distinct))


def longest_reports(count: int, seed: object) -> Iterator[bytes]:
    """The same of a hostile fleet, each of a version of its own."""
    for number, name in enumerate(ids(count, seed)):
        yield body(name, longest(number))


def body(name: str, version: dict[str, str | None]) -> bytes:
    """The body of a report."""
    return json.dumps({"id": name, "version": {**version, "sha": "3f1c0e9a"}}).encode()
