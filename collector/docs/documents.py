"""The views of the docs pages, of the description of the API, and of `/`."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from collector.conf import conf
from collector.docs import openapi, rendering
from collector.views.endpoint import Endpoint, unless_known, with_length
from collector.views.ingest import Ingest


class Root(Ingest):
    """Accepts reports, and redirects a browser to the docs."""

    def get(self, request: HttpRequest) -> HttpResponse:
        url = conf.docs_url or reverse("collector-docs")
        return with_length(HttpResponseRedirect(url, content=rendering.welcome(url)))


class Docs(Endpoint):
    """Returns a docs page."""

    name = "docs"

    def get(self, request: HttpRequest) -> HttpResponse:
        return unless_known(request, HttpResponse(rendering.page(self.name)))


class OpenApi(Endpoint):
    """Returns the description of the API."""

    cross_origin = True

    def get(self, request: HttpRequest) -> HttpResponse:
        return unless_known(request, HttpResponse(openapi.text(), "application/json"))
