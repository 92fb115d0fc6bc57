"""The numbers, for machines. Each answer is made once for a state of the numbers."""

from collections.abc import Callable
from typing import Any

import msgspec
from django.http import HttpRequest, HttpResponse

from collector.numbers import filters, history, memo, snapshot, stats
from collector.views import metrics
from collector.views.endpoint import Endpoint, Tagged, unless_known, with_length, with_tag

REMEMBERED = 256  # characters of a query; a page repeats it in every link


class Numbers(Endpoint):
    """A view of a snapshot: its body depends on nothing but that and the query."""

    content_type = "application/json"
    cross_origin = True

    def get(self, request: HttpRequest) -> HttpResponse:
        taken = snapshot.current()
        body, etag = self.once(taken, lambda: with_tag(self.body(taken)))
        return unless_known(request, HttpResponse(body, self.content_type), etag)

    def once(self, taken: snapshot.Snapshot, make: Callable[[], Tagged]) -> Tagged:
        """What `make` returns, made once for what the answer depends on."""
        query = self.request.META["QUERY_STRING"]
        if len(query) > REMEMBERED:
            return make()
        return memo.once(taken, (type(self), query), make)

    def body(self, taken: snapshot.Snapshot) -> bytes:
        """The answer to this request; raises Refusal."""
        return msgspec.json.encode(self.content(taken))

    def content(self, taken: snapshot.Snapshot) -> Any:
        """What is told, for a view whose body is JSON."""
        raise NotImplementedError


class Stats(Numbers):
    """The statistics; filters narrow them."""

    def content(self, taken: snapshot.Snapshot) -> Any:
        return stats.statistics(taken, filters.parse(dict(self.request.GET.lists())))


class History(Numbers):
    """The days that are over; neither a report nor the query changes anything in them."""

    def once(self, taken: snapshot.Snapshot, make: Callable[[], Tagged]) -> Tagged:
        return memo.once(taken.history, (type(self),), make)

    def content(self, taken: snapshot.Snapshot) -> Any:
        return history.history(taken.history, taken.since)


class Metrics(Endpoint):
    """The numbers and the process, for Prometheus."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return with_length(HttpResponse(metrics.text(snapshot.current()), metrics.CONTENT_TYPE))


class HistoryCsv(History):
    """The same as a table."""

    content_type = "text/csv"

    def body(self, taken: snapshot.Snapshot) -> bytes:
        return history.to_csv(history.history(taken.history, taken.since)).encode()
