"""The views to which instances send requests: one accepts a report, the other erases it."""

from typing import Any, TypedDict

from django.http import HttpRequest, HttpResponse

from collector.cache import TooManyValues, records
from collector.numbers.breakdowns import described, struct
from collector.numbers.history import Moment
from collector.numbers.moments import iso
from collector.reports.fields import COUNTED
from collector.reports.parsing import parse, parse_forget
from collector.views import metrics
from collector.views.endpoint import Endpoint, answer, read_json

# The table of fields decides the members of these types, which mypy cannot know.
StoredVersion: Any = TypedDict("StoredVersion", dict.fromkeys(COUNTED, str | None))  # type: ignore[misc]
StoredVersion.__doc__ = "The fields of a version that the server stores."
Receipt = struct(
    "Receipt",
    "The answer to a report.",
    [
        (
            "stored",
            described(
                StoredVersion | None,
                "The version that the server stored, or null if it had no room for it.",
            ),
        ),
        ("forgotten_at", described(Moment | None, "When the report is forgotten.")),
    ],
)


class Ingest(Endpoint):
    """Accepts a report, and answers with a receipt."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = super().dispatch(request, *args, **kwargs)
        if request.method == "POST":
            metrics.count_report(response.status_code)
        return response

    def post(self, request: HttpRequest) -> HttpResponse:
        report = parse(read_json(request))
        stored: dict[str, str | None] | None = report.version
        try:
            expiry = records().put(report.id, stored)
        except TooManyValues:
            stored = None
            expiry = records().put(report.id, stored)
        return answer(Receipt(stored, expiry and iso(expiry)), 201)


class Forget(Endpoint):
    """Erases the report of the instance with this id; the answer is the same if there is none."""

    def post(self, request: HttpRequest) -> HttpResponse:
        records().delete(parse_forget(read_json(request)))
        response = HttpResponse(status=204)
        del response["Content-Type"]  # there is no content
        return response
