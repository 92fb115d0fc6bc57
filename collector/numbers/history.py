"""The history: a summary of each day that is over, with the statistics as they stood at its end.

A summary contains only counts, and the cache keeps it where it keeps the reports.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from collector.cache import State, Tally, TallyCache, decode, encode
from collector.cache.tally import NULL
from collector.conf import MAX_ANSWER_BYTES, MAX_SUMMARY_BYTES, MAX_SUMMARY_NAMES, conf
from collector.numbers import answers
from collector.numbers.answers import Answers
from collector.numbers.breakdowns import Count, Counts, Others, count_names, list_names, others
from collector.numbers.days import Date, Timestamp, iso, iso_date
from collector.numbers.dimensions import (
    ARCHITECTURE,
    IMAGE,
    RELEASE,
    VERSION,
    Dimension,
    Rules,
    hides,
)
from collector.numbers.memo import Memo

TOTALS = ("instances", "established", "reported")
log = logging.getLogger(__name__)


class Summary(Struct, frozen=True):
    """The counts of a day that is over. Names that may not be listed are missing."""

    instances: int
    established: int
    reported: int  # on this day
    versions: Mapping[str, int]
    images: Mapping[str, int]
    architectures: Mapping[str, int]
    releases: Mapping[str, int]
    answers: Mapping[str, int]  # as the cache counted them


class Day(Struct, frozen=True):
    """The statistics as they stood at the end of a day."""

    date: Date
    instances: Count
    established: Count
    reported: Annotated[Count, Meta(description="Instances that reported on this day.")]
    versions: Annotated[Counts, Meta(description="Instances by version.")]
    images: Annotated[Counts, Meta(description="Instances by image.")]
    architectures: Annotated[Counts, Meta(description="Instances by architecture.")]
    others: Others
    answers: (
        Annotated[Answers, Meta(description="Answers of this day, by question.")] | UnsetType
    ) = UNSET
    answered: (
        Annotated[Counts, Meta(description="Instances that answered, by question.")] | UnsetType
    ) = UNSET


class History(Struct, frozen=True):
    """The past days, oldest first; a day on which nobody used the server is missing."""

    since: Timestamp
    history_days: Annotated[Count, Meta(description="The number of days that are kept.")]
    days: list[Day]


@dataclass(frozen=True)
class Past(Memo):
    """The summaries of the days that are over, the oldest first, and the rules in force."""

    closed: Mapping[int, Tally | bytes]
    rules: Rules

    @property
    def summaries(self) -> Mapping[int, Summary]:
        """The summaries by day. A day that could not be summarized is missing."""
        return self.once("summaries", lambda: dict(_summaries(self.closed)))

    @property
    def days(self) -> list[Day]:
        """The days of the history."""
        return self.once(
            "days",
            lambda: [self._day(day) for day in self.summaries if conf.history_days],
        )

    @property
    def releases(self) -> list[Counts]:
        """The number of instances by release at the end of each of these days."""
        return self.once(
            "releases",
            lambda: [self._list(RELEASE, each.releases) for each in self.summaries.values()],
        )

    @property
    def answers(self) -> tuple[Date | None, Answers, Counts]:
        """The latest day that is over, its answers, and the number of instances that answered."""
        if not self.summaries:
            return None, {}, {}
        day = max(self.summaries)
        counted = self.summaries[day].answers
        return iso_date(day), *answers.of_day(counted, self.rules.config.questions)

    def _day(self, day: int) -> Day:
        summary = self.summaries[day]
        listed = (
            self._list(VERSION, summary.versions),
            self._list(IMAGE, summary.images),
            self._list(ARCHITECTURE, summary.architectures),
        )
        totals = (summary.instances, summary.established, summary.reported)
        questions = self.rules.config.questions
        answered = answers.of_day(summary.answers, questions) if questions else (UNSET, UNSET)
        return Day(iso_date(day), *totals, *listed, others(summary.instances, listed), *answered)

    def _list(self, dimension: Dimension, counts: Mapping[str, int]) -> Counts:
        """Return the names of a summary that may be listed under the rules in force."""
        hide = self.rules.config.hide
        shown = {name: n for name, n in counts.items() if not hides(hide, dimension, name)}
        return list_names(shown, self.rules.min_group)


def summarize_closed_days(cache: TallyCache, state: State, rules: Rules) -> bool:
    """Let the cache keep the summary of each day that is over, in place of its tally.

    Return whether there was such a day.
    """
    tallies = [each for each in state.closed.values() if isinstance(each, Tally)]
    for tally in tallies:
        cache.keep(tally.day, _encoded_summary(tally, rules))
    return bool(tallies)


def _encoded_summary(tally: Tally, rules: Rules) -> bytes:
    """Return the summary of a day in JSON, or null: a day that fails must not fail the others."""
    try:
        return encode(summarize(tally, rules))
    except Exception:
        log.exception("The statistics of %s cannot be summarized", iso_date(tally.day))
        return NULL


def summarize(tally: Tally, rules: Rules) -> Summary:
    """Return the summary of a day.

    It has no name that the rules in force hide or do not list. When the summary is read, the rules
    of that moment apply, too.
    """
    counts = count_names(tally, rules)

    def listed(dimension: Dimension) -> Counts:
        return list_names(
            counts[dimension.name], rules.min_group, MAX_SUMMARY_NAMES, MAX_SUMMARY_BYTES
        )

    return Summary(
        tally.size,
        tally.established,
        sum(cohort.size for cohort in tally.cohorts if cohort.day == tally.day),
        listed(VERSION),
        listed(IMAGE),
        listed(ARCHITECTURE),
        listed(RELEASE),
        list_names(tally.answers, 1, len(tally.answers), MAX_ANSWER_BYTES),
    )


def history(past: Past, since: float) -> History:
    """Return the past days, and the time at which counting began, in POSIX seconds."""
    return History(iso(since), conf.history_days, past.days)


def _summaries(closed: Mapping[int, Tally | bytes]) -> Iterator[tuple[int, Summary]]:
    for day in sorted(closed):
        content = closed[day]
        if isinstance(content, bytes) and content != NULL:
            yield day, decode(content, Summary)
