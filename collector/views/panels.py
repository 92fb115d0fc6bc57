"""What the dashboard shows: a moment's numbers and the days before it, ready to be laid out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from collector.conf import conf
from collector.numbers import filters, folding, history, stats, trends
from collector.numbers.dimensions import ALL, FOLDED, RAW, RELEASE, Dimension
from collector.numbers.moments import iso
from collector.numbers.snapshot import Snapshot
from collector.reports.fields import FIELDS

LISTED = 60  # names in a table of the page; /stats has more
OPEN = 12  # of them are in sight at once
LONGEST = max(field.limit for field in FIELDS)  # characters of what the form asks for
WEEK = timedelta(days=7)
LABELS = {
    "app": "version",
    "image": "image",
    "arch": "architecture",
    "release": "release",
    "repository": "image",
    "family": "processor",
}
Query = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Share:
    """A name, how many installations have it, and the page that shows them alone."""

    name: str
    count: int
    of: int
    link: str
    chosen: bool
    at_least: int | None = None
    of_releases: int = 0

    @property
    def percent(self) -> str:
        """The part of all."""
        return percent(self.count, self.of)

    @property
    def width(self) -> str:
        """The length of its bar: the whole is the width of its cell."""
        return f"{100 * self.count / (self.of or 1):.1f}%"

    @property
    def percent_at_least(self) -> str:
        """The part of those on a release that runs this one or a newer one."""
        return percent(self.at_least or 0, self.of_releases)


@dataclass(frozen=True)
class Breakdown:
    """The shares of a dimension: those in sight, the others, and what is not listed."""

    shown: Sequence[Share]
    more: Sequence[Share]
    further: int  # names that only /stats has
    others: int  # installations that are not told by name


@dataclass(frozen=True)
class Chosen:
    """A filter in force, and the page without it."""

    label: str
    name: str
    link: str


def page(taken: Snapshot, query: Query) -> dict[str, Any]:
    """All that the page says of a moment, for the filters of a query; raises Refusal."""
    chosen = {name: tuple(values) for name, values in query.items() if name in ALL}
    whole = stats.statistics(taken)
    numbers = stats.statistics(taken, filters.parse(chosen)) if chosen else whole
    folded = numbers.folded
    days = [*history.days(taken.history), trends.today_so_far(whole)]
    return {
        "numbers": numbers,
        "whole": whole,
        "established": percent(numbers.established, numbers.instances),
        "filtered": bool(chosen),
        "chosen": list(in_force(chosen)),
        "choices": [(name, LABELS[name]) for name in ("app", "image", "arch")],
        "query": urlencode(chosen, doseq=True),
        "kept": [(name, value) for name, values in chosen.items() for value in values],
        "as_of": iso(taken.now),
        "today": list(numbers.last_reported.values())[-1],
        "change": change(days, whole),
        "latest": latest(folded),
        "releases": breakdown(RELEASE, folded, chosen, numbers.instances),
        "not_releases": not_releases(folded, chosen, numbers.instances),
        "repositories": breakdown(FOLDED[1], folded, chosen, numbers.instances),
        "families": breakdown(FOLDED[2], folded, chosen, numbers.instances),
        "architectures": breakdown(RAW[2], numbers, chosen, numbers.instances),
        "conf": conf,
    }


def added(query: Query) -> str | None:
    """The query string after the form's `by` and `is`: one filter more; None if it has none."""
    by, value = ((query.get(name) or [""])[-1] for name in ("by", "is"))
    if by not in ALL:
        return None
    value = value[:LONGEST]
    chosen = {name: tuple(values) for name, values in query.items() if name in ALL}
    return urlencode({**chosen, by: (*chosen.get(by, ()), value)}, doseq=True)


def in_force(chosen: Query) -> Iterator[Chosen]:
    """The filters in force."""
    for name, values in chosen.items():
        for value in values:
            rest = {**chosen, name: [other for other in values if other != value]}
            yield Chosen(LABELS[name], value, link(rest))


def link(chosen: Query) -> str:
    """The query of a page for these filters; "?" for none."""
    return "?" + urlencode(chosen, doseq=True)


def breakdown(dimension: Dimension, numbers: Any, chosen: Query, of: int) -> Breakdown:
    """The shares of a dimension of the numbers, folded or as sent."""
    names = getattr(numbers, dimension.breakdown)
    found = list(shares(dimension, names, chosen, of, numbers))
    others = getattr(numbers.others, dimension.breakdown)
    return Breakdown(found[:OPEN], found[OPEN:], len(names) - len(found), others)


def not_releases(folded: Any, chosen: Query, of: int) -> Sequence[Share]:
    """The versions that are no release."""
    return list(shares(RAW[0], folded.not_releases, chosen, of, folded))


def shares(
    dimension: Dimension, names: Mapping[str, int], chosen: Query, of: int, numbers: Any
) -> Iterator[Share]:
    """The share of each name, the first LISTED of them."""
    at_least = numbers.at_least if dimension is RELEASE else {}
    for name, count in list(names.items())[:LISTED]:
        only = chosen.get(dimension.name) == (name,)
        others = {key: values for key, values in chosen.items() if key != dimension.name}
        there = others if only else {**others, dimension.name: (name,)}
        yield Share(
            name,
            count,
            of,
            link(there),
            only,
            at_least.get(name),
            numbers.on_releases if at_least else 0,
        )


def latest(folded: Any) -> Share | None:
    """The newest release that is no pre-release, or the newest of all; None without releases."""
    names = list(folded.releases)
    final = [name for name in names if not folding.order(name).is_prerelease]
    for name in (*final, *names):
        return Share(name, folded.releases[name], folded.on_releases, "", False)
    return None


def change(days: Sequence[Any], whole: Any) -> dict[str, Any] | None:
    """Against the end of the day a week ago; None if there is no figure of it."""
    a_week_ago = (date.fromisoformat(days[-1].date) - WEEK).isoformat()
    for day in days:
        if day.date == a_week_ago:
            more = whole.instances - day.instances
            return {
                "date": day.date,
                "more": f"{more:+,}" if more else "0",
                "percent": percent(abs(more), day.instances) if day.instances else "",
            }
    return None


def percent(part: int, of: int) -> str:
    """Return a part of a whole in percent; a part that is not nothing and not all never looks so."""
    if not of:
        return "0%"
    rounded = round(100 * part / of)
    if not rounded and part:
        return "<1%"
    if rounded == 100 and part < of:
        return ">99%"
    return f"{rounded}%"
