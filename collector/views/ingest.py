"""What installations send: a report, or the wish to be forgotten."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from collector.cache import TooManyValues, records
from collector.numbers.answers import Receipt
from collector.numbers.moments import iso
from collector.reports import parsing as reports
from collector.views import metrics
from collector.views.endpoint import Endpoint, answer, json_body


class Ingest(Endpoint):
    """Takes a report; the answer is its receipt."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().dispatch(request, *args, **kwargs)
        if request.method == "POST":
            metrics.count(response.status_code)
        return response

    dispatch.csrf_exempt = True  # type: ignore[attr-defined]  # see Endpoint

    def post(self, request: HttpRequest) -> HttpResponse:
        report = reports.parse(json_body(request))
        stored: dict[str, str | None] | None = report.version
        try:
            forgotten_at = records().put(report.id, stored)
        except TooManyValues:
            stored = None
            forgotten_at = records().put(report.id, stored)
        return answer(Receipt(stored, forgotten_at and iso(forgotten_at)), 201)


class Forget(Endpoint):
    """Erases the installation whose id is sent; the answer is the same if it was never here."""

    def post(self, request: HttpRequest) -> HttpResponse:
        records().delete(reports.parse_forget(json_body(request)))
        response = HttpResponse(status=204)
        del response["Content-Type"]  # there is no content
        return response
