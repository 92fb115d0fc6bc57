"""The numbers, for machines. Each answer is made once for a state of the numbers."""

from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse, QueryDict

from collector import filters, history, metrics, stats
from collector.views.base import Endpoint, unless_known, with_length


class Numbers(Endpoint):
    """A view of a snapshot: its body depends on that and on the query, and on nothing else."""

    content_type = "application/json"
    cross_origin = True

    def get(self, request: HttpRequest) -> HttpResponse:
        taken = stats.snapshot()
        body = taken.once((type(self), request.META["QUERY_STRING"]), lambda: self.body(taken))
        return unless_known(request, HttpResponse(body, self.content_type))

    def body(self, taken: stats.Snapshot) -> bytes:
        """The answer to this request; raises Refusal."""
        return msgspec.json.encode(self.content(taken, self.request.GET))

    def content(self, taken: stats.Snapshot, query: QueryDict) -> Any:
        """What is told, for a view whose body is JSON."""
        raise NotImplementedError


class Stats(Numbers):
    """The statistics; filters narrow them."""

    def content(self, taken: stats.Snapshot, query: QueryDict) -> Any:
        return stats.numbers(taken, filters.parse(dict(query.lists())))


class History(Numbers):
    """The days that are over."""

    def content(self, taken: stats.Snapshot, query: QueryDict) -> Any:
        return history.numbers(taken)


class Metrics(Endpoint):
    """The numbers and the process, for Prometheus."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return with_length(HttpResponse(metrics.text(stats.snapshot()), metrics.CONTENT_TYPE))


class HistoryCsv(Numbers):
    """The same as a table."""

    content_type = "text/csv"

    def body(self, taken: stats.Snapshot) -> bytes:
        return history.to_csv(history.numbers(taken)).encode()
