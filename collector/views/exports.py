"""The statistics and the history for programs. A snapshot keeps the responses to short queries."""

import csv
import io
from collections.abc import Hashable, Iterable, Iterator
from itertools import accumulate

import msgspec
from django.http import HttpRequest, HttpResponse, QueryDict

from collector.conf import MAX_HISTORY, conf
from collector.numbers import archive, filters, history, stats
from collector.numbers.days import iso, to_day
from collector.numbers.dimensions import RAW
from collector.numbers.snapshot import Snapshot, current
from collector.refusal import Refusal
from collector.views import metrics
from collector.views.endpoint import Endpoint, conditional

MAX_QUERY = 256  # characters of a query whose response is remembered
MAX_PERIOD = 366  # days of the history in one response, the latest of the period


class SnapshotView(Endpoint):
    """A view whose body depends only on a snapshot and on the query."""

    content_type = "application/json"
    cross_origin = True

    def get(self, request: HttpRequest) -> HttpResponse:
        return conditional(request, self.remembered(current()), self.content_type)

    @property
    def key(self) -> Hashable:
        """The key under which the snapshot keeps the body."""
        return type(self), self.request.META["QUERY_STRING"]

    def remembered(self, snapshot: Snapshot) -> bytes:
        """Return the body, computed once for this snapshot and query. Raises Refusal."""
        if len(self.request.META["QUERY_STRING"]) > MAX_QUERY:
            return self.body(snapshot)
        return snapshot.once(self.key, lambda: self.body(snapshot))

    def body(self, snapshot: Snapshot) -> bytes:
        raise NotImplementedError


class Stats(SnapshotView):
    """The statistics of the instances that the filters match."""

    def body(self, snapshot: Snapshot) -> bytes:
        chosen = filters.parse(dict(self.request.GET.lists()))
        return msgspec.json.encode(stats.statistics(snapshot, chosen))


class History(SnapshotView):
    """The past days in memory or of a period. A report does not change them."""

    def remembered(self, snapshot: Snapshot) -> bytes:
        if {"from", "to"} & self.request.GET.keys():
            return self.body(snapshot)  # remembering all periods would take too much memory
        key = type(self), snapshot.state.since
        return snapshot.past.once(key, lambda: self.body(snapshot))

    def body(self, snapshot: Snapshot) -> bytes:
        since = iso(snapshot.state.since)
        past = history.History(since, conf.history_days, self.days(snapshot))
        return msgspec.json.encode(past)

    def days(self, snapshot: Snapshot) -> list[history.Day]:
        """Return the days that the query asks for. Raises Refusal."""
        query = self.request.GET
        if not {"from", "to"} & query.keys():
            return _latest([*snapshot.past.in_memory.values()])
        last = min(_day(query, "to", snapshot.tally.day), snapshot.tally.day - 1)
        first = max(_day(query, "from", 0), last - MAX_PERIOD + 1)
        return _latest(snapshot.past.between(first, last))


class HistoryCsv(History):
    """The past days as CSV."""

    content_type = "text/csv"

    def body(self, snapshot: Snapshot) -> bytes:
        return to_csv(row for day in self.days(snapshot) for row in self.rows(day)).encode()

    def rows(self, day: history.Day) -> Iterator[archive.Row]:
        """Yield a row for each number of a day."""
        yield from archive_rows(day)
        for breakdown in (raw.breakdown for raw in RAW):
            yield from archive.named_rows(day.date, breakdown, getattr(day, breakdown))
            yield day.date, f"other {breakdown}", "", getattr(day.others, breakdown)
        for question, values in (day.answers or {}).items():
            yield from archive.named_rows(day.date, f"answers {question}", values)
        for question, count in (day.answered or {}).items():
            yield day.date, f"answered {question}", "", count


class ArchiveCsv(HistoryCsv):
    """The past days in memory as a file for HISTORY_FOLDER.

    The day on which counting began is left out, unless it was counted whole: it would be a dip in
    the curve, and the last complete day after the next restart.
    """

    def days(self, snapshot: Snapshot) -> list[history.Day]:
        past = snapshot.past.in_memory
        return [past[day] for day in past if day >= snapshot.first_whole_day]

    def rows(self, day: history.Day) -> Iterator[archive.Row]:
        return archive_rows(day)


class Metrics(Endpoint):
    """The statistics and the state of the process, for Prometheus."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(metrics.exposition(current()), metrics.CONTENT_TYPE)


def to_csv(rows: Iterable[archive.Row]) -> str:
    """Return rows as CSV, with a header."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(archive.COLUMNS)
    lines.writerows(rows)
    return text.getvalue()


def archive_rows(day: history.Day) -> Iterator[archive.Row]:
    """Yield the rows of a day that the archive has."""
    totals = (day.instances, day.established, day.reported)
    return archive.rows(day.date, totals, day.releases)


def _latest(days: list[history.Day]) -> list[history.Day]:
    """Return the latest days that fit into MAX_HISTORY bytes of JSON."""
    ends = accumulate(len(msgspec.json.encode(day)) + 1 for day in reversed(days))
    return days[sum(end > MAX_HISTORY for end in ends) :]


def _day(query: QueryDict, name: str, default: int) -> int:
    """Return the day of a date in a query. Raises Refusal."""
    if name not in query:
        return default
    try:
        return to_day(f"{query[name]}")
    except ValueError:
        raise Refusal(f"{name} must be a date such as 2026-12-31.", name) from None
