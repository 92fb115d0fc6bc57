"""The history: a summary of each day that is over, with the statistics as they stood at its end.

A summary contains only counts, and the cache keeps it where it keeps the reports.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from collector.cache.base import TallyCache
from collector.cache.tally import NULL, State, Tally, decode, encode
from collector.conf import MAX_SUMMARY_BYTES, MAX_SUMMARY_NAMES, conf
from collector.numbers import answers
from collector.numbers.answers import Answers
from collector.numbers.archive import ArchivedDay, Totals
from collector.numbers.breakdowns import Count, Counts, Others, count_names, list_names, others
from collector.numbers.days import Date, Timestamp, iso_date
from collector.numbers.dimensions import RAW, RELEASE, Dimension, Rules, hides
from collector.numbers.memo import Memo

log = logging.getLogger(__name__)


class Summary(Struct, frozen=True):
    """The counts of a past day, without the names that may not be listed."""

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
    releases: Annotated[Counts, Meta(description="Instances by release.")]
    others: Others
    answers: (
        Annotated[Answers, Meta(description="Answers of this day, by question.")] | UnsetType
    ) = UNSET
    answered: (
        Annotated[Counts, Meta(description="Instances that answered, by question.")] | UnsetType
    ) = UNSET


class History(Struct, frozen=True):
    """The past days, oldest first; a day on which nobody used the server is missing.

    Days from HISTORY_FOLDER have only totals and releases; `others` then counts all instances.
    """

    since: Timestamp
    history_days: Annotated[Count, Meta(description="The number of days that are kept.")]
    days: list[Day]


@dataclass(frozen=True)
class Past(Memo):
    """The days that are over, in memory and in the archive, and the rules in force."""

    closed: Mapping[int, Tally | bytes]
    rules: Rules
    archived: Mapping[int, bytes]

    @cached_property
    def summaries(self) -> Mapping[int, Summary]:
        """The summaries by day, oldest first. A day that could not be summarized is missing."""
        return {
            day: decode(content, Summary)
            for day, content in sorted(self.closed.items())
            if isinstance(content, bytes) and content != NULL
        }

    @cached_property
    def in_memory(self) -> Mapping[int, Day]:
        """The days of the history by number, oldest first."""
        return {day: self._day(day) for day in self.summaries if conf.history_days}

    @cached_property
    def totals(self) -> Mapping[int, Totals]:
        """The totals by day, oldest first. A day in memory wins over one in the archive."""
        found = {day: decode(content, Totals) for day, content in self.archived.items()}
        for day, each in self.in_memory.items():
            found[day] = Totals(each.instances, each.established, each.reported)
        return dict(sorted(found.items()))

    def between(self, first: int, last: int) -> list[Day]:
        """Return the days from the first to the last, oldest first. A day in memory wins."""
        days = {day for day in (*self.in_memory, *self.archived) if first <= day <= last}
        return [self.in_memory.get(day) or self._archived_day(day) for day in sorted(days)]

    @property
    def answers(self) -> tuple[Date | None, Answers, Counts]:
        """The latest day that is over, its answers, and the number of instances that answered."""
        if not self.summaries:
            return None, {}, {}
        day = max(self.summaries)
        return iso_date(day), *self._answers_of(self.summaries[day])

    def _day(self, day: int) -> Day:
        summary = self.summaries[day]
        totals = (summary.instances, summary.established, summary.reported)
        listed = versions, images, architectures = [
            self._list(raw, getattr(summary, raw.breakdown)) for raw in RAW
        ]
        releases = self._list(RELEASE, summary.releases)
        left = others(summary.instances, listed)
        is_asked = bool(self.rules.config.questions)
        answered = self._answers_of(summary) if is_asked else (UNSET, UNSET)
        return Day(
            iso_date(day), *totals, versions, images, architectures, releases, left, *answered
        )

    def _answers_of(self, summary: Summary) -> tuple[Answers, Counts]:
        rules = self.rules
        return answers.of_day(summary.answers, rules.config.questions, rules.min_group)

    def _archived_day(self, day: int) -> Day:
        time.sleep(0)  # let other requests take their turn: a year of these days takes 50 ms
        archived = decode(self.archived[day], ArchivedDay)
        n = archived.instances
        totals = (n, archived.established, archived.reported)
        releases = self._list(RELEASE, archived.releases)
        return Day(iso_date(day), *totals, {}, {}, {}, releases, Others(n, n, n))

    def _list(self, dimension: Dimension, counts: Mapping[str, int]) -> Counts:
        """Return the names of a past day that may be listed under the rules in force."""
        config = self.rules.config
        # A file or a store may have any name, and what a release is may have changed since.
        names = {name: n for name, n in counts.items() if dimension.fold(name) == name}
        shown = {name: n for name, n in names.items() if not hides(config, dimension, name)}
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
    except Exception:  # of any kind: the other days must still be summarized
        log.exception("The statistics of %s cannot be summarized", iso_date(tally.day))
        return NULL


def summarize(tally: Tally, rules: Rules) -> Summary:
    """Return the summary of a day.

    It has no name that the rules in force hide or do not list. When the summary is read, the rules
    of that moment apply, too.
    """
    counts = count_names(tally, rules)
    limits = rules.min_group, MAX_SUMMARY_NAMES, MAX_SUMMARY_BYTES
    versions, images, architectures, releases = [
        list_names(counts[dimension.name], *limits) for dimension in (*RAW, RELEASE)
    ]
    reported = sum(cohort.size for cohort in tally.cohorts if cohort.day == tally.day)
    totals = tally.size, tally.established, reported
    return Summary(*totals, versions, images, architectures, releases, tally.answers)
