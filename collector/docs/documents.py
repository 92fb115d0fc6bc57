"""The docs as they are served: pages, the description of the API, and where `/` leads."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from collector.conf import conf
from collector.docs import openapi, rendering
from collector.views.endpoint import Endpoint, conditional, etag_of
from collector.views.ingest import Ingest


class Root(Ingest):
    """Takes reports; a browser that visits is sent to the docs."""

    def get(self, request: HttpRequest) -> HttpResponse:
        where = conf.docs_url or reverse("collector-docs")
        return HttpResponseRedirect(where, content=rendering.welcome(where))


class Docs(Endpoint):
    """The docs, with the settings in force."""

    name = "docs"

    def get(self, request: HttpRequest) -> HttpResponse:
        body = rendering.page(self.name).encode()
        return conditional(request, body, "text/html; charset=utf-8", etag_of(body))


class OpenApi(Endpoint):
    """The API, described."""

    cross_origin = True

    def get(self, request: HttpRequest) -> HttpResponse:
        body = openapi.text()
        return conditional(request, body, "application/json", etag_of(body))
