"""The views of `/`, of the docs pages, and of the description of the API."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from collector.conf import conf
from collector.docs.rendering import TITLES, page, welcome
from collector.views import openapi
from collector.views.endpoint import Endpoint, conditional
from collector.views.ingest import Ingest
from collector.views.layout import render_page


class Root(Ingest):
    """Accepts reports, and redirects a browser to the docs."""

    def get(self, request: HttpRequest) -> HttpResponse:
        url = conf.docs_url or reverse("collector-docs")
        body = render_page("page", TITLES["docs"], content=welcome(url))
        return HttpResponseRedirect(url, content=body)


class Docs(Endpoint):
    """Returns a docs page."""

    name = "docs"

    def get(self, request: HttpRequest) -> HttpResponse:
        body = render_page("page", TITLES[self.name], self.name, content=page(self.name)).encode()
        return conditional(request, body, "text/html; charset=utf-8")


class OpenApi(Endpoint):
    """Returns the description of the API."""

    cross_origin = True

    def get(self, request: HttpRequest) -> HttpResponse:
        return conditional(request, openapi.text(), "application/json")
