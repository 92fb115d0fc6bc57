"""Made-up instances that behave like real ones, for demonstrations, tests and benchmarks.

The fleet grows, its instances upgrade to new releases, and some of them leave. The same arguments
always make the same fleet.
"""

import math
import random
import uuid
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

Version = dict[str, str | None]  # the counted fields of a report

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
SIZE_AT_FIRST = 0.6  # of the final size
LEAVING = 0.004  # instances that leave on a day, as a share of the final size
OPTING_OUT = 0.5  # of the leaving instances; the others are reinstalled, and get a new id
SILENT = 0.03  # of the instances on a day: they are switched off, or have no network
LAG = 6  # average number of days between a release and its installation
PINNED = 0.08  # of the instances, which never upgrade
NIGHTLY = 0.01  # of the instances, which do not run a release
FIRST_RELEASE = -60  # the day of the oldest release
CI = 0.01  # test machines on a day, as a share of the final size; each one reports once


@dataclass
class Instance:
    """One instance and its random properties. Days are numbered from the first day of the fleet."""

    id: str
    image: str | None
    arch: str
    lag: float
    pinned: bool
    nightly: bool
    born: int
    gone: float = math.inf
    opts_out: bool = False


class Fleet:
    """A fleet that has `size` instances after its last day.

    Raises ValueError if an argument is too small.
    """

    def __init__(self, size: int, days: int = 90, releases: int = 14, seed: int = 0) -> None:
        for name, value, least in (
            ("instances", size, 0),
            ("days", days, 1),
            ("releases", releases, 1),
        ):
            if value < least:
                raise ValueError(f"The number of {name} must be at least {least}.")
        self.size = size
        self.days = days
        self.seed = seed
        self.releases = _releases(releases, days)
        self._release_days = [day for day, _ in self.releases]
        self.instances: list[Instance] = []
        self._live(random.Random(seed))  # noqa: S311  nothing here is secret

    def reports(self, day: int) -> Iterator[tuple[str, Version]]:
        """Yield the id and the version of each instance that reports on a day."""
        source = random.Random(f"reports {self.seed} {day}")  # noqa: S311  as above
        for each in self.instances:
            if each.born <= day < each.gone and source.random() >= SILENT:
                yield each.id, self.version(each, day)

    def opt_outs(self, day: int) -> Iterator[str]:
        """Yield the id of each instance that opts out on a day."""
        return (each.id for each in self.instances if each.gone == day and each.opts_out)

    def ci(self, day: int) -> Iterator[tuple[str, Version]]:
        """Yield the reports of test machines, which exist only on this day."""
        source = random.Random(f"ci {self.seed} {day}")  # noqa: S311  as above
        for _ in range(round(self.size * CI)):
            yield _id(source), {"app": self._release(day), "image": None, "arch": "x86_64-linux"}

    def version(self, instance: Instance, day: int) -> Version:
        """Return what an instance runs on a day."""
        upgraded = instance.born if instance.pinned else day - instance.lag
        app = "nightly" if instance.nightly else self._release(upgraded)
        return {"app": app, "image": instance.image, "arch": instance.arch}

    def _release(self, day: float) -> str:
        """Return the latest release on a day, or the oldest release before there was one."""
        return self.releases[max(bisect_right(self._release_days, day) - 1, 0)][1]

    def _live(self, source: random.Random) -> None:
        """Let instances come and go, so that the size grows every day by the same number."""
        present: list[Instance] = []
        for day in range(self.days):
            leaving = _rounded_step(self.size * LEAVING, day)
            for _ in range(min(leaving, len(present))):
                position = source.randrange(len(present))
                present[position], present[-1] = present[-1], present[position]
                instance = present.pop()
                instance.gone = day
                instance.opts_out = source.random() < OPTING_OUT
            # Reinstalled and new instances together make up for those that left.
            progress = day / (self.days - 1) if self.days > 1 else 1
            target = round(self.size * (SIZE_AT_FIRST + (1 - SIZE_AT_FIRST) * progress))
            born = [_instance(source, day) for _ in range(target - len(present))]
            present += born
            self.instances += born


def _rounded_step(rate: float, day: int) -> int:
    """Return how many events happen on a day, at a rate that may be less than one a day."""
    return round(rate * day) - round(rate * (day - 1)) if day else 0


def _releases(count: int, days: int) -> list[tuple[float, str]]:
    """Return releases and their days, at equal distances. Every third one is a patch release."""
    distance = (days - FIRST_RELEASE) / count
    releases, minor = [], 80
    for number in range(count):
        patch = 1 if number % 3 == 1 else 0
        minor += not patch
        releases.append((FIRST_RELEASE + number * distance, f"0.{minor}.{patch}"))
    return releases


def _instance(source: random.Random, day: int) -> Instance:
    return Instance(
        id=_id(source),
        image=source.choices([*IMAGES], [*IMAGES.values()])[0],
        arch=source.choices([*ARCHITECTURES], [*ARCHITECTURES.values()])[0],
        lag=source.expovariate(1 / LAG),
        pinned=source.random() < PINNED,
        nightly=source.random() < NIGHTLY,
        born=day,
    )


def _id(source: random.Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))
