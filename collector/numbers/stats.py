"""The statistics of a snapshot, as `/stats` returns them."""

from collections import Counter
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from collector.cache.tally import Tally
from collector.conf import conf
from collector.numbers.answers import Answers
from collector.numbers.breakdowns import (
    Count,
    Counts,
    Folded,
    Others,
    count_names,
    fold,
    list_names,
    others,
)
from collector.numbers.days import Date, Timestamp, iso, iso_date
from collector.numbers.dimensions import RAW, RELEASE, Rules
from collector.numbers.filters import NO_FILTERS, Filters
from collector.numbers.snapshot import Snapshot


class Published(Struct, frozen=True):
    """The dates of the releases in the table, and the instances on vulnerable ones."""

    latest: Annotated[str | None, Meta(description="The newest final release of the table.")]
    dates: Annotated[
        dict[str, Date], Meta(description="The date of each release of the table, newest first.")
    ]
    vulnerable: Annotated[
        Counts, Meta(description="Instances by release, of those that are marked vulnerable.")
    ]
    on_vulnerable: Annotated[
        Count | None,
        Meta(description="Instances on any of those; null if it would tell of too small a group."),
    ]


class Numbers(Struct, frozen=True):
    """The statistics."""

    instances: Annotated[Count, Meta(description="Instances whose report counts now.")]
    versions: Annotated[Counts, Meta(description="Instances by version.")]
    images: Annotated[Counts, Meta(description="Instances by image.")]
    architectures: Annotated[Counts, Meta(description="Instances by architecture.")]
    others: Others
    established: Annotated[
        Count, Meta(description="Instances that have reported on at least two days.")
    ]
    folded: Folded
    since: Annotated[Timestamp, Meta(description="When counting began.")]
    warming_up: Annotated[
        bool, Meta(description="True until one whole UTC day has passed since counting began.")
    ]
    window_days: Annotated[
        Count, Meta(description="Days for which a report counts after the day it came.")
    ]
    last_reported: Annotated[
        dict[Date, Count], Meta(description="Instances by the day of their latest report.")
    ]
    answers_day: (
        Annotated[Date | None, Meta(description="The latest day that is over.")] | UnsetType
    ) = UNSET
    answers: (
        Annotated[Answers, Meta(description="Answers of that day, by question.")] | UnsetType
    ) = UNSET
    answered: (
        Annotated[Counts, Meta(description="Instances that answered, by question.")] | UnsetType
    ) = UNSET
    published: Published | UnsetType = UNSET


def statistics(snapshot: Snapshot, filters: Filters = NO_FILTERS) -> Numbers:
    """Return the statistics of the instances that the filters match, and all answers."""
    tally, rules = snapshot.select(filters), snapshot.rules
    counts = count_names(tally, rules)
    listed = versions, images, architectures = [
        list_names(counts[raw.name], rules.min_group) for raw in RAW
    ]
    folded = fold(tally.size, counts, rules.min_group)
    unasked = UNSET, UNSET, UNSET
    day, answers, answered = snapshot.past.answers if rules.config.questions else unasked
    return Numbers(
        tally.size,
        versions,
        images,
        architectures,
        others(tally.size, listed),
        tally.established,
        folded,
        iso(snapshot.state.since),
        snapshot.warming_up,
        conf.retention_days,
        last_reported(tally, conf.retention_days),
        day,
        answers,
        answered,
        published(counts[RELEASE.name], folded.releases, rules) if rules.config.releases else UNSET,
    )


def published(counts: Counts, listed: Counts, rules: Rules) -> Published:
    """Return the dates of the table of releases, and the instances on vulnerable ones."""
    table = rules.config.published
    vulnerable = [name for name in table if table[name].vulnerable]
    on_vulnerable = sum(counts.get(name, 0) for name in vulnerable)
    unlisted = sum(n for name in vulnerable if (n := counts.get(name, 0)) < rules.min_group)
    return Published(
        rules.config.latest,
        {name: f"{each.date}" for name, each in table.items()},
        {name: listed[name] for name in vulnerable if name in listed},
        None if 0 < unlisted < rules.min_group else on_vulnerable,
    )


def last_reported(tally: Tally, retention_days: int) -> dict[Date, int]:
    """Return the instances by the day of their latest report, for each day of the window."""
    by_day: Counter[int] = Counter()
    for cohort in tally.cohorts:
        by_day[cohort.day] += cohort.size
    days = range(tally.day - retention_days, tally.day + 1)
    return {iso_date(day): by_day[day] for day in days}
