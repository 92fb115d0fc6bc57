"""Compare a report with the releases and images in the configuration file."""

from typing import Annotated

from msgspec import Meta, Struct

from collector import folding
from collector.config import Config
from collector.reports.parsing import Version


class Update(Struct, frozen=True):
    """A newer release than the one that was reported."""

    release: Annotated[str, Meta(description="The newest final release.")]
    security: Annotated[
        bool, Meta(description="Whether the release that was reported is marked vulnerable.")
    ]


def update_for(app: str, config: Config) -> Update | None:
    """Return the newest final release if the one that a version folds to is older."""
    name, latest = folding.release(app), config.latest
    if name == folding.NO_RELEASE or latest is None or folding.order(name) >= folding.order(latest):
        return None
    published = config.published.get(name)
    return Update(latest, published is not None and published.vulnerable)


def known(version: Version, config: Config) -> Version:
    """Return a version with the spelling of the configuration file, and OTHER for unknown names."""
    image, arch = version.image, version.arch
    return Version(
        config.spelling("app", version.app, folding.release(version.app)),
        image if image is None else config.spelling("image", image, folding.repository(image)),
        arch if arch is None else config.spelling("arch", arch, folding.family(arch)),
    )
