"""Badges: a redirect, a description and a picture."""

import msgspec
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from collector import badges
from collector.views.base import Endpoint, unless_known, with_length


def query(request: HttpRequest) -> dict[str, list[str]]:
    """What is asked; nothing, if it is more than Django takes: a badge is never an error."""
    try:
        return dict(request.GET.lists())
    except SuspiciousOperation:
        return {}


class BadgeView(Endpoint):
    """A view of the badge that the query asks for."""

    content_type = "application/json"
    cross_origin = True

    def get(self, request: HttpRequest) -> HttpResponse:
        body = self.body(badges.badge(query(request)))
        return unless_known(request, HttpResponse(body, self.content_type))

    def body(self, shown: badges.Badge) -> bytes:
        """The badge as it is answered."""
        raise NotImplementedError


class BadgeRedirect(BadgeView):
    """Sends a browser to the badge that shields.io draws."""

    def get(self, request: HttpRequest) -> HttpResponse:
        where = badges.static_url(badges.badge(query(request)))
        return with_length(HttpResponseRedirect(where, headers={"Cache-Control": "no-cache"}))


class BadgeJson(BadgeView):
    """Describes the badge to shields.io."""

    def body(self, shown: badges.Badge) -> bytes:
        return msgspec.json.encode(badges.endpoint(shown))


class BadgeSvg(BadgeView):
    """Draws the badge; no third party sees who looks at it."""

    content_type = "image/svg+xml"

    def body(self, shown: badges.Badge) -> bytes:
        return badges.svg(shown).encode()
