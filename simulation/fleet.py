"""A made-up fleet that behaves like a real one, and is the same for the same seed.

The fleet grows, adopts releases, and its instances come and go. It is for demonstrations, load
tests and pictures; reports of real instances have nothing to do with it.
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
SHARE_AT_FIRST = 0.6  # of the instances at the end
LEAVING = 0.004  # per day, of the instances at the end: these leave, besides those that stay
SILENT = 0.03  # of the instances on a day: switched off, or without a network
LAG = 6  # days from a release to its installation, on average
PINNED = 0.08  # of the instances, which are never upgraded
NIGHTLY = 0.01  # of the instances, which run no release
BEFORE = 60  # days from the first release to the first day
OPTING_OUT = 0.5  # of those that leave; the others are installed again, and have another id
CI = 0.01  # per day, of the instances at the end: test machines, which report once


@dataclass(frozen=True)
class Instance:
    """What is random about one instance. Days count from the first day of the fleet."""

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
    """A number of instances after a number of days, and the releases published by then."""

    def __init__(self, size: int, days: int = 90, releases: int = 14, seed: int = 0) -> None:
        if size < 0 or days < 1 or releases < 1:
            raise ValueError("a fleet needs at least one day and one release")
        source = random.Random(seed)  # noqa: S311  nothing secret is drawn
        self.size = size
        self.seed = seed
        self.published = _releases(releases, days)
        self.instances: list[Instance] = []
        staying = size
        for _ in range(round(size * LEAVING * days) if days > 1 else 0):
            leaves = source.randrange(1, days)
            leaver = _instance(source, source.randrange(leaves), leaves)
            if not leaver.opts_out:
                if not staying:
                    continue
                staying -= 1
                self.instances.append(_instance(source, leaves, math.inf))
            self.instances.append(leaver)
        at_first = round(staying * SHARE_AT_FIRST)
        for day in [0] * at_first + [source.randrange(days) for _ in range(staying - at_first)]:
            self.instances.append(_instance(source, day, math.inf))

    def reports(self, day: int) -> Iterator[tuple[str, dict[str, str | None]]]:
        """Return the id and the version of each instance that reports on a day."""
        source = random.Random(self.seed * 1000 + day)  # noqa: S311  as above
        for each in self.instances:
            if each.born <= day < each.gone and source.random() >= SILENT:
                yield each.id, self.version(each, day)

    def opt_outs(self, day: int) -> Iterator[str]:
        """Return the ids of the instances that opt out on a day and erase their report."""
        return (each.id for each in self.instances if each.gone == day and each.opts_out)

    def ci(self, day: int) -> Iterator[tuple[str, dict[str, str | None]]]:
        """Return the ids and versions of the test machines that report on a day."""
        source = random.Random(f"{self.seed} {day}")  # noqa: S311  as above
        newest = [name for at, name in self.published if at <= day][-1]
        for _ in range(round(self.size * CI)):
            yield _id(source), {"app": newest, "image": None, "arch": "x86_64-linux"}

    def version(self, each: Instance, day: int) -> dict[str, str | None]:
        """Return what an instance runs on a day."""
        upgraded = each.born if each.pinned else day - each.lag
        published = [name for at, name in self.published if at <= upgraded]
        app = "nightly" if each.nightly else published[-1] if published else self.published[0][1]
        return {"app": app, "image": each.image, "arch": each.arch}


def _releases(count: int, days: int) -> list[tuple[float, str]]:
    """Return releases at equal intervals; every third one is a patch of the one before."""
    every = (days + BEFORE) / count
    names, minor, patch = [], 80, 0
    for number in range(count):
        patch = 1 if number % 3 == 1 else 0
        minor += not patch
        names.append((number * every - BEFORE, f"0.{minor}.{patch}"))
    return names


def _instance(source: Any, born: int, gone: float) -> Instance:
    return Instance(
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
