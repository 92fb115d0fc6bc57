"""The baseline of the ingest: what the server, Django and its middleware take by themselves.

A POST's body is read, and the answer has the status and the length of a receipt.
"""

from django.http import HttpRequest, HttpResponse
from django.urls import path

from benchmarks.fleet import RECEIPT


def empty(request: HttpRequest) -> HttpResponse:
    """Read the body and answer 201."""
    # Django reads a body when it is asked for. Every view that takes reports pays for that, so the
    # empty one does too.
    _ = request.body
    return HttpResponse(
        RECEIPT,
        content_type="application/json",
        status=201,
        headers={"Content-Length": str(len(RECEIPT))},
    )


urlpatterns = [path("", empty)]
