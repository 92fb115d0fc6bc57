"""The statistics and the history for machines. Each answer is computed once for a snapshot."""

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse

from collector.numbers import filters, history, stats
from collector.numbers.memo import once
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

    def body_and_etag(self, snapshot: Snapshot) -> tuple[bytes, str]:
        """Return the body and its ETag, computed once for this snapshot and query."""
        query = self.request.META["QUERY_STRING"]
        if len(query) > MAX_QUERY:
            return self.compute(snapshot)
        return once(snapshot, (type(self), query), lambda: self.compute(snapshot))

    def compute(self, snapshot: Snapshot) -> tuple[bytes, str]:
        """Compute the body and its ETag. Raises Refusal."""
        body = self.body(snapshot)
        return body, etag_of(body)

    def body(self, snapshot: Snapshot) -> bytes:
        """Return the answer to this request. Raises Refusal."""
        return msgspec.json.encode(self.content(snapshot))

    def content(self, snapshot: Snapshot) -> Any:
        """Return what to answer as JSON."""
        raise NotImplementedError


class Stats(SnapshotView):
    """The statistics, of all instances or of those that the filters match."""

    def content(self, snapshot: Snapshot) -> Any:
        return stats.statistics(snapshot, filters.parse(dict(self.request.GET.lists())))


class History(SnapshotView):
    """The past days, which change neither with a report nor with the query."""

    def body_and_etag(self, snapshot: Snapshot) -> tuple[bytes, str]:
        return once(snapshot.history, (type(self),), lambda: self.compute(snapshot))

    def content(self, snapshot: Snapshot) -> Any:
        return history.history(snapshot.history, snapshot.since)


class HistoryCsv(History):
    """The past days as CSV."""

    content_type = "text/csv"

    def body(self, snapshot: Snapshot) -> bytes:
        return history.to_csv(self.content(snapshot)).encode()


class Metrics(Endpoint):
    """The statistics and the state of the process, for Prometheus."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(metrics.exposition(current()), metrics.CONTENT_TYPE)
