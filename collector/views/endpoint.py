"""What all views share: refusals, conditional answers, and reading a body."""

import time
from hashlib import blake2b
from http.client import responses
from typing import Any, cast

import msgspec
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.request import UnreadablePostError
from django.utils.http import parse_etags
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from msgspec import UNSET, Struct, UnsetType

from collector.cache import CacheFull, Unavailable
from collector.conf import DAY, MAX_BODY
from collector.reports.parsing import Refusal
from collector.views.layout import render_page

JSON, HTML = "application/json", "text/html"
WITHOUT_BODY = (204, 304)  # statuses whose answers have no body and no length


class Problem(Struct, frozen=True):
    """A refusal: what is wrong and what to do, and the field if the problem is in one field."""

    error: str
    field: str | UnsetType = UNSET


class Failure(Exception):
    """A request that gets an error: the status, the problem, and headers that go with it."""

    def __init__(self, status: int, problem: str, **headers: str) -> None:
        super().__init__(problem)
        self.status = status
        self.problem = problem
        self.headers = headers


class Endpoint(View):
    """A view that answers errors as JSON, or as a page to a browser."""

    cross_origin = False  # whether pages of other sites may read the answers

    def __init_subclass__(cls, **kwargs: Any) -> None:
        # Otherwise Django's View sets `self.head = self.get` in each view object. That is a cycle
        # which keeps the request, with a report's id, until the garbage collector runs.
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "get"):
            cls.head = cls.get  # type: ignore[attr-defined]  # Django looks for the name

    @classmethod
    def as_view(cls, **kwargs: Any) -> Any:
        """Return the view, exempt from CSRF checks and logins: there is no session to abuse."""
        return login_not_required(csrf_exempt(super().as_view(**kwargs)))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            response = cast(HttpResponse, super().dispatch(request, *args, **kwargs))
        except Refusal as error:
            response = refuse(request, 400, error.problem, error.field)
        except Failure as error:
            response = refuse(request, error.status, error.problem, headers=error.headers)
        except SuspiciousOperation:
            response = refuse(request, 400, "The query has too many parameters; send fewer.")
        except CacheFull:
            problem = (
                "The server is full. It only accepts reports from instances that it already "
                "counts; a new instance can try again tomorrow."
            )
            tomorrow = str(DAY - int(time.time()) % DAY)
            response = refuse(request, 503, problem, headers={"Retry-After": tomorrow})
        except Unavailable:
            problem = "The store is not available; try again in a minute."
            response = refuse(request, 503, problem, headers={"Retry-After": "60"})
        if self.cross_origin:
            response["Access-Control-Allow-Origin"] = "*"
        return finish(request, response)

    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        allowed = ", ".join(name.upper() for name in self.http_method_names if hasattr(self, name))
        problem = f"This method is not allowed here; use one of {allowed}."
        return refuse(request, 405, problem, headers={"Allow": allowed})


def finish(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """Set the Content-Length of a response, and return the response.

    Without that header, gunicorn uses chunked encoding. The response to HEAD loses its body,
    because gunicorn would log a warning about it.
    """
    if response.status_code not in WITHOUT_BODY:
        response["Content-Length"] = str(len(response.content))
    if request.method == "HEAD":
        response.content = b""
    return response


def answer(
    content: Struct, status: int = 200, headers: dict[str, str] | None = None
) -> HttpResponse:
    """Return content as a JSON response."""
    return HttpResponse(msgspec.json.encode(content), JSON, status, headers=headers)


def refuse(
    request: HttpRequest,
    status: int,
    problem: str,
    field: str | None = None,
    headers: dict[str, str] | None = None,
) -> HttpResponse:
    """Return a response that says what is wrong: a page for a browser, JSON for everyone else."""
    headers = {"Vary": "Accept", **(headers or {})}
    if request.get_preferred_type([JSON, HTML]) == HTML:
        page = render_page("refusal", responses[status], problem=problem)
        return HttpResponse(page, HTML, status, headers=headers)
    return answer(Problem(problem, field or UNSET), status, headers)


def etag_of(body: bytes) -> str:
    """Return the ETag of a body."""
    return f'"{blake2b(body, digest_size=16).hexdigest()}"'


def conditional(request: HttpRequest, body: bytes, content_type: str, etag: str) -> HttpResponse:
    """Return a response with an ETag, or 304 if the client has that body already.

    A cache must ask before it uses the response again, because the next report changes it.
    """
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    # Django's get_conditional_response would also return 412 for preconditions that matter only to
    # unsafe methods. The prefix `W/` is ignored, because a proxy that compresses the body adds it.
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if any(tag.removeprefix("W/") in (etag, "*") for tag in known):
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(body, content_type, headers=headers)


def read_json(request: HttpRequest) -> bytes:
    """Return the body of a request that declares JSON and its length. Raises Failure."""
    if request.content_type != JSON:
        raise Failure(415, "The Content-Type must be application/json.")
    length = request.META.get("CONTENT_LENGTH", "")
    if not length.isdecimal():
        raise Failure(411, "Send a Content-Length; a chunked body is not accepted.")
    # int() raises ValueError for more than 4,300 digits.
    if len(length) > 9 or int(length) > MAX_BODY:
        raise Failure(413, f"The body must be at most {MAX_BODY} bytes.")
    try:
        body = request.body
    except UnreadablePostError:
        raise Failure(408, "The body did not arrive in time; send it again.") from None
    if len(body) < int(length):
        raise Failure(400, "The body is shorter than its Content-Length; send it again.")
    return body
