"""Breakdowns: how many instances have which name in each dimension."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from collector.cache.tally import Tally
from collector.conf import MAX_LISTED, MAX_NAMES
from collector.folding import NO_RELEASE
from collector.numbers.dimensions import FOLDED, VERSION, Rules, group, order, release

COUNT_BYTES = 10  # in JSON: the eight digits of the largest count, a colon and a comma
PERCENT = 95  # of the instances on listed releases run the named release or a newer one

Count = Annotated[int, Meta(ge=0)]
Counts = dict[str, Count]


class Others(Struct, frozen=True):
    """The number of instances that are not listed by name."""

    versions: Count
    images: Count
    architectures: Count


class FoldedOthers(Struct, frozen=True):
    """The number of instances that are not listed by name."""

    releases: Count
    repositories: Count
    families: Count


class Folded(
    Struct, frozen=True, rename={"percent_run_at_least": f"{PERCENT}_percent_run_at_least"}
):
    """Instances by what their values have in common."""

    releases: Annotated[Counts, Meta(description="Instances by release.")]
    repositories: Annotated[Counts, Meta(description="Instances by repository.")]
    families: Annotated[Counts, Meta(description="Instances by processor.")]
    not_releases: Annotated[Counts, Meta(description="Instances by version, if it is no release.")]
    others: FoldedOthers
    at_least: Annotated[
        Counts, Meta(description="Instances that run this release or a newer one, newest first.")
    ]
    on_releases: Annotated[Count, Meta(description="Instances that run a listed release.")]
    percent_run_at_least: Annotated[
        str | None,
        Meta(description=f"The release that {PERCENT}% of those instances run, or a newer one."),
    ]


def count_names(tally: Tally, rules: Rules) -> dict[str, dict[str, int]]:
    """Return how many instances have each name, by dimension. Hidden names are left out."""
    count = tally.counts.__getitem__
    return {
        dimension: {
            # Most names have one value, for which a sum would take twice as long.
            name: sum(map(count, values)) if len(values) > 1 else count(values[0])
            for name, values in groups.items()
        }
        for dimension, groups in group(tuple(tally.counts), rules.config).items()
    }


def list_names(
    counts: Mapping[str, int],
    min_group: int = 1,
    most: int = MAX_LISTED,
    most_bytes: int = MAX_NAMES,
) -> Counts:
    """Return the names that are listed and their counts, the most frequent first.

    At most `most` names are listed, and no more than fit into `most_bytes` bytes of JSON.
    """
    names = sorted(name for name, count in counts.items() if count >= min_group)
    names.sort(key=counts.__getitem__, reverse=True)  # keeps the order of equally frequent names
    names = names[:most]
    ends = accumulate(len(msgspec.json.encode(name)) + COUNT_BYTES for name in names)
    return {name: counts[name] for name, end in zip(names, ends, strict=True) if end <= most_bytes}


def others(instances: int, listed: Iterable[Counts]) -> Others:
    """Return, for each breakdown, the number of instances that its listed names do not cover."""
    return Others(*(instances - sum(names.values()) for names in listed))


def fold(instances: int, counts: Mapping[str, Mapping[str, int]], min_group: int) -> Folded:
    """Return the folded breakdowns from the result of `count_names`."""
    releases, repositories, families = [
        list_names(counts[folded.name], min_group) for folded in FOLDED
    ]
    releases = {name: releases[name] for name in sorted(releases, key=order, reverse=True)}
    not_releases = list_names(
        {name: n for name, n in counts[VERSION.name].items() if release(name) == NO_RELEASE},
        min_group,
    )
    on_releases = sum(releases.values())
    at_least = dict(zip(releases, accumulate(releases.values()), strict=True))
    return Folded(
        releases,
        repositories,
        families,
        not_releases,
        FoldedOthers(
            instances - on_releases - sum(not_releases.values()),
            instances - sum(repositories.values()),
            instances - sum(families.values()),
        ),
        at_least,
        on_releases,
        next((name for name, n in at_least.items() if n * 100 >= PERCENT * on_releases), None),
    )
