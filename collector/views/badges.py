"""Badges: how many instances there are, for a README. A badge is never an error."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Literal, NamedTuple
from urllib.parse import quote

import msgspec
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from msgspec import Meta, Struct

from collector.cache.tally import Unavailable
from collector.config import InvalidConfig
from collector.numbers import filters
from collector.numbers.days import iso_date
from collector.numbers.snapshot import Snapshot, current
from collector.refusal import Refusal
from collector.views.endpoint import Endpoint, conditional
from collector.views.layout import render

LABEL = "instances"
LABEL_LIMIT = 64  # characters; a longer label is cut
COLOR = "blue"
CACHE_SECONDS = 300  # the least that shields.io accepts
UNKNOWN = "unknown"

# The names of colors that shields.io knows, in shades with enough contrast for white text.
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


class Badge(NamedTuple):
    """The texts and the color of a badge."""

    label: str
    message: str  # on the badge that shields.io draws, which has only the count
    color: str
    full_message: str  # with a note if the count is still too low


class BadgeDescription(Struct, frozen=True):
    """A badge in shields.io's endpoint schema, https://shields.io/badges/endpoint-badge."""

    schemaVersion: Literal[1]  # noqa: N815  shields.io requires this name
    label: str
    message: str
    color: str
    cacheSeconds: Annotated[int, Meta(ge=300)]  # noqa: N815  shields.io requires this name


def badge_for(query: Mapping[str, Sequence[str]]) -> Badge:
    """Return the badge for `label`, `color`, and either filters or `question` and `is`."""
    question = _last(query, "question", "") if {"question", "is"} & query.keys() else None
    label = _NOT_PRINTABLE.sub("", _last(query, "label", question or LABEL))[:LABEL_LIMIT] or LABEL
    color = _last(query, "color", COLOR).removeprefix("#")
    if color not in COLORS and not _HEX.match(color):
        color = COLOR
    count, before = None, None
    with suppress(InvalidConfig, Unavailable, Refusal):
        snapshot = current()
        if question is not None:
            count = _count_answers(snapshot, question, _last(query, "is", ""))
        else:
            chosen = filters.parse(query)
            if snapshot.rules.config.latest or not any(one.is_latest for one in chosen.names):
                count = snapshot.once(("instances", chosen), lambda: snapshot.select(chosen).size)
            before = snapshot.count_before(chosen)
    if count is None:
        return Badge(label, UNKNOWN, color, UNKNOWN)
    full = f"{count}, warming up" if snapshot.warming_up else f"{count}"
    if before:
        day, count_then = before
        full = f"{count_then} on {iso_date(day)}"
    return Badge(label, f"{count}", color, full)


def _count_answers(snapshot: Snapshot, name: str, value: str) -> int | None:
    """Return how many instances gave an answer on the latest day that is over.

    Without a value, return how many answered the question. Return None if there is no such question
    or value, or no such day.
    """
    day, answers, answered = snapshot.past.answers
    known = {each.name: each.values for each in snapshot.rules.config.questions}
    if day is None or value not in ("", *known.get(name, ())) or name not in known:
        return None
    return answers.get(name, {}).get(value, 0) if value else answered.get(name, 0)


class BadgeView(Endpoint):
    """A view of the badge for the query."""

    content_type = "application/json"
    cross_origin = True

    def get(self, request: HttpRequest) -> HttpResponse:
        return conditional(request, self.body(self.badge()), self.content_type)

    def badge(self) -> Badge:
        """Return the badge for the query, or an unknown one for a query that Django refuses."""
        try:
            return badge_for(dict(self.request.GET.lists()))
        except SuspiciousOperation:
            return Badge(LABEL, UNKNOWN, COLOR, UNKNOWN)

    def body(self, badge: Badge) -> bytes:
        raise NotImplementedError


class BadgeRedirect(BadgeView):
    """Redirects to the badge that shields.io draws."""

    def get(self, request: HttpRequest) -> HttpResponse:
        badge = self.badge()
        parts = "-".join(map(_escape, (badge.label, badge.message, badge.color)))
        url = f"https://img.shields.io/badge/{parts}"
        return HttpResponseRedirect(url, headers={"Cache-Control": "no-cache"})


class BadgeJson(BadgeView):
    """Describes the badge to shields.io."""

    def body(self, badge: Badge) -> bytes:
        return msgspec.json.encode(
            BadgeDescription(1, badge.label, badge.full_message, badge.color, CACHE_SECONDS)
        )


class BadgeSvg(BadgeView):
    """Draws the badge here, so that no third party learns who looks at it."""

    content_type = "image/svg+xml"

    def body(self, badge: Badge) -> bytes:
        label, message = _width(badge.label), _width(badge.full_message)
        context = {
            "badge": badge,
            "fill": COLORS.get(badge.color, f"#{badge.color}"),
            "label_width": label,
            "message_width": message,
            "width": label + message,
            "label_middle": label / 2,
            "message_middle": label + message / 2,
        }
        return render("badge.svg", context).encode()


def _width(text: str) -> int:
    """Return the width in pixels for a text of 11 pixels with its margins; SVG makes it fit."""
    return round(6.7 * len(text)) + 12


def _escape(text: str) -> str:
    """Return a part of the path of a static badge, by the rules of shields.io."""
    return quote(text.replace("-", "--").replace("_", "__").replace(" ", "_"), safe="")


def _last(query: Mapping[str, Sequence[str]], name: str, default: str) -> str:
    return (query.get(name) or [default])[-1]
