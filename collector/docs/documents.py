"""The docs as they are served: pages, the description of the API, and where `/` leads."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from collector.conf import conf
from collector.docs import openapi, rendering
from collector.views.endpoint import Endpoint, unless_known, with_length
from collector.views.ingest import Ingest


class Root(Ingest):
    """Takes reports; a browser that visits is sent to the docs."""

    def get(self, request: HttpRequest) -> HttpResponse:
        where = conf.docs_url or reverse("collector-docs")
        return with_length(HttpResponseRedirect(where, content=rendering.welcome(where)))


class Docs(Endpoint):
    """The docs, with the settings in force."""

    name = "docs"

    def get(self, request: HttpRequest) -> HttpResponse:
        return unless_known(request, HttpResponse(rendering.page(self.name)))


class OpenApi(Endpoint):
    """The API, described."""

    cross_origin = True

    def get(self, request: HttpRequest) -> HttpResponse:
        return unless_known(request, HttpResponse(openapi.text(), "application/json"))
