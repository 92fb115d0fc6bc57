"""A made-up fleet of instances that behaves like a real one, and the same for the same seed.

The fleet grows, releases roll out over it, and instances come and go. It serves demonstrations,
load tests and pictures. No report of a real instance is involved.
"""

import math
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
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
SHARE_ON_FIRST_DAY = 0.6  # of the final size
OPTING_OUT = 0.002  # instances that opt out per day, as a share of the final size
REINSTALLED = 0.002  # probability per day that an instance is installed anew, with another id
SILENT = 0.03  # share of the instances that do not report on a day: switched off, or offline
LAG = 6  # days between the publication of a release and its installation, on average
PINNED = 0.08  # share of the instances that never upgrade
NIGHTLY = 0.01  # share of the instances that run a nightly build
OLDEST_RELEASE = 60  # days between the oldest release and the first day
CI = 0.01  # instances that a test creates and discards per day, as a share of the final size

Version = dict[str, str | None]


@dataclass(frozen=True)
class Instance:
    """The random properties of one instance. Days count from the first day of the fleet."""

    id: str
    image: str | None
    arch: str
    born: int
    gone: float  # the first day without it, or infinity
    opts_out: bool
    lag: float
    pinned: bool
    nightly: bool


class Fleet:
    """A fleet that has exactly `size` instances on its last day, and the releases that they run.

    Raises ValueError if an argument is too small.
    """

    def __init__(self, size: int, days: int = 90, releases: int = 14, seed: int = 0) -> None:
        if size < 0 or days < 1 or releases < 1:
            raise ValueError("A fleet has 0 or more instances, and at least 1 day and 1 release.")
        source = random.Random(seed)  # noqa: S311  nothing here is secret
        self.size = size
        self.days = days
        self.seed = seed
        self.published = _releases(releases, days)
        self.instances: list[Instance] = []
        for _ in range(round(size * OPTING_OUT * days) if days > 1 else 0):
            gone = source.randrange(1, days)
            self.instances.append(_instance(source, source.randrange(gone), gone, opts_out=True))
        at_first = math.ceil(size * SHARE_ON_FIRST_DAY)
        for number in range(size):
            born = 0 if number < at_first else source.randrange(days)
            self.instances.extend(_successive_instances(source, born, days))

    def reports(self, day: int) -> Iterator[tuple[str, Version]]:
        """Yield the id and the version of each instance that reports on a day."""
        source = random.Random(self.seed * 1000 + day)  # noqa: S311  nothing here is secret
        for instance in self.instances:
            if instance.born <= day < instance.gone and source.random() >= SILENT:
                yield instance.id, self.version(instance, day)

    def table(self, today: date) -> dict[str, Any]:
        """Return a configuration with the releases, of which the third newest is vulnerable."""
        releases: dict[str, Any] = {
            name: {"date": today - timedelta(days=self.days - 1 - math.floor(day))}
            for day, name in self.published
        }
        for name in [*releases][-3:-2]:
            releases[name]["vulnerable"] = True
        return {"version": 1, "releases": releases}

    def opt_outs(self, day: int) -> Iterator[str]:
        """Yield the ids of the instances that opt out on a day and ask to be forgotten."""
        return (each.id for each in self.instances if each.gone == day and each.opts_out)

    def ci(self, day: int) -> Iterator[tuple[str, Version]]:
        """Yield the reports of the instances that tests create and discard on a day."""
        source = random.Random(f"{self.seed} {day}")  # noqa: S311  nothing here is secret
        newest = [name for published, name in self.published if published <= day][-1]
        for _ in range(round(self.size * CI)):
            yield _id(source), {"app": newest, "image": None, "arch": "x86_64-linux"}

    def count_ids(self) -> int:
        """Return how many ids report in all, those of tests included."""
        return len(self.instances) + self.days * round(self.size * CI)

    def version(self, instance: Instance, day: int) -> Version:
        """Return what an instance runs on a day."""
        upgraded = instance.born if instance.pinned else day - instance.lag
        available = [name for published, name in self.published if published <= upgraded]
        release = available[-1] if available else self.published[0][1]
        app = "nightly" if instance.nightly else release
        return {"app": app, "image": instance.image, "arch": instance.arch}


def _releases(count: int, days: int) -> list[tuple[float, str]]:
    """Return the day and the name of each release; every third one is a patch release."""
    interval = (days + OLDEST_RELEASE) / count
    releases, minor = [], 80
    for number in range(count):
        patch = 1 if number % 3 == 1 else 0
        minor += not patch
        releases.append((number * interval - OLDEST_RELEASE, f"0.{minor}.{patch}"))
    return releases


def _successive_instances(source: random.Random, born: int, days: int) -> Iterator[Instance]:
    """Yield an instance and those that replace it; the last one outlives the fleet's last day."""
    while (gone := born + 1 + int(source.expovariate(REINSTALLED))) < days:
        yield _instance(source, born, gone)
        born = gone
    yield _instance(source, born, math.inf)


def _instance(source: random.Random, born: int, gone: float, *, opts_out: bool = False) -> Instance:
    return Instance(
        id=_id(source),
        image=source.choices(list(IMAGES), list(IMAGES.values()))[0],
        arch=source.choices(list(ARCHITECTURES), list(ARCHITECTURES.values()))[0],
        born=born,
        gone=gone,
        opts_out=opts_out,
        lag=source.expovariate(1 / LAG),
        pinned=source.random() < PINNED,
        nightly=source.random() < NIGHTLY,
    )


def _id(source: random.Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))
