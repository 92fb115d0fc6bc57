"""Breakdowns: how many instances have which name in each dimension."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from heapq import nsmallest
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from collector.cache import Tally
from collector.conf import MAX_LISTED, MAX_NAMES
from collector.numbers.dimensions import FOLDED, RAW, RELEASE, Dimension, Rules
from collector.numbers.folding import NO_RELEASE, order

PERCENT = 95  # of the instances on listed releases run the named release or a newer one

# The types of JSON answers. The table of fields decides their members, which mypy cannot know.
Count = Annotated[int, Meta(ge=0)]
Names = dict[str, Count]


def described(type_: Any, description: str) -> Any:
    """Return a type with a description for the schema."""
    return Annotated[type_, Meta(description=description)]


def struct(name: str, meaning: str, members: list[tuple[str, Any]], **options: Any) -> Any:
    """Return a frozen msgspec type with these members."""
    namespace = {"__doc__": meaning, "__module__": __name__}
    return msgspec.defstruct(name, members, frozen=True, namespace=namespace, **options)


def name_members(dimensions: Iterable[Dimension]) -> list[tuple[str, Any]]:
    """Return one member for each breakdown: the number of instances by name."""
    return [(each.breakdown, described(Names, f"Instances by {each.name}.")) for each in dimensions]


def _count_members(dimensions: Iterable[Dimension]) -> list[tuple[str, Any]]:
    return [(each.breakdown, Count) for each in dimensions]


Others = struct("Others", "How many instances are not listed by name.", _count_members(RAW))
FoldedOthers = struct("FoldedOthers", Others.__doc__, _count_members(FOLDED))
Folded = struct(
    "Folded",
    "Instances by what their values have in common.",
    [
        *name_members(FOLDED),
        ("not_releases", described(Names, "Instances by version, if it is no release.")),
        ("others", FoldedOthers),
        (
            "at_least",
            described(Names, "How many instances run this release or a newer one, newest first."),
        ),
        ("on_releases", described(Count, "How many instances run a release that is listed.")),
        (
            "percent_run_at_least",
            described(
                str | None, f"The release that {PERCENT}% of those instances run, or a newer one."
            ),
        ),
    ],
    rename={"percent_run_at_least": f"{PERCENT}_percent_run_at_least"},
)


def counts_by_field(tally: Tally) -> dict[str, Mapping[str, int]]:
    """Return, for each counted field, the number of instances by value; a missing value is ""."""
    # There may be ten thousand versions, all different, for which a Counter takes twice as long.
    counts: dict[str, defaultdict[str, int]] = {raw.field: defaultdict(int) for raw in RAW}
    for name, version in tally.values.items():
        if version is not None:
            for field, names in counts.items():
                names[version[field] or ""] += tally.counts[name]
    return {**counts}


def list_names(dimension: Dimension, counts: Mapping[str, int], rules: Rules) -> dict[str, int]:
    """Return the names that are listed and their counts, the most frequent first.

    At most MAX_LISTED names are listed, and no more than fit into MAX_NAMES bytes.
    """
    allowed = (
        (-count, name)
        for name, count in counts.items()
        if count >= rules.min_group and not rules.hides(dimension, name)
    )
    listed, room = {}, MAX_NAMES
    for count, name in nsmallest(MAX_LISTED, allowed):
        room -= len(name) + name.count('"') + name.count("\\") + 12
        if room < 0:
            break
        listed[name] = -count
    return listed


def count_others(total: int, listed: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return, for each breakdown, the number of instances that its listed names do not cover."""
    return {breakdown: total - sum(names.values()) for breakdown, names in listed.items()}


def raw_breakdowns(
    counts: Mapping[str, Mapping[str, int]], rules: Rules
) -> dict[str, dict[str, int]]:
    """Return the listed names of each counted field, by breakdown."""
    return {raw.breakdown: list_names(raw, counts[raw.field], rules) for raw in RAW}


def folded_breakdowns(total: int, counts: Mapping[str, Mapping[str, int]], rules: Rules) -> Any:
    """Return the breakdowns by release, repository and family, as a `Folded`."""
    folds = {fold: _fold(fold, counts[fold.field], rules) for fold in FOLDED}
    folds[RELEASE].pop(NO_RELEASE, None)
    listed = {fold.breakdown: list_names(fold, folds[fold], rules) for fold in FOLDED}
    listed["releases"] = dict(
        sorted(listed["releases"].items(), key=lambda item: order(item[0]), reverse=True)
    )
    others = count_others(total, listed)
    no_releases = {
        app: count
        for app, count in counts[RELEASE.field].items()
        if RELEASE.fold(app) == NO_RELEASE
    }
    listed["not_releases"] = list_names(RAW[0], no_releases, rules)
    others["releases"] -= sum(listed["not_releases"].values())
    at_least = add_up(listed["releases"])
    on_releases = sum(listed["releases"].values())
    return Folded(
        **listed,
        others=FoldedOthers(**others),
        at_least=at_least,
        on_releases=on_releases,
        percent_run_at_least=next(
            (name for name, sum_ in at_least.items() if sum_ * 100 >= PERCENT * on_releases), None
        ),
    )


def add_up(releases: Mapping[str, int]) -> dict[str, int]:
    """Return how many instances run at least each release, from the counts, newest first."""
    sums, running = {}, 0
    for name, count in releases.items():
        running += count
        sums[name] = running
    return sums


def _fold(fold: Dimension, counts: Mapping[str, int], rules: Rules) -> dict[str, int]:
    names: defaultdict[str, int] = defaultdict(int)
    for value, count in counts.items():
        if not rules.hides(fold, value):
            names[fold.fold(value)] += count
    return names
