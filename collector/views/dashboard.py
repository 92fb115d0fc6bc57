"""The dashboard: the statistics of a snapshot and the days before it, as a page."""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.safestring import SafeString

from collector import folding, patterns
from collector.cache.base import answer_unit
from collector.numbers import filters, trends
from collector.numbers.days import iso, iso_date, to_day
from collector.numbers.dimensions import ALL, ARCHITECTURE, FOLDED, RAW, RELEASE, Dimension
from collector.numbers.history import Day
from collector.numbers.snapshot import Snapshot
from collector.numbers.stats import Numbers, statistics
from collector.questions import Question, Table
from collector.views import charts
from collector.views.charts import PERIOD, PERIODS, YEAR, first_day, period_of
from collector.views.exports import SnapshotView
from collector.views.layout import render, render_page

MAX_ROWS = 60  # names in a table of the page; /stats has more
VISIBLE_ROWS = 12  # of them are visible without opening the rest
WEEK = 7  # days
ROWS = 90  # past days in a table
Query = Mapping[str, Sequence[str]]


class Dashboard(SnapshotView):
    """The statistics as a page. Its form adds a filter and redirects to a URL to share."""

    content_type = "text/html; charset=utf-8"
    cross_origin = False

    @property
    def key(self) -> Hashable:
        return super().key, int(time.time() // 60)  # the page names the minute

    def get(self, request: HttpRequest) -> HttpResponse:
        query = query_of_form(dict(request.GET.lists()))
        if query is None:
            return super().get(request)
        url = f"{reverse('collector-dashboard')}?{query}"
        return HttpResponseRedirect(url, headers={"Cache-Control": "no-cache"})

    def body(self, snapshot: Snapshot) -> bytes:
        context = page_context(snapshot, dict(self.request.GET.lists()))
        return render_page("dashboard", "Instances", "dashboard", **context).encode()


@dataclass(frozen=True)
class Share:
    """A name, the number of instances that have it, and a link to the page with only these."""

    name: str
    count: int
    of: int
    link: str = ""
    chosen: bool = False
    at_least: int | None = None
    on_releases: int = 0
    note: str = ""

    @property
    def percent(self) -> str:
        return percent(self.count, self.of)

    @property
    def width(self) -> str:
        """The length of the bar; all instances would fill the cell."""
        return f"{100 * self.count / (self.of or 1):.1f}%"

    @property
    def percent_at_least(self) -> str:
        """The share that runs this release or a newer one, of the instances on a release."""
        return percent(self.at_least or 0, self.on_releases)


@dataclass(frozen=True)
class ShareTable:
    """The shares of a dimension, and the number of names and instances that it leaves out."""

    visible: Sequence[Share]
    rest: Sequence[Share]
    omitted: int  # names that only /stats has
    others: int  # instances that are not listed by name


def page_context(snapshot: Snapshot, query: Query) -> dict[str, object]:
    """Return the context of the template for the filters of a query. Raises Refusal."""
    chosen = kept(query)
    selected = filters.parse(chosen)
    filtered = selected != filters.NO_FILTERS
    everything = statistics(snapshot)
    numbers = statistics(snapshot, selected) if filtered else everything
    days, year = trends.recent(snapshot, ROWS), trends.recent(snapshot, YEAR)
    first, last = first_day(snapshot, chosen), snapshot.last_complete_day
    by_day = trends.totals(snapshot, first, established=selected.established)
    return {
        "numbers": numbers,
        "everything": everything,
        "established": percent(numbers.established, numbers.instances),
        "filtered": filtered,
        "selected": selected,
        "last": last and {"date": iso_date(last[0]), "totals": last[1]},
        "before": snapshot.count_before(selected),
        "filters": list(filters_in_force(chosen)),
        "choices": RAW,
        "query": urlencode({name: chosen[name] for name in chosen if name != PERIOD}, doseq=True),
        "hidden_inputs": [(name, value) for name, values in chosen.items() for value in values],
        "as_of": iso(time.time()),
        "today": list(numbers.last_reported.values())[-1],
        "change": None if last else change_since_last_week(by_day),
        "latest": latest_release(numbers),
        "not_releases": list(shares(RAW[0], numbers.folded.not_releases, chosen, numbers)),
        **{
            dimension.breakdown: share_table(dimension, chosen, numbers)
            for dimension in (*FOLDED, ARCHITECTURE)
        },
        "answer_unit": answer_unit(),
        "answers": list(answer_tables(snapshot.rules.config.questions, everything)),
        "periods": [
            (label, name == period_of(chosen), link_to({**chosen, PERIOD: (name,)}))
            for name, (label, _) in PERIODS.items()
        ],
        **growth(snapshot, days, by_day, charts.KINDS[selected.established]),
        **adoption(snapshot, year),
    }


def kept(query: Query) -> dict[str, tuple[str, ...]]:
    """Return the parameters that the links of the page keep: the filters and the period."""
    names = {*ALL, filters.ESTABLISHED, PERIOD}
    return {name: tuple(values) for name, values in query.items() if name in names}


def query_of_form(query: Query) -> str | None:
    """Return the query string after the form was sent with `by` and `is`; None if it was not."""
    by, value = ((query.get(name) or [""])[-1] for name in ("by", "is"))
    if by not in ALL:
        return None
    chosen = kept(query)
    value = value[: filters.max_length(ALL[by])]
    return urlencode({**chosen, by: (*chosen.get(by, ()), value)}, doseq=True)


def filters_in_force(chosen: Query) -> Iterator[tuple[str, str, str]]:
    """Yield the label and the value of each filter, and a link to the page without it."""
    for name, values in chosen.items():
        for value in values if name != PERIOD else ():
            rest = {**chosen, name: [other for other in values if other != value]}
            label = ALL[name].label if name in ALL else name
            yield label, value, link_to(rest)


def link_to(chosen: Query) -> str:
    """Return the query of the page with these filters; "?" without any."""
    return "?" + urlencode(chosen, doseq=True)


def share_table(dimension: Dimension, chosen: Query, numbers: Numbers) -> ShareTable:
    """Return the table of a dimension."""
    breakdowns = numbers.folded if dimension in FOLDED else numbers
    names = getattr(breakdowns, dimension.breakdown)
    rows = list(shares(dimension, names, chosen, numbers))
    others = getattr(breakdowns.others, dimension.breakdown)
    return ShareTable(rows[:VISIBLE_ROWS], rows[VISIBLE_ROWS:], len(names) - len(rows), others)


def shares(
    dimension: Dimension, names: Mapping[str, int], chosen: Query, numbers: Numbers
) -> Iterator[Share]:
    """Yield the share of each of the first MAX_ROWS names.

    The link of a name replaces the filter of its dimension, or removes it if it is this name.
    """
    at_least = numbers.folded.at_least if dimension is RELEASE else {}
    other_filters = {key: values for key, values in chosen.items() if key != dimension.name}
    for name, count in list(names.items())[:MAX_ROWS]:
        value = (patterns.exact(name),)
        is_chosen = chosen.get(dimension.name) == value
        yield Share(
            name,
            count,
            numbers.instances,
            link_to(other_filters if is_chosen else {**other_filters, dimension.name: value}),
            is_chosen,
            at_least.get(name),
            numbers.folded.on_releases,
            note_on(name, numbers) if dimension is RELEASE else "",
        )


def note_on(release: str, numbers: Numbers) -> str:
    """Return the date of a release, and whether it is vulnerable, if the table has it."""
    if not numbers.published or release not in numbers.published.dates:
        return ""
    vulnerable = ", vulnerable" if release in numbers.published.vulnerable else ""
    return numbers.published.dates[release] + vulnerable


def answer_tables(
    questions: Table, numbers: Numbers
) -> Iterator[tuple[Question, int, list[Share]]]:
    """Yield each question, how many instances answered it, and the shares of its answers."""
    for question in questions:
        answered = (numbers.answered or {}).get(question.name, 0)
        counts = (numbers.answers or {}).get(question.name, {})
        yield question, answered, [Share(*each, answered) for each in counts.items()]


def latest_release(numbers: Numbers) -> Share | None:
    """Return the latest release of the table of releases.

    Without a table, it is the newest final release reported, or else the newest pre-release.
    """
    folded = numbers.folded
    if numbers.published:
        name = numbers.published.latest
    else:
        final = filter(folding.is_final, folded.releases)
        name = next(final, None) or next(iter(folded.releases), None)
    if name is None:
        return None
    count, note = folded.releases.get(name, 0), note_on(name, numbers)
    return Share(name, count, folded.on_releases, note=note)


def change_since_last_week(by_day: Mapping[int, int]) -> dict[str, str] | None:
    """Return how the number of instances changed since the end of the day a week ago, if known."""
    today = max(by_day)
    before = by_day.get(today - WEEK)
    if before is None:
        return None
    difference = by_day[today] - before
    if not difference:
        comparison = "as many as"
    elif not before:
        comparison = "none"
    else:
        share = percent(abs(difference), before)
        comparison = f"{share} {'more' if difference > 0 else 'fewer'} than"
    return {
        "difference": f"{difference:+,}" if difference else "0",
        "comparison": f"{comparison} at the end of {iso_date(today - WEEK)}",
    }


def growth(
    snapshot: Snapshot, days: Sequence[Day], by_day: Mapping[int, int], kind: str
) -> dict[str, object]:
    """Return the charts of instances and of reports by day, and their tables."""
    reported = {to_day(day.date): day.reported for day in days}
    return {
        "growth_chart": charts.growth(by_day, kind) if len(by_day) > 1 else None,
        "reports_chart": charts.reports(reported) if len(reported) > 1 else None,
        "growth_rows": rows(snapshot, "growth", days, lambda day: (day.instances, day.established)),
        "reports_rows": rows(snapshot, "reports", days, lambda day: (day.reported,)),
    }


def adoption(snapshot: Snapshot, days: Sequence[Day]) -> dict[str, object]:
    """Return the adoption chart and the table of its latest days."""
    adopted = trends.adoption(snapshot.past, days)
    if len(days) < 2 or not adopted.releases:
        return {}
    parts = {day.date: part for day, part in zip(days, adopted.parts, strict=True)}

    def cells(day: Day) -> list[int | str]:
        return [*(percent(part, day.instances) for part in parts[day.date]), day.instances]

    latest = days[-ROWS - 1 :]
    return {
        "adoption_chart": charts.adoption(adopted, days),
        "adoption_rows": rows(snapshot, f"adoption {adopted.releases}", latest, cells),
        "layers": charts.legend(adopted),
    }


def rows(
    snapshot: Snapshot, name: str, days: Sequence[Day], cells: Callable[[Day], Iterable[int | str]]
) -> SafeString:
    """Return the rows of a table of days, newest first. Render the rows of past days once."""

    def render_rows(some: Sequence[Day]) -> SafeString:
        table = [(day.date, map(grouped, cells(day))) for day in reversed(some)]
        return render("day_rows.html", {"rows": table})

    today = iso_date(snapshot.tally.day)
    past = [day for day in days if day.date != today]
    key = "rows", name, today
    return render_rows(days[len(past) :]) + snapshot.past.once(key, lambda: render_rows(past))


def grouped(number: int | str) -> str:
    """Return a number with commas between thousands, or a text as it is."""
    return f"{number:,}" if isinstance(number, int) else number


def percent(part: int, of: int) -> str:
    """Return a share as a whole percentage; only nothing is 0% and only everything is 100%."""
    if not of:
        return "0%"
    rounded = round(100 * part / of)
    if not rounded and part:
        return "<1%"
    if rounded == 100 and part < of:
        return ">99%"
    return f"{rounded}%"
