"""The statistics and the history for machines. Each answer is computed once for a snapshot."""

import csv
import io
from collections.abc import Hashable, Iterator

import msgspec
from django.http import HttpRequest, HttpResponse
from msgspec import Struct

from collector.numbers import filters, history, stats
from collector.numbers.dimensions import RAW
from collector.numbers.snapshot import Snapshot, current
from collector.views import metrics
from collector.views.endpoint import Endpoint, conditional, etag_of

MAX_QUERY = 256  # characters of a query whose answer is remembered


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
    """The past days, which change neither with a report nor with the query."""

    def body_and_etag(self, snapshot: Snapshot) -> tuple[bytes, str]:
        key = type(self), snapshot.state.since
        return snapshot.past.once(key, lambda: self.compute(snapshot))

    def content(self, snapshot: Snapshot) -> history.History:
        return history.history(snapshot.past, snapshot.state.since)


class HistoryCsv(History):
    """The past days as CSV."""

    content_type = "text/csv"

    def body(self, snapshot: Snapshot) -> bytes:
        return to_csv(self.content(snapshot)).encode()


class Metrics(Endpoint):
    """The statistics and the state of the process, for Prometheus."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(metrics.exposition(current()), metrics.CONTENT_TYPE)


def to_csv(answer: history.History) -> str:
    """Return a history as CSV, with a line for each number: date, what, name, installations."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("date", "what", "name", "installations"))
    for day in answer.days:
        lines.writerows(_lines(day))
    return text.getvalue()


def _lines(day: history.Day) -> Iterator[tuple[str, str, str, int]]:
    for total in history.TOTALS:
        yield day.date, total, "", getattr(day, total)
    for breakdown in (raw.breakdown for raw in RAW):
        for name, count in getattr(day, breakdown).items():
            yield day.date, breakdown, _escape(name), count
        yield day.date, f"other {breakdown}", "", getattr(day.others, breakdown)
    for question, values in (day.answers or {}).items():
        for value, count in values.items():
            yield day.date, f"answers {question}", _escape(value), count
    for question, count in (day.answered or {}).items():
        yield day.date, f"answered {question}", "", count


def _escape(name: str) -> str:
    """Return a name that no spreadsheet takes for a formula; different names stay different."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "'")) else name
