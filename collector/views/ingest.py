"""The views to which instances send requests: one accepts a report, the other erases it."""

from typing import Any, TypedDict

from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, UnsetType

from collector.cache import TooManyValues, records
from collector.conf import conf
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
        (
            "answers",
            described(dict[str, str], "What the server stored of the answers.") | UnsetType,
            UNSET,
        ),
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
        questions = conf.questions
        report = parse(read_json(request), questions)
        stored: dict[str, str | None] | None = report.version
        answers = {each.section: report.answers.get(each.name) for each in questions}
        try:
            expiry = records().put_all(report.id, stored, answers)
        except TooManyValues:
            stored = None
            expiry = records().put_all(report.id, stored, answers)
        kept = report.answers if questions else UNSET
        return answer(Receipt(stored, expiry and iso(expiry), kept), 201)


class Forget(Endpoint):
    """Erases the report of the instance with this id; the answer is the same if there is none."""

    def post(self, request: HttpRequest) -> HttpResponse:
        sections = [each.section for each in conf.questions]
        records().delete_all(parse_forget(read_json(request)), sections)
        response = HttpResponse(status=204)
        del response["Content-Type"]  # there is no content
        return response
