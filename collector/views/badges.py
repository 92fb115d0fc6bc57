"""Badges: how many installations are live, for a README. A badge never answers with an error."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

import msgspec
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string

from collector.cache import Unavailable
from collector.numbers import filters, memo, snapshot
from collector.numbers.answers import BadgeDescription
from collector.reports.parsing import Refusal
from collector.views.endpoint import Endpoint, unless_known, with_length

LABEL = "instances"
LABEL_LIMIT = 64  # characters; a longer label is cut
COLOR = "blue"
CACHE_SECONDS = 300  # the least that shields.io accepts
UNKNOWN = "unknown"
WARMING_UP = "warming up"

# The names that shields.io has for colours, of which ours are its defaults.
COLORS = {
    "brightgreen": "#3a7d0a",
    "green": "#5a7d02",
    "yellow": "#8a6d0b",
    "orange": "#b3561d",
    "red": "#c0392b",
    "blue": "#0067a3",
    "grey": "#555",
    "lightgrey": "#6b6b6b",
}
_HEX = re.compile(r"(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})\Z")
_NOT_PRINTABLE = re.compile(r"[^ -~\u00a0-\ud7ff\ue000-\ufffd]")


@dataclass(frozen=True)
class Badge:
    """What a badge says."""

    label: str
    message: str
    color: str
    warming_up: bool = False

    @property
    def news(self) -> str:
        """The message, and that it is too small yet."""
        return f"{self.message}, {WARMING_UP}" if self.warming_up else self.message


def badge(query: Mapping[str, Sequence[str]]) -> Badge:
    """The badge for a query: `label`, `color`, and the filters of the numbers."""
    label = _NOT_PRINTABLE.sub("", _last(query, "label", LABEL))[:LABEL_LIMIT] or LABEL
    color = _last(query, "color", COLOR).removeprefix("#")
    if color not in COLORS and not _HEX.match(color):
        color = COLOR
    try:
        taken = snapshot.current()
        chosen = filters.parse(query)
        instances = memo.once(taken, ("instances", chosen), lambda: taken.count(chosen))
    except (Unavailable, Refusal):
        return Badge(label, UNKNOWN, color)
    return Badge(label, str(instances), color, taken.warming_up)


def static_url(shown: Badge) -> str:
    """The static badge that shields.io draws."""
    return "https://img.shields.io/badge/" + "-".join(
        map(_escape, (shown.label, shown.message, shown.color))
    )


def endpoint(shown: Badge) -> BadgeDescription:
    """The badge, described to shields.io."""
    return BadgeDescription(1, shown.label, shown.news, shown.color, CACHE_SECONDS)


def svg(shown: Badge) -> str:
    """The badge as a picture."""
    label, message = _width(shown.label), _width(shown.news)
    return render_to_string(
        "collector/badge.svg",
        {
            "badge": shown,
            "fill": COLORS.get(shown.color, f"#{shown.color}"),
            "label_width": label,
            "message_width": message,
            "width": label + message,
            "label_middle": label / 2,
            "message_middle": label + message / 2,
        },
    )


def _width(text: str) -> int:
    """Pixels that a text of 11 pixels takes, its margins included; the picture makes it fit."""
    return round(6.7 * len(text)) + 12


def _escape(text: str) -> str:
    """A part of a static badge's path, by shields.io's rules."""
    return quote(text.replace("-", "--").replace("_", "__").replace(" ", "_"), safe="")


def _last(query: Mapping[str, Sequence[str]], name: str, default: str) -> str:
    return (query.get(name) or [default])[-1]


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
        body = self.body(badge(query(request)))
        return unless_known(request, HttpResponse(body, self.content_type))

    def body(self, shown: Badge) -> bytes:
        """The badge as it is answered."""
        raise NotImplementedError


class BadgeRedirect(BadgeView):
    """Sends a browser to the badge that shields.io draws."""

    def get(self, request: HttpRequest) -> HttpResponse:
        where = static_url(badge(query(request)))
        return with_length(HttpResponseRedirect(where, headers={"Cache-Control": "no-cache"}))


class BadgeJson(BadgeView):
    """Describes the badge to shields.io."""

    def body(self, shown: Badge) -> bytes:
        return msgspec.json.encode(endpoint(shown))


class BadgeSvg(BadgeView):
    """Draws the badge; no third party sees who looks at it."""

    content_type = "image/svg+xml"

    def body(self, shown: Badge) -> bytes:
        return svg(shown).encode()
