"""The statistics of a snapshot, as `/stats` answers them."""

from collections import Counter
from typing import Any

from collector.cache import Tally
from collector.conf import DAY, conf
from collector.numbers import answers
from collector.numbers.breakdowns import (
    ANSWERED,
    ANSWERS,
    Count,
    Folded,
    Others,
    count_others,
    described,
    folded_breakdowns,
    name_members,
    raw_breakdowns,
    struct,
)
from collector.numbers.dimensions import RAW
from collector.numbers.filters import NO_FILTERS, Filters
from collector.numbers.grouping import group, groups_of
from collector.numbers.history import Date, Moment, count_established
from collector.numbers.moments import day_of_report, iso, iso_date
from collector.numbers.snapshot import Snapshot

Numbers = struct(
    "Numbers",
    "The statistics.",
    [
        ("instances", described(Count, "Instances whose report counts now.")),
        *name_members(RAW),
        ("others", Others),
        ("established", described(Count, "Instances that have reported on at least two days.")),
        ("folded", Folded),
        ("since", described(Moment, "When counting began.")),
        (
            "warming_up",
            described(bool, "True until one whole UTC day has passed since counting began."),
        ),
        ("window_days", described(Count, "Days for which a report counts after the day it came.")),
        (
            "last_reported",
            described(dict[Date, Count], "Instances by the day of their latest report."),
        ),
        ANSWERS,
        ANSWERED,
    ],
)


def statistics(snapshot: Snapshot, filters: Filters = NO_FILTERS) -> Any:
    """Return the statistics of the instances that the filters match, as `Numbers`.

    No filter applies to the answers: they are those of all instances.
    """
    tally = snapshot.select(filters)
    rules = snapshot.rules
    groups = group(tally.values, rules) if filters else groups_of(tally.values, rules)
    listed = raw_breakdowns(tally, groups, rules.min_group)
    answered = answers.members(snapshot.questions, snapshot.answers, rules.min_group)
    others = {"answers": answered.pop("others")} if answered else {}
    return Numbers(
        instances=tally.size,
        **listed,
        others=Others(**count_others(tally.size, listed), **others),
        established=count_established(tally),
        folded=folded_breakdowns(tally, groups, rules.min_group),
        since=iso(snapshot.since),
        warming_up=snapshot.warming_up,
        window_days=conf.retention_days,
        last_reported=last_reported(tally, snapshot.now, conf.retention_days),
        **answered,
    )


def last_reported(tally: Tally, now: float, retention_days: int) -> dict[str, int]:
    """Return the number of instances by the day of their latest report, oldest first.

    Every day of the window has a number. `now` is POSIX seconds.
    """
    today = int(now) // DAY
    by_day: Counter[int] = Counter()
    for cohort in tally.cohorts:
        day = day_of_report(cohort.expiry, retention_days)
        if day is not None:
            # If the clock went back, a report may be from a day that has not begun: count it today.
            by_day[min(day, today)] += cohort.size
    days = range(today - retention_days, today + 1)
    return {iso_date(day): by_day[day] for day in days}
