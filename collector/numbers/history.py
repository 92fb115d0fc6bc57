"""The history: one summary per past day, with the statistics as they stood at its end.

A summary holds counts only, and it is kept where the reports are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from msgspec import Meta, Struct

from collector.cache import Tally, TallyCache
from collector.conf import DAY, conf
from collector.numbers import answers
from collector.numbers.answers import Counts
from collector.numbers.breakdowns import (
    ANSWERED,
    ANSWERS,
    Count,
    Others,
    count_others,
    described,
    folded_breakdowns,
    list_names,
    name_members,
    raw_breakdowns,
    struct,
)
from collector.numbers.dimensions import RAW, RELEASE, Dimension, Rules
from collector.numbers.grouping import group
from collector.numbers.memo import once
from collector.numbers.moments import day_of_report, iso, iso_date
from collector.questions import Table

Summary = Mapping[str, Any]  # see `summarize`
Date = Annotated[str, Meta(extra_json_schema={"format": "date"})]
Moment = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
TOTALS = ("instances", "established", "reported")

Day = struct(
    "Day",
    "The statistics as they stood at the end of a day.",
    [
        ("date", Date),
        ("instances", Count),
        ("established", Count),
        ("reported", described(Count, "Instances that reported on this day.")),
        *name_members(RAW),
        ("others", Others),
        ANSWERS,
        ANSWERED,
    ],
)


class History(Struct, frozen=True):
    """The past days, oldest first; a day on which the server did not run is missing."""

    since: Moment
    history_days: Annotated[Count, Meta(description="How many days are kept.")]
    days: list[Day]  # type: ignore[valid-type]  # the table of fields decides its members


@dataclass(frozen=True, eq=False)
class ClosedDays:
    """The summaries of the past days by the start of each day, and the rules for listing them.

    The counts of the answers to a question are missing for days before it was asked.
    """

    summaries: Mapping[int, Summary]
    rules: Rules
    questions: Table = ()
    answers: Mapping[str, Mapping[int, Counts]] = field(default_factory=dict)  # by question


Histories = list[Mapping[int, Any]]  # that of the reports, and then those of the questions
_latest: tuple[Histories, ClosedDays] | None = None


def closed_days(cache: TallyCache, rules: Rules) -> ClosedDays:
    """Return the past days of a cache: the same object for as long as nothing in them changes."""
    global _latest  # noqa: PLW0603  the one memory of the last history
    histories, questions, latest = summarize_closed_days(cache), conf.questions, _latest
    if (
        latest
        and list(map(id, latest[0])) == list(map(id, histories))
        and (latest[1].rules, latest[1].questions) == (rules, questions)
    ):
        return latest[1]
    summaries, *answered = map(_summaries, histories)
    names = [each.name for each in questions]
    closed = ClosedDays(summaries, rules, questions, dict(zip(names, answered, strict=True)))
    _latest = (histories, closed)
    return closed


def summarize_closed_days(cache: TallyCache) -> Histories:
    """Replace the tally of each day that has closed by its summary, and return the histories."""
    sections = [cache.section(each.section) for each in conf.questions]
    return [
        _summarize_each(cache, summarize),
        *(_summarize_each(each, lambda tally, _: answers.count_values(tally)) for each in sections),
    ]


def _summarize_each(cache: TallyCache, make: Callable[[Tally, int], Any]) -> Mapping[int, Any]:
    history = cache.history()
    tallies = {start: day for start, day in history.items() if isinstance(day, Tally)}
    for start, tally in tallies.items():
        cache.summarize(start, make(tally, start))
    return cache.history() if tallies else history


def _summaries(history: Mapping[int, Any]) -> dict[int, Any]:
    return {start: day for start, day in history.items() if not isinstance(day, Tally)}


def summarize(tally: Tally, start: int) -> Summary:
    """Return what is kept of the day that began at `start`, in POSIX seconds.

    Hidden names are left out, or they would take the place of names that are listed. Groups below
    the minimum are left out only when the summary is read.
    """
    groups = group(tally.values, Rules(hide=conf.hide))
    return {
        "instances": tally.size,
        "established": count_established(tally),
        "reported": sum(
            cohort.size
            for cohort in tally.cohorts
            if day_of_report(cohort.expiry, conf.retention_days) == start // DAY
        ),
        "releases": folded_breakdowns(tally, groups, min_group=1).releases,
        **raw_breakdowns(tally, groups, min_group=1),
    }


def count_established(tally: Tally) -> int:
    """Return how many instances have reported on at least two days."""
    return sum(cohort.size for cohort in tally.cohorts if cohort.renewed)


def days(closed: ClosedDays) -> list[Any]:
    """Return the past days as they are answered, a `Day` each, oldest first."""
    return once(
        closed,
        "days",
        lambda: [_day(start, closed) for start in closed.summaries],
    )


def releases(closed: ClosedDays) -> list[Mapping[str, int]]:
    """Return the number of instances by release at the end of each past day, oldest first."""
    return once(
        closed,
        "releases",
        lambda: [_list(RELEASE, each, closed.rules) for each in closed.summaries.values()],
    )


def history(closed: ClosedDays, since: float) -> History:
    """Return the past days, and the moment at which counting began, as they are answered."""
    return History(iso(since), conf.history_days, days(closed))


def _day(start: int, closed: ClosedDays) -> Any:
    summary = closed.summaries[start]
    listed = {raw.breakdown: _list(raw, summary, closed.rules) for raw in RAW}
    counts = {name: days[start] for name, days in closed.answers.items() if start in days}
    answered = answers.members(closed.questions, counts, closed.rules.min_group)
    others = {"answers": answered.pop("others")} if answered else {}
    return Day(
        date=iso_date(start // DAY),
        **{name: summary[name] for name in TOTALS},
        **listed,
        others=Others(**count_others(summary["instances"], listed), **others),
        **answered,
    )


def _list(dimension: Dimension, summary: Summary, rules: Rules) -> dict[str, int]:
    """Return the names of a summary that may be listed under the present rules."""
    counts = summary[dimension.breakdown]
    shown = {name: count for name, count in counts.items() if not rules.hides(dimension, name)}
    return list_names(shown, rules.min_group)
