"""The statistics and the history for machines. Each answer is computed once for a snapshot."""

import csv
import io
from collections.abc import Hashable, Iterable, Iterator

import msgspec
from django.http import HttpRequest, HttpResponse, QueryDict
from msgspec import Struct

from collector.numbers import archive, filters, history, stats
from collector.numbers.days import to_day
from collector.numbers.dimensions import RAW
from collector.numbers.snapshot import Snapshot, current
from collector.reports.parsing import Refusal
from collector.views import metrics
from collector.views.endpoint import Endpoint, conditional, etag_of

MAX_QUERY = 256  # characters of a query whose answer is remembered
MAX_PERIOD = 366  # days of the history in one answer, the latest of those that were asked for


class SnapshotView(Endpoint):
    """A view whose body depends only on a snapshot and on the query."""

    content_type = "application/json"
    cross_origin = True

    def get(self, request: HttpRequest) -> HttpResponse:
        body, etag = self.body_and_etag(current())
        return conditional(request, body, self.content_type, etag)

    @property
    def key(self) -> Hashable:
        """What the body depends on, besides the snapshot."""
        return type(self), self.request.META["QUERY_STRING"]

    def body_and_etag(self, snapshot: Snapshot) -> tuple[bytes, str]:
        """Return the body and its ETag, computed once for this snapshot and query."""
        if len(self.request.META["QUERY_STRING"]) > MAX_QUERY:
            return self.compute(snapshot)
        return snapshot.once(self.key, lambda: self.compute(snapshot))

    def compute(self, snapshot: Snapshot) -> tuple[bytes, str]:
        """Compute the body and its ETag. Raises Refusal."""
        body = self.body(snapshot)
        return body, etag_of(body)

    def body(self, snapshot: Snapshot) -> bytes:
        """Return the answer to this request. Raises Refusal."""
        return msgspec.json.encode(self.content(snapshot))

    def content(self, snapshot: Snapshot) -> Struct:
        """Return what to answer as JSON."""
        raise NotImplementedError


class Stats(SnapshotView):
    """The statistics, of all instances or of those that the filters match."""

    def content(self, snapshot: Snapshot) -> Struct:
        return stats.statistics(snapshot, filters.parse(dict(self.request.GET.lists())))


class History(SnapshotView):
    """The past days in memory, or those of a period; a report does not change them."""

    def body_and_etag(self, snapshot: Snapshot) -> tuple[bytes, str]:
        if {"from", "to"} & self.request.GET.keys():
            return self.compute(snapshot)  # remembering all periods would take too much memory
        key = type(self), snapshot.state.since
        return snapshot.past.once(key, lambda: self.compute(snapshot))

    def content(self, snapshot: Snapshot) -> history.History:
        return history.history(self.days(snapshot), snapshot.state.since)

    def days(self, snapshot: Snapshot) -> list[history.Day]:
        """Return the days to answer. Raises Refusal."""
        query = self.request.GET
        if not {"from", "to"} & query.keys():
            return snapshot.past.days
        last = min(_day(query, "to", snapshot.tally.day), snapshot.tally.day - 1)
        return snapshot.past.between(max(_day(query, "from", 0), last - MAX_PERIOD + 1), last)


class HistoryCsv(History):
    """The past days as CSV."""

    content_type = "text/csv"

    def body(self, snapshot: Snapshot) -> bytes:
        return to_csv(row for day in self.days(snapshot) for row in rows(day)).encode()


class ArchiveCsv(SnapshotView):
    """The past days in memory as a file for HISTORY_FOLDER."""

    content_type = "text/csv"

    @property
    def key(self) -> Hashable:
        return type(self).__name__

    def body(self, snapshot: Snapshot) -> bytes:
        days = snapshot.past.days
        return to_csv(row for day in days for row in archive_rows(day)).encode()


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


def rows(day: history.Day) -> Iterator[archive.Row]:
    """Yield a row for each number of a day."""
    yield from archive_rows(day)
    for breakdown in (raw.breakdown for raw in RAW):
        yield from archive.named_rows(day.date, breakdown, getattr(day, breakdown))
        yield day.date, f"other {breakdown}", "", getattr(day.others, breakdown)
    for question, values in (day.answers or {}).items():
        yield from archive.named_rows(day.date, f"answers {question}", values)
    for question, count in (day.answered or {}).items():
        yield day.date, f"answered {question}", "", count


def _day(query: QueryDict, name: str, default: int) -> int:
    """Return the day of a date in a query. Raises Refusal."""
    if name not in query:
        return default
    try:
        return to_day(f"{query[name]}")
    except ValueError:
        raise Refusal(f"{name} must be a date such as 2026-12-31.", name) from None
