"""The views of the docs pages, of the description of the API, and of `/`."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from collector.conf import conf
from collector.docs import openapi, rendering
from collector.views.endpoint import Endpoint, conditional, etag_of
from collector.views.ingest import Ingest


class Root(Ingest):
    """Accepts reports, and redirects a browser to the docs."""

    def get(self, request: HttpRequest) -> HttpResponse:
        url = conf.docs_url or reverse("collector-docs")
        return HttpResponseRedirect(url, content=rendering.welcome(url))


class Docs(Endpoint):
    """Returns a docs page."""

    name = "docs"

    def get(self, request: HttpRequest) -> HttpResponse:
        body = rendering.page(self.name).encode()
        return conditional(request, body, "text/html; charset=utf-8", etag_of(body))


class OpenApi(Endpoint):
    """Returns the description of the API."""

    cross_origin = True

    def get(self, request: HttpRequest) -> HttpResponse:
        body = openapi.text()
        return conditional(request, body, "application/json", etag_of(body))
