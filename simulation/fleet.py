"""A made-up fleet that behaves like a real one; the same in every run for the same seed.

It grows, releases roll out over it, and installations come and go. It is for demonstrations, load
and pictures; no report of a real installation goes through here.
"""

import math
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

IMAGES = {
    "ghcr.io/manyfold3d/manyfold": 55,
    "ghcr.io/manyfold3d/manyfold-solo": 20,
    "docker.io/linuxserver/manyfold": 10,
    None: 15,
}
ARCHITECTURES = {
    "x86_64-linux": 62,
    "aarch64-linux": 20,
    "x86_64-linux-musl": 12,
    "arm-linux-musleabihf": 4,
    "armv7l-linux-eabihf": 1,
    "riscv64-linux": 1,
}
SHARE_AT_FIRST = 0.6  # of the fleet's final size
LEAVING = 0.004  # a day, of the final size: installations that go, beside those that stay
SILENT = 0.03  # of the installations on a day: switched off, or without a network
LAG = 6  # days between a release and its installation, on average
PINNED = 0.08  # of the installations that never upgrade
NIGHTLY = 0.01  # of the installations that run no release
BEFORE = 60  # days before the first on which the oldest release was published
OPTING_OUT = 0.5  # of those that go; the others are installed anew, and have another id
CI = 0.01  # machines made for a test, a day, of the final size: each reports once


@dataclass(frozen=True)
class Installation:
    """What is random about one installation, drawn once; days count from the fleet's first."""

    id: str
    image: str | None
    arch: str
    born: int
    gone: float
    opts_out: bool
    lag: float
    pinned: bool
    nightly: bool


class Fleet:
    """So many installations after so many days, and the releases published meanwhile."""

    def __init__(self, size: int, days: int = 90, releases: int = 14, seed: int = 0) -> None:
        source = random.Random(seed)  # noqa: S311  nothing secret is drawn
        self.size = size
        self.seed = seed
        self.published = _releases(releases, days)
        self.installations = []
        for _ in range(round(size * LEAVING * days) if days > 1 else 0):
            leaves = source.randrange(1, days)
            left = _installation(source, source.randrange(leaves), leaves)
            self.installations.append(left)
            if not left.opts_out:
                self.installations.append(_installation(source, leaves, math.inf))
        staying = size - sum(each.gone == math.inf for each in self.installations)
        at_first = max(1, round(staying * SHARE_AT_FIRST))
        for day in [0] * at_first + [source.randrange(days) for _ in range(staying - at_first)]:
            self.installations.append(_installation(source, day, math.inf))

    def reports(self, day: int) -> Iterator[tuple[str, dict[str, str | None]]]:
        """The id and the version of each installation that reports on a day."""
        source = random.Random(self.seed * 1000 + day)  # noqa: S311  as above
        for each in self.installations:
            if each.born <= day < each.gone and source.random() >= SILENT:
                yield each.id, self.version(each, day)

    def opt_outs(self, day: int) -> Iterator[str]:
        """The ids of the installations that opt out on a day, and ask to be forgotten."""
        return (each.id for each in self.installations if each.gone == day and each.opts_out)

    def ci(self, day: int) -> Iterator[tuple[str, dict[str, str | None]]]:
        """The reports of machines that are made for a test on a day and thrown away."""
        source = random.Random(f"{self.seed} {day}")  # noqa: S311  as above
        newest = [name for at, name in self.published if at <= day][-1]
        for _ in range(round(self.size * CI)):
            yield _id(source), {"app": newest, "image": None, "arch": "x86_64-linux"}

    def version(self, each: Installation, day: int) -> dict[str, str | None]:
        """What an installation runs on a day."""
        looked = each.born if each.pinned else day - each.lag
        published = [name for at, name in self.published if at <= looked]
        app = "nightly" if each.nightly else published[-1] if published else self.published[0][1]
        return {"app": app, "image": each.image, "arch": each.arch}


def _releases(count: int, days: int) -> list[tuple[float, str]]:
    """Releases at even distances, every third a correction of the one before."""
    every = (days + BEFORE) / count
    names, minor, patch = [], 80, 0
    for number in range(count):
        patch = 1 if number % 3 == 1 else 0
        minor += not patch
        names.append((number * every - BEFORE, f"0.{minor}.{patch}"))
    return names


def _installation(source: Any, born: int, gone: float) -> Installation:
    return Installation(
        id=_id(source),
        image=source.choices(list(IMAGES), IMAGES.values())[0],
        arch=source.choices(list(ARCHITECTURES), ARCHITECTURES.values())[0],
        born=born,
        gone=gone,
        opts_out=source.random() < OPTING_OUT,
        lag=source.expovariate(1 / LAG),
        pinned=source.random() < PINNED,
        nightly=source.random() < NIGHTLY,
    )


def _id(source: Any) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))
