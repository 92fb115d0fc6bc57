"""What the views share: refusals as JSON, answers with their length, and what a client has."""

import time
from hashlib import blake2b
from http.client import responses
from typing import Any, cast

import msgspec
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.request import UnreadablePostError
from django.utils.http import parse_etags
from django.views import View
from msgspec import UNSET

from collector.cache import CacheFull, Unavailable
from collector.conf import DAY, MAX_BODY
from collector.numbers.answers import Problem
from collector.reports.parsing import Refusal
from collector.views.layout import framed

JSON, HTML = "application/json", "text/html"


class Failure(Exception):
    """A request that is answered with an error: its status, and headers that go with it."""

    def __init__(self, status: int, problem: str, **headers: str) -> None:
        super().__init__(problem)
        self.status = status
        self.problem = problem
        self.headers = headers


class Endpoint(View):
    """A view with refusals of our own, whose answers to HEAD have a length and no body."""

    cross_origin = False  # whether the pages of other sites may read the answers

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # Else Django's View stores `self.head = self.get` in each view: a cycle that keeps the
        # request, a report's id and all, until the garbage collector comes.
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "get"):
            cls.head = cls.get  # type: ignore[attr-defined]  # Django looks it up by its name

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = cast(HttpResponse, super().dispatch(request, *args, **kwargs))
        except Refusal as refused:
            response = refusal(request, 400, refused.problem, refused.field)
        except Failure as failure:
            response = refusal(request, failure.status, failure.problem, headers=failure.headers)
        except SuspiciousOperation:
            response = refusal(request, 400, "The query has too many parameters; send fewer.")
        except CacheFull:
            problem = "The server is full: known installations go on, new ones may try tomorrow."
            tomorrow = str(DAY - int(time.time()) % DAY)
            response = refusal(request, 503, problem, headers={"Retry-After": tomorrow})
        except Unavailable:
            problem = "The store is away; try again in a minute."
            response = refusal(request, 503, problem, headers={"Retry-After": "60"})
        if self.cross_origin:
            response["Access-Control-Allow-Origin"] = "*"
        return bodiless(request, response)

    # Nothing here has a session to abuse. This is what Django's csrf_exempt does, without its call.
    dispatch.csrf_exempt = True  # type: ignore[attr-defined]  # Django looks for it there

    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        allowed = ", ".join(name.upper() for name in self.http_method_names if hasattr(self, name))
        problem = f"This method is not allowed here; use one of {allowed}."
        return refusal(request, 405, problem, headers={"Allow": allowed})


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> HttpResponse:
    """A JSON answer with its length: without one, gunicorn would send it in chunks."""
    body = msgspec.json.encode(content)
    response = HttpResponse(body, JSON, status, headers=headers)
    return with_length(response)


def refusal(
    request: HttpRequest,
    status: int,
    problem: str,
    field: str | None = None,
    headers: dict[str, str] | None = None,
) -> HttpResponse:
    """What is wrong and what to do: a page for a browser, and JSON for everyone else."""
    headers = {"Vary": "Accept", **(headers or {})}
    if request.get_preferred_type([JSON, HTML]) == HTML:
        page = framed("refusal", responses[status], problem=problem)
        return with_length(HttpResponse(page, HTML, status, headers=headers))
    return answer(Problem(problem, field or UNSET), status, headers)


def bodiless(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The answer, without its body if the request is a HEAD: gunicorn would warn of it."""
    if request.method == "HEAD":
        response.content = b""
    return response


Tagged = tuple[bytes, str]


def with_tag(body: bytes) -> Tagged:
    """A body and its ETag."""
    return body, f'"{blake2b(body, digest_size=16).hexdigest()}"'


def unless_known(
    request: HttpRequest, response: HttpResponse, etag: str | None = None
) -> HttpResponse:
    """The answer, or 304 if the client has it already; no cache may use it without asking."""
    if etag is None:
        _, etag = with_tag(response.content)
    known = parse_etags(request.headers.get("If-None-Match", ""))
    # A proxy that compresses makes the tag weak; the numbers under it are the same.
    if any(tag.removeprefix("W/") in (etag, "*") for tag in known):
        response = HttpResponseNotModified(headers=kept(response))
    else:
        with_length(response)
    response["ETag"] = etag
    response["Cache-Control"] = "no-cache"
    return response


def kept(response: HttpResponse) -> dict[str, str]:
    """The headers of an answer that its 304 repeats."""
    return {
        name: value for name, value in response.items() if not name.lower().startswith("content-")
    }


def json_body(request: HttpRequest) -> bytes:
    """The body of a request that says it is JSON, and how long; raises Failure."""
    if request.content_type != JSON:
        raise Failure(415, "The Content-Type must be application/json.")
    declared = request.META.get("CONTENT_LENGTH", "")
    if not declared.isdecimal():
        raise Failure(411, "Send a Content-Length; chunked bodies are not taken.")
    if int(declared) > MAX_BODY:
        raise Failure(413, f"The body must be at most {MAX_BODY} bytes.")
    try:
        body = request.body
    except UnreadablePostError:
        raise Failure(408, "The body did not come in time; send it again.") from None
    if len(body) < int(declared):
        raise Failure(400, "The body is shorter than its Content-Length; send it again.")
    return body


def with_length(response: HttpResponse) -> HttpResponse:
    """The answer with its length."""
    response["Content-Length"] = str(len(response.content))
    return response
