"""The OpenAPI 3.1 description of the API, from the types of its requests and responses."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from django.urls import reverse

from collector import __version__
from collector.conf import MAX_FILTERS, conf
from collector.config import remembered
from collector.docs import rendering
from collector.numbers import filters
from collector.numbers.dimensions import ALL, RELEASE
from collector.numbers.history import History
from collector.numbers.stats import Numbers
from collector.reports.parsing import PRINTABLE_ASCII, Body, Forget, example
from collector.views import badges, charts
from collector.views.badges import BadgeDescription
from collector.views.endpoint import HTML, JSON, ErrorBody
from collector.views.exports import MAX_PERIOD
from collector.views.health import Health, Status
from collector.views.ingest import Receipt

SVG = "image/svg+xml"
SCHEMAS = "#/components/schemas/{name}"
MEANINGS = {
    200: "Success.",
    201: "The report is accepted. The body is its receipt.",
    204: "No report with this id remains.",
    302: "Redirect to the address in Location.",
    304: "The response has not changed since the client cached it with this ETag.",
    400: "The request is invalid. The body says what is wrong, and in which field.",
    408: "The body does not arrive in time.",
    411: "The request has no Content-Length.",
    413: "The body is too long.",
    414: "The query is longer than these parameters allow.",
    415: "The Content-Type is not application/json.",
    503: "The server is full, or its store does not respond. Retry-After says when to try again.",
}
INVALID_BODY = (400, 408, 411, 413, 415)


@dataclass(frozen=True)
class Operation:
    """A request and its responses by status: a type for JSON, a media type, or None for no body."""

    name: str  # of the path in urls.py
    summary: str
    responses: dict[int, Any]
    parameters: tuple[dict[str, Any], ...] = ()
    refusals: tuple[int, ...] = ()
    body: Any = None  # the type of the body of a POST
    example: Callable[[], Any] | None = None  # makes an example of the body

    @property
    def method(self) -> str:
        return "post" if self.body else "get"


def _parameter(name: str, meaning: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": meaning, "schema": schema}


ANY_TEXT: dict[str, Any] = {"type": "string"}
LATEST = f" `{filters.LATEST}` is the newest final release of the operator's table."
ESTABLISHED = _parameter(
    filters.ESTABLISHED,
    "Count only instances that have reported on at least two days.",
    type="string",
    enum=[filters.TRUE],
)
# A query within these limits fits into the request line that the server accepts.
FILTERS = tuple(
    _parameter(
        dimension.name,
        f"Count only instances with these {dimension.breakdown}. A final `*` matches any ending; "
        r"`\*` is a literal `*` there." + LATEST * (dimension is RELEASE),
        type="array",
        maxItems=MAX_FILTERS,
        items={
            "type": "string",
            "maxLength": filters.max_length(dimension),
            "pattern": PRINTABLE_ASCII,
        },
    )
    for dimension in ALL.values()
)
SELECTION = (*FILTERS, ESTABLISHED)
PERIOD = (
    _parameter(
        charts.PERIOD,
        "What the chart of growth shows: the latest 90 days, a year, or all days.",
        type="string",
        enum=list(charts.PERIODS),
        default=charts.PERIOD_DEFAULT,
    ),
)
DATES = tuple(
    _parameter(
        name,
        f"The {which} day. With `from` or `to`, the latest {MAX_PERIOD} days in between are "
        "returned, including those that the server has read from files.",
        type="string",
        format="date",
    )
    for name, which in (("from", "first"), ("to", "last"))
)
# A badge shows "unknown" for a value that no filter can have, so it accepts any text.
BADGE = (
    _parameter("label", "The text on the left.", default=badges.LABEL, **ANY_TEXT),
    _parameter(
        "color",
        "A color name of shields.io, or a hexadecimal number.",
        default=badges.COLOR,
        **ANY_TEXT,
    ),
    *({**each, "schema": {"type": "array", "items": ANY_TEXT}} for each in FILTERS),
    {**ESTABLISHED, "schema": ANY_TEXT},
)
QUESTION = (
    _parameter(
        "question",
        "Count the answers of the latest day that is over. Filters then do not apply.",
        **ANY_TEXT,
    ),
    _parameter("is", "Count only this answer.", **ANY_TEXT),
)
OPERATIONS = (
    Operation(
        "root",
        "Send a report",
        {201: Receipt},
        refusals=(*INVALID_BODY, 503),
        body=Body,
        example=lambda: example(conf.questions),
    ),
    Operation(
        "forget",
        "Erase a report; the response is the same if the id is not known",
        {204: None},
        refusals=(*INVALID_BODY, 503),
        body=Forget,
        example=lambda: {"id": example()["id"]},
    ),
    Operation(
        "stats",
        "Get the statistics of the instances that the filters select",
        {200: Numbers, 304: None},
        SELECTION,
        (400, 503),
    ),
    Operation(
        "history", "Get the statistics of past days", {200: History, 304: None}, DATES, (400, 503)
    ),
    Operation(
        "history-csv",
        "Get the statistics of past days as a table: date, breakdown, name, instances",
        {200: "text/csv", 304: None},
        DATES,
        (400, 503),
    ),
    Operation(
        "archive",
        "Get the totals of past days and instances by release, to save them for years",
        {200: "text/csv", 304: None},
        refusals=(503,),
    ),
    Operation(
        "growth",
        "Get a chart of the number of instances by day",
        {200: SVG, 304: None},
        (*PERIOD, ESTABLISHED),
        (400, 503),
    ),
    Operation(
        "adoption",
        "Get a chart of the share of each known release by day, over a year",
        {200: SVG, 304: None},
        refusals=(503,),
    ),
    Operation("badge", "Redirect to shields.io, which draws the badge", {302: None}, BADGE),
    Operation("badge-svg", "Get a badge", {200: SVG, 304: None}, BADGE),
    Operation(
        "badge-json",
        "Get the description of a badge for shields.io",
        {200: BadgeDescription, 304: None},
        BADGE,
    ),
    Operation(
        "metrics",
        "Get the statistics and the state of the process, for Prometheus",
        {200: "text/plain"},
        refusals=(503,),
    ),
    Operation("openapi", "Get this description", {200: dict[str, Any], 304: None}),
    Operation("root", "Redirect to the docs", {302: HTML}),
    Operation(
        "dashboard",
        "Get the dashboard of the instances that the filters select",
        {200: HTML, 302: None, 304: None},
        (*SELECTION, *PERIOD),
        (400, 503),
    ),
    Operation("docs", "Get the docs", {200: HTML, 304: None}),
    Operation("clients", "Get the page about consent and about clients", {200: HTML, 304: None}),
    Operation("healthz", "Check that the server is alive", {200: Health}),
    Operation("readyz", "Check that the server can accept reports", {200: Status}, refusals=(503,)),
)
TYPES = (
    ErrorBody,
    *(each.body for each in OPERATIONS if each.body),
    *(kind for each in OPERATIONS for kind in each.responses.values() if isinstance(kind, type)),
)
# The members that a table of the configuration file adds: the table, the type, the member.
OPTIONAL = (
    ("questions", "Numbers", "answers_day"),
    ("questions", "Numbers", "answers"),
    ("questions", "Numbers", "answered"),
    ("questions", "Day", "answers"),
    ("questions", "Day", "answered"),
    ("questions", "Receipt", "answers"),
    ("releases", "Numbers", "published"),
    ("releases", "Receipt", "update"),
)


@remembered
def text() -> bytes:
    """Return the description as JSON."""
    return msgspec.json.encode(document())


def document() -> dict[str, Any]:
    """Return the description."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        path = reverse(f"collector-{operation.name}")
        paths.setdefault(path, {})[operation.method] = _describe(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Headcount of {conf.project_name}",
            "version": __version__,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": schemas()},
    }


