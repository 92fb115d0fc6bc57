"""The base of all views: error responses, conditional responses, and reading a body."""

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

from collector.cache.base import CacheFull
from collector.cache.tally import Unavailable
from collector.conf import DAY, MAX_BODY
from collector.refusal import Refusal
from collector.views.layout import render_page

JSON, HTML = "application/json", "text/html"
WITHOUT_BODY = (204, 304)  # statuses whose responses have no body and no length


class ErrorBody(Struct, frozen=True):
    """The body of an error response: the problem with its remedy, and its field if it has one."""

    error: str
    field: str | UnsetType = UNSET


class Endpoint(View):
    """A view whose error responses are JSON, or a page for a browser."""

    cross_origin = False  # whether pages of other sites may read the responses

    def __init_subclass__(cls, **kwargs: object) -> None:
        # Otherwise Django's View sets `self.head = self.get` in each view object. That is a cycle
        # which keeps the request, with a report's id, until the garbage collector runs.
        super().__init_subclass__(**kwargs)
        if hasattr(cls, "get"):
            cls.head = cls.get  # type: ignore[attr-defined]  # View declares no `head`

    @classmethod
    def as_view(cls, **kwargs: Any) -> Any:
        """Return the view, exempt from CSRF checks and logins: there is no session to abuse."""
        return login_not_required(csrf_exempt(super().as_view(**kwargs)))

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        try:
            response = cast(HttpResponse, super().dispatch(request, *args, **kwargs))
        except (Refusal, SuspiciousOperation, CacheFull, Unavailable) as error:
            response = error_response(request, refusal_for(error))
        if self.cross_origin:
            response["Access-Control-Allow-Origin"] = "*"
        return finish(request, response)

    def http_method_not_allowed(
        self, request: HttpRequest, *args: object, **kwargs: object
    ) -> HttpResponse:
        allowed = ", ".join(name.upper() for name in self.http_method_names if hasattr(self, name))
        problem = f"This method is not allowed here; use one of {allowed}."
        return error_response(request, Refusal(problem, status=405, headers={"Allow": allowed}))


def refusal_for(error: Exception) -> Refusal:
    """Return the refusal of a request for which a view raised an exception."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, CacheFull):
        problem = (
            "The server is full. It only accepts reports from instances that it already counts; a "
            "new instance can try again tomorrow."
        )
        tomorrow = str(DAY - int(time.time()) % DAY)
        return Refusal(problem, status=503, headers={"Retry-After": tomorrow})
    if isinstance(error, Unavailable):
        problem = "The store is not available; try again in a minute."
        return Refusal(problem, status=503, headers={"Retry-After": "60"})
    return Refusal("The query has too many parameters; send fewer.")


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


def json_response(
    content: Struct, status: int = 200, headers: dict[str, str] | None = None
) -> HttpResponse:
    """Return content as a JSON response."""
    return HttpResponse(msgspec.json.encode(content), JSON, status, headers=headers)


def error_response(request: HttpRequest, refusal: Refusal) -> HttpResponse:
    """Return the response to a refused request: a page for a browser, JSON for everyone else."""
    headers = {"Vary": "Accept", **refusal.headers}
    if request.get_preferred_type([JSON, HTML]) == HTML:
        page = render_page("refusal", responses[refusal.status], problem=refusal.problem)
        return HttpResponse(page, HTML, refusal.status, headers=headers)
    body = ErrorBody(refusal.problem, refusal.field or UNSET)
    return json_response(body, refusal.status, headers)


def conditional(request: HttpRequest, body: bytes, content_type: str) -> HttpResponse:
    """Return a response with an ETag, or 304 if the client has that body already.

    A cache must ask before it uses the response again, because the next report changes it.
    """
    etag = f'"{blake2b(body, digest_size=16).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    # Django's get_conditional_response would also return 412 for preconditions that matter only to
    # unsafe methods. The prefix `W/` is ignored, because a proxy that compresses the body adds it.
    known = parse_etags(request.headers.get("If-None-Match", ""))
    if any(tag.removeprefix("W/") in (etag, "*") for tag in known):
        return HttpResponseNotModified(headers=headers)
    return HttpResponse(body, content_type, headers=headers)


def read_json(request: HttpRequest) -> bytes:
    """Return the body of a request that declares JSON and its length. Raises Refusal."""
    if request.content_type != JSON:
        raise Refusal("The Content-Type must be application/json.", status=415)
    length = request.META.get("CONTENT_LENGTH", "")
    if not length.isdecimal():
        raise Refusal("Send a Content-Length; a chunked body is not accepted.", status=411)
    # int() raises ValueError for more than 4,300 digits.
    if len(length) > 9 or int(length) > MAX_BODY:
        raise Refusal(f"The body must be at most {MAX_BODY} bytes.", status=413)
    try:
        body = request.body
    except UnreadablePostError:
        raise Refusal("The body did not arrive in time; send it again.", status=408) from None
    if len(body) < int(length):
        raise Refusal("The body is shorter than its Content-Length; send it again.", status=400)
    return body
