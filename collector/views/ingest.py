"""The views to which instances send requests: one accepts a report, the other erases it."""

from typing import Annotated

from django.http import HttpRequest, HttpResponse
from msgspec import UNSET, Meta, Struct, UnsetType

from collector.cache import records
from collector.cache.base import CacheFull, TooManyValues
from collector.cache.tally import Unavailable
from collector.conf import DAY, conf
from collector.numbers import answers
from collector.numbers.days import Timestamp, iso
from collector.reports.parsing import Version, parse, parse_forget
from collector.reports.published import Update, known, update_for
from collector.views import metrics
from collector.views.endpoint import Endpoint, json_response, read_json

READ_ANSWERS = Meta(
    description="How each answer to a question of the table was read; null if it cannot be used. "
    "It is the same whether or not the answer was counted."
)
NEWER_RELEASE = Meta(
    description="Null if the version folds to no release or to none that is older."
)


class Receipt(Struct, frozen=True):
    """The response to a report."""

    stored: Annotated[
        Version | None,
        Meta(description="The version that the server stored; null if it had no room for it."),
    ]
    forgotten_at: Annotated[Timestamp, Meta(description="When the report is forgotten.")]
    answers: Annotated[dict[str, str | None], READ_ANSWERS] | UnsetType = UNSET
    update: Annotated[Update | None, NEWER_RELEASE] | UnsetType = UNSET


class Ingest(Endpoint):
    """Accepts a report, and returns a receipt."""

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        response = super().dispatch(request, *args, **kwargs)
        if request.method == "POST":
            metrics.count_report(response.status_code)
        return response

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            return self.accept(request)
        except (CacheFull, Unavailable) as error:
            metrics.count_report(CacheFull if isinstance(error, CacheFull) else Unavailable)
            raise

    def accept(self, request: HttpRequest) -> HttpResponse:
        """Store the report in a request. Raises Refusal, CacheFull and Unavailable."""
        config = conf.config
        report = parse(read_json(request), config.questions)
        stored: Version | None = report.version
        if config.known_names_only:
            stored = known(report.version, config)
        counted = list(answers.names_of(report.answers))
        try:
            gone_on = records().put(report.id, stored, counted)
        except TooManyValues:
            stored = None
            gone_on = records().put(report.id, stored, counted)
        if stored and config.known_names_only:
            metrics.count_replaced(stored)
        receipt = Receipt(
            stored,
            iso(gone_on * DAY),
            report.answers if config.questions else UNSET,
            update_for(report.version.app, config) if config.releases else UNSET,
        )
        return json_response(receipt, 201)


class Forget(Endpoint):
    """Erases the report of the instance with this id; the response is the same if there is none."""

    def post(self, request: HttpRequest) -> HttpResponse:
        records().delete(parse_forget(read_json(request)))
        response = HttpResponse(status=204)
        del response["Content-Type"]  # there is no content
        return response