def schemas() -> dict[str, Any]:
    """Return the schema of each type by its name."""
    _, components = msgspec.json.schema_components(
        TYPES, ref_template=SCHEMAS, schema_hook=lambda type_: {}
    )
    for table, name, member in OPTIONAL:
        if getattr(conf.config, table):
            components[name]["required"].append(member)
        else:
            del components[name]["properties"][member]
    if not conf.config.releases:
        for name in ("Published", "Update"):
            del components[name]
    body = components["Body"]
    body["properties"].pop("answers")
    if conf.questions:
        body["properties"]["answers"] = _answers()
    return components


def _answers() -> dict[str, Any]:
    """Return the schema of the answers, which accepts anything."""
    return {
        "description": "An object with answers to questions. An answer of another type is ignored.",
        "properties": {
            each.name: {"description": f"{rendering.text(each.what)}: {each.sent}."}
            for each in conf.questions
        },
    }


def _describe(operation: Operation) -> dict[str, Any]:
    refusals: dict[int, Any] = dict.fromkeys(operation.refusals, ErrorBody)
    if operation.parameters:
        refusals[414] = HTML
    description: dict[str, Any] = {
        "operationId": f"{operation.method}-{operation.name}",
        "summary": operation.summary,
        "responses": {
            str(status): {"description": MEANINGS[status], **_content(content)}
            for status, content in sorted({**operation.responses, **refusals}.items())
        },
    }
    if operation.parameters:
        description["parameters"] = list(operation.parameters)
        if conf.questions and operation.parameters is BADGE:
            description["parameters"] += QUESTION
    if operation.example:
        content = _content(operation.body)
        content["content"][JSON]["example"] = operation.example()
        description["requestBody"] = {"required": True, **content}
    return description


def _content(content: Any) -> dict[str, Any]:
    if content is None:
        return {}
    if isinstance(content, str):
        return {"content": {content: {"schema": {"type": "string"}}}}
    (schema,), _ = msgspec.json.schema_components([content], ref_template=SCHEMAS)
    return {"content": {JSON: {"schema": schema}}}
