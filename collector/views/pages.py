"""What a browser and an operator ask for."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from collector import dashboard, docs, openapi, stats
from collector.answers import Status
from collector.cache import records
from collector.conf import conf
from collector.frame import framed
from collector.health import health
from collector.views.base import Endpoint, answer, bodiless, refusal, unless_known, with_length
from collector.views.ingest import Ingest
from collector.views.numbers import Numbers


class Root(Ingest):
    """Takes reports; a browser that visits is sent to the docs."""

    def get(self, request: HttpRequest) -> HttpResponse:
        where = conf.docs_url or reverse("collector-docs")
        return with_length(HttpResponseRedirect(where, content=docs.welcome(where)))


class Docs(Endpoint):
    """The docs, with the settings in force."""

    name = "docs"

    def get(self, request: HttpRequest) -> HttpResponse:
        return unless_known(request, HttpResponse(docs.page(self.name)))


class Dashboard(Numbers):
    """The numbers, for people. The form's filter is added to the others, where links can lead."""

    content_type = "text/html; charset=utf-8"
    cross_origin = False

    def get(self, request: HttpRequest) -> HttpResponse:
        query = dashboard.added(dict(request.GET.lists()))
        if query is None:
            return super().get(request)
        there = f"{reverse('collector-dashboard')}?{query}"
        return with_length(HttpResponseRedirect(there, headers={"Cache-Control": "no-cache"}))

    def body(self, taken: stats.Snapshot) -> bytes:
        shown = dashboard.page(taken, dict(self.request.GET.lists()))
        return framed("dashboard", "Installations", "dashboard", **shown).encode()


class OpenApi(Endpoint):
    """The API, described."""

    cross_origin = True

    def get(self, request: HttpRequest) -> HttpResponse:
        return unless_known(request, HttpResponse(openapi.text(), "application/json"))


class Health(Endpoint):
    """Alive: true of a process that answers, whatever its store does."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return answer(health())


class Ready(Endpoint):
    """Can take reports: 503 while the store is away."""

    def get(self, request: HttpRequest) -> HttpResponse:
        records().probe()
        return answer(Status("ready"))


class Failed(Endpoint):
    """The same refusal for every method."""

    status = 500
    problem = ""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return bodiless(request, refusal(request, self.status, self.problem))


not_found = Failed.as_view(status=404, problem="There is nothing here; the docs are at /docs.")
bad_request = Failed.as_view(status=400, problem="The request is malformed.")
server_error = Failed.as_view(problem="The server failed; try again later.")
