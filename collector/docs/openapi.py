"""The API, described: OpenAPI 3.1, with the schemas of the types that parse and answer."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from django.core.signals import setting_changed
from django.urls import reverse

from collector import __version__
from collector.conf import MAX_FILTERS, conf
from collector.docs import examples
from collector.numbers import answers, history, stats
from collector.numbers.dimensions import ALL
from collector.reports import parsing as reports
from collector.views import badges

JSON = "application/json"
SCHEMAS = "#/components/schemas/{name}"
MEANINGS = {
    200: "The answer.",
    201: "The report was accepted; its receipt.",
    204: "Done; there is nothing to say.",
    302: "Where to go.",
    304: "The client has it already, by its ETag.",
    400: "Not what is asked for: what is wrong, and in which field.",
    408: "The body did not come in time.",
    411: "There is no Content-Length.",
    413: "The body is too long.",
    414: "The query is too long; gunicorn answers this itself.",
    415: "The body is not JSON.",
    503: "The server is full, or its store is away; when to try again is in Retry-After.",
}
NOT_A_BODY = (400, 408, 411, 413, 415)


@dataclass(frozen=True)
class Operation:
    """One request and its answers, by status: a type for JSON, or a media type, or None."""

    name: str  # of the path, in urls.py
    summary: str
    answers: dict[int, Any]
    method: str = "get"
    body: Any = None  # the type of what is sent
    example: Any = None
    parameters: tuple[dict[str, Any], ...] = ()
    refusals: tuple[int, ...] = ()


def _parameter(name: str, meaning: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": meaning, "schema": schema}


def _filters(**limit: int) -> tuple[dict[str, Any], ...]:
    return tuple(
        _parameter(
            dimension.name,
            f"Count only these {dimension.breakdown}; a final * makes a prefix.",
            type="array",
            items={"type": "string"},
            **limit,
        )
        for dimension in ALL.values()
    )


BADGE = (
    _parameter("label", "The left side.", type="string", default=badges.LABEL),
    _parameter("color", "A name or a hexadecimal number.", type="string", default=badges.COLOR),
    *_filters(),
)
OPERATIONS = (
    Operation(
        name="root",
        summary="Report",
        method="post",
        body=reports.Body,
        example=examples.sent(),
        answers={201: answers.Receipt},
        refusals=(*NOT_A_BODY, 503),
    ),
    Operation(
        name="forget",
        summary="Be forgotten; the answer is the same if the id was never known",
        method="post",
        body=reports.Forget,
        example={"id": examples.ID},
        answers={204: None},
        refusals=(*NOT_A_BODY, 503),
    ),
    Operation(
        name="stats",
        summary="The statistics; filters narrow them",
        answers={200: stats.Numbers, 304: None},
        parameters=_filters(maxItems=MAX_FILTERS),
        refusals=(400, 503),
    ),
    Operation(
        name="history",
        summary="The days that are over",
        answers={200: history.History, 304: None},
        refusals=(503,),
    ),
    Operation(
        name="history-csv",
        summary="The same as a table: date, what, name, installations",
        answers={200: "text/csv", 304: None},
        refusals=(503,),
    ),
    Operation(
        name="badge",
        summary="Go to a badge at shields.io",
        answers={302: None},
        parameters=BADGE,
    ),
    Operation(
        name="badge-svg",
        summary="A badge",
        answers={200: "image/svg+xml", 304: None},
        parameters=BADGE,
    ),
    Operation(
        name="badge-json",
        summary="A badge, described to shields.io",
        answers={200: answers.BadgeDescription, 304: None},
        parameters=BADGE,
    ),
    Operation(
        name="metrics",
        summary="The statistics and the process, for Prometheus",
        answers={200: "text/plain"},
        refusals=(503,),
    ),
    Operation(
        name="openapi",
        summary="This description",
        answers={200: dict[str, Any], 304: None},
    ),
    Operation(name="root", summary="Go to the docs", answers={302: "text/html"}),
    Operation(
        name="dashboard",
        summary="The numbers, to be looked at; the same filters",
        answers={200: "text/html", 302: None, 304: None},
        parameters=_filters(maxItems=MAX_FILTERS),
        refusals=(400, 503),
    ),
    Operation(name="docs", summary="The docs", answers={200: "text/html", 304: None}),
    Operation(
        name="clients",
        summary="How an application asks for consent and reports",
        answers={200: "text/html", 304: None},
    ),
    Operation(name="api", summary="The API, to be read", answers={200: "text/html", 304: None}),
    Operation(name="healthz", summary="Alive", answers={200: answers.Health}),
    Operation(
        name="readyz",
        summary="Able to take reports",
        answers={200: answers.Status},
        refusals=(503,),
    ),
)
TYPES = (
    answers.Problem,
    *(each.body for each in OPERATIONS if each.body),
    *(kind for each in OPERATIONS for kind in each.answers.values() if isinstance(kind, type)),
)


@cache
def text() -> bytes:
    """The description as JSON."""
    return msgspec.json.encode(document())


def document() -> dict[str, Any]:
    """The description."""
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        path = reverse(f"collector-{operation.name}")
        paths.setdefault(path, {})[operation.method] = _described(operation)
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
    """The schema of each type by its name."""
    _, found = msgspec.json.schema_components(TYPES, ref_template=SCHEMAS)
    return found


def _described(operation: Operation) -> dict[str, Any]:
    refusals: dict[int, Any] = dict.fromkeys(operation.refusals, answers.Problem)
    if operation.parameters:
        refusals[414] = "text/html"
    described: dict[str, Any] = {
        "operationId": f"{operation.method}-{operation.name}",
        "summary": operation.summary,
        "responses": {
            str(status): {"description": MEANINGS[status], **_content(content)}
            for status, content in sorted({**operation.answers, **refusals}.items())
        },
    }
    if operation.parameters:
        described["parameters"] = list(operation.parameters)
    if operation.body:
        content = _content(operation.body)
        content["content"][JSON]["example"] = operation.example
        described["requestBody"] = {"required": True, **content}
    return described


def _content(content: Any) -> dict[str, Any]:
    if content is None:
        return {}
    if isinstance(content, str):
        return {"content": {content: {"schema": {"type": "string"}}}}
    (schema,), _ = msgspec.json.schema_components([content], ref_template=SCHEMAS)
    return {"content": {JSON: {"schema": schema}}}


def _forget(**kwargs: Any) -> None:
    """Follow `override_settings`."""
    text.cache_clear()


setting_changed.connect(_forget)
