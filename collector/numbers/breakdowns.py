"""Breakdowns: how many instances have which name in each dimension."""

from collections.abc import Iterable, Mapping
from itertools import accumulate
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from collector.cache import Tally
from collector.conf import MAX_LISTED, MAX_NAMES
from collector.numbers.dimensions import FOLDED, RAW, Dimension
from collector.numbers.folding import order
from collector.numbers.grouping import NOT_RELEASES, Groups, add_up

COUNT_BYTES = 10  # in JSON: the eight digits of the largest count, a colon and a comma
PERCENT = 95  # of the instances on listed releases run the named release or a newer one

# The types of JSON answers. The table of fields decides their members, which mypy cannot know.
Count = Annotated[int, Meta(ge=0)]
Names = dict[str, Count]


def described(type_: Any, description: str) -> Any:
    """Return a type with a description for the schema."""
    return Annotated[type_, Meta(description=description)]


def struct(name: str, meaning: str, members: list[tuple[Any, ...]], **options: Any) -> Any:
    """Return a frozen msgspec type with these members."""
    namespace = {"__doc__": meaning, "__module__": __name__}
    return msgspec.defstruct(name, members, frozen=True, namespace=namespace, **options)


def name_members(dimensions: Iterable[Dimension]) -> list[tuple[str, Any]]:
    """Return one member for each breakdown: the number of instances by name."""
    return [(each.breakdown, described(Names, f"Instances by {each.name}.")) for each in dimensions]


def _count_members(dimensions: Iterable[Dimension]) -> list[tuple[str, Any]]:
    return [(each.breakdown, Count) for each in dimensions]


# By question, then by value. These members are left out if there are no questions.
Answers = dict[str, Names]
Answered = dict[str, Count]
ANSWERS: tuple[Any, ...] = (
    "answers",
    described(Answers, "Instances by question and answer.") | UnsetType,
    UNSET,
)
ANSWERED: tuple[Any, ...] = (
    "answered",
    described(Answered, "Instances that answered, by question.") | UnsetType,
    UNSET,
)
Others = struct(
    "Others",
    "How many instances are not listed by name.",
    [
        *_count_members(RAW),
        ("answers", described(Answered, "By question.") | UnsetType, UNSET),
    ],
)
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


def list_names(counts: Mapping[str, int], min_group: int) -> dict[str, int]:
    """Return the names that are listed and their counts, the most frequent first.

    At most MAX_LISTED names are listed, and no more than fit into MAX_NAMES bytes.
    """
    names = sorted([name for name, count in counts.items() if count >= min_group])
    names.sort(key=counts.__getitem__, reverse=True)  # keeps the order of equally frequent names
    names = names[:MAX_LISTED]
    ends = accumulate(len(msgspec.json.encode(name)) + COUNT_BYTES for name in names)
    return {name: counts[name] for name, end in zip(names, ends, strict=True) if end <= MAX_NAMES}


def count_others(total: int, listed: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    """Return, for each breakdown, the number of instances that its listed names do not cover."""
    return {breakdown: total - sum(names.values()) for breakdown, names in listed.items()}


def raw_breakdowns(tally: Tally, groups: Groups, min_group: int) -> dict[str, dict[str, int]]:
    """Return the listed names of each counted field, by breakdown."""
    return {
        raw.breakdown: list_names(add_up(groups[raw.breakdown], tally), min_group) for raw in RAW
    }


def folded_breakdowns(tally: Tally, groups: Groups, min_group: int) -> Any:
    """Return the breakdowns by release, repository and family, as a `Folded`."""
    listed = {
        breakdown: list_names(add_up(groups[breakdown], tally), min_group)
        for breakdown in (*(fold.breakdown for fold in FOLDED), NOT_RELEASES)
    }
    listed["releases"] = {
        name: listed["releases"][name]
        for name in sorted(listed["releases"], key=order, reverse=True)
    }
    others = count_others(tally.size, listed)
    others["releases"] -= sum(listed[NOT_RELEASES].values())
    del others[NOT_RELEASES]
    releases = listed["releases"]
    at_least = dict(zip(releases, accumulate(releases.values()), strict=True))
    on_releases = sum(releases.values())
    return Folded(
        **listed,
        others=FoldedOthers(**others),
        at_least=at_least,
        on_releases=on_releases,
        percent_run_at_least=next(
            (name for name, sum_ in at_least.items() if sum_ * 100 >= PERCENT * on_releases), None
        ),
    )
