"""Badges."""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from collector import badges, stats
from collector.cache import Unavailable
from collector.views.base import Endpoint, answer, unless_known, with_length


class Badge(Endpoint):
    """Sends a browser to the badge that shields.io draws."""

    def get(self, request: HttpRequest) -> HttpResponse:
        headers = {"Cache-Control": "no-cache"}
        return with_length(HttpResponseRedirect(badges.static_url(count()), headers=headers))


class BadgeJson(Endpoint):
    """Describes the badge to shields.io."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return unless_known(request, answer(badges.endpoint(count())))


def count() -> str:
    """The number on a badge, which never answers with an error."""
    try:
        return str(stats.snapshot().instances)
    except Unavailable:
        return "unknown"
