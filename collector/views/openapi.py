"""The OpenAPI 3.1 description of the API, from the types of its requests and responses."""

from dataclasses import dataclass
from itertools import product
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
READ = (200, 304, 503)
SELECTED = (200, 304, 400, 503)
INVALID_BODY = (400, 408, 411, 413, 415)


@dataclass(frozen=True)
class Operation:
    """A request, and the statuses of its responses, the first of which has the content."""

    name: str  # of the path in urls.py
    summary: str
    content: Any  # a type for JSON, a media type, or None for no body
    statuses: tuple[int, ...] = (200, 304)
    parameters: tuple[dict[str, Any], ...] = ()
    body: Any = None  # the type of the body of a POST

    @property
    def method(self) -> str:
        return "post" if self.body else "get"

    @property
    def responses(self) -> dict[int, Any]:
        """The content of the response with each status."""
        first, *others = self.statuses
        long_query = {414: HTML} if self.parameters else {}
        rest = {status: ErrorBody if status >= 400 else None for status in others}
        return {first: self.content} | rest | long_query


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
PERIOD = _parameter(
    charts.PERIOD,
    "What the chart of growth shows: the latest 90 days, a year, or all days.",
    type="string",
    enum=list(charts.PERIODS),
    default=charts.PERIOD_DEFAULT,
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
    Operation("root", "Send a report", Receipt, (201, *INVALID_BODY, 503), body=Body),
    Operation(
        "forget",
        "Erase a report; the response is the same if the id is not known",
        None,
        (204, *INVALID_BODY, 503),
        body=Forget,
    ),
    Operation(
        "stats",
        "Get the statistics of the instances that the filters select",
        Numbers,
        SELECTED,
        SELECTION,
    ),
    Operation("history", "Get the statistics of past days", History, SELECTED, DATES),
    Operation(
        "history-csv",
        "Get the statistics of past days as a table: date, breakdown, name, instances",
        "text/csv",
        SELECTED,
        DATES,
    ),
    Operation(
        "archive",
        "Get the totals of past days and instances by release, to save them for years",
        "text/csv",
        READ,
    ),
    Operation(
        "growth",
        "Get a chart of the number of instances by day",
        SVG,
        SELECTED,
        (PERIOD, ESTABLISHED),
    ),
    Operation(
        "adoption", "Get a chart of the share of each known release by day, over a year", SVG, READ
    ),
    Operation("badge", "Redirect to shields.io, which draws the badge", None, (302,), BADGE),
    Operation("badge-svg", "Get a badge", SVG, parameters=BADGE),
    Operation(
        "badge-json",
        "Get the description of a badge for shields.io",
        BadgeDescription,
        parameters=BADGE,
    ),
    Operation(
        "metrics",
        "Get the statistics and the state of the process, for Prometheus",
        "text/plain",
        (200, 503),
    ),
    Operation("openapi", "Get this description", dict[str, Any]),
    Operation("root", "Redirect to the docs", HTML, (302,)),
    Operation(
        "dashboard",
        "Get the dashboard of the instances that the filters select",
        HTML,
        (200, 302, 304, 400, 503),
        (*SELECTION, PERIOD),
    ),
    Operation("docs", "Get the docs", HTML),
    Operation("clients", "Get the page about consent and about clients", HTML),
    Operation("healthz", "Check that the server is alive", Health, (200,)),
    Operation("readyz", "Check that the server can accept reports", Status, (200, 503)),
)
TYPES = (
    ErrorBody,
    *(each.body for each in OPERATIONS if each.body),
    *(each.content for each in OPERATIONS if isinstance(each.content, type)),
)
# The members that a table of the configuration file adds to responses.
ADDED = {"questions": ("answers_day", "answers", "answered"), "releases": ("published", "update")}


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
    body = components["Body"]["properties"]
    del body["answers"]
    for table, members in ADDED.items():
        for schema, member in product(components.values(), members):
            if member in schema["properties"] and getattr(conf.config, table):
                schema["required"].append(member)
            else:
                schema["properties"].pop(member, None)
    if not conf.config.releases:
        del components["Published"], components["Update"]
    if conf.questions:
        body["answers"] = _answers()
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
    description: dict[str, Any] = {
        "operationId": f"{operation.method}-{operation.name}",
        "summary": operation.summary,
        "responses": {
            str(status): {"description": MEANINGS[status], **_content(content)}
            for status, content in sorted(operation.responses.items())
        },
    }
    if operation.parameters:
        description["parameters"] = list(operation.parameters)
        if conf.questions and operation.parameters is BADGE:
            description["parameters"] += QUESTION
    if operation.body:
        content = _content(operation.body)
        report = example(conf.questions)
        sent = report if operation.body is Body else {"id": report["id"]}
        content["content"][JSON]["example"] = sent
        description["requestBody"] = {"required": True, **content}
    return description


def _content(content: Any) -> dict[str, Any]:
    if content is None:
        return {}
    if isinstance(content, str):
        return {"content": {content: {"schema": {"type": "string"}}}}
    (schema,), _ = msgspec.json.schema_components([content], ref_template=SCHEMAS)
    return {"content": {JSON: {"schema": schema}}}
