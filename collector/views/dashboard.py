"""The numbers as a page."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from collector.numbers import snapshot
from collector.views import panels
from collector.views.endpoint import with_length
from collector.views.exports import Numbers
from collector.views.layout import framed


class Dashboard(Numbers):
    """The numbers, for people. The form's filter is added to the others, where links can lead."""

    content_type = "text/html; charset=utf-8"
    cross_origin = False

    def get(self, request: HttpRequest) -> HttpResponse:
        query = panels.added(dict(request.GET.lists()))
        if query is None:
            return super().get(request)
        there = f"{reverse('collector-dashboard')}?{query}"
        return with_length(HttpResponseRedirect(there, headers={"Cache-Control": "no-cache"}))

    def body(self, taken: snapshot.Snapshot) -> bytes:
        shown = panels.page(taken, dict(self.request.GET.lists()))
        return framed("dashboard", "Installations", "dashboard", **shown).encode()
