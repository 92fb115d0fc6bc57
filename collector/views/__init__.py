"""HTTP: each view reads a request, asks one module, and writes one answer."""

from collector.views.badges import BadgeJson, BadgeRedirect, BadgeSvg
from collector.views.ingest import Forget
from collector.views.numbers import History, HistoryCsv, Metrics, Stats
from collector.views.pages import (
    Dashboard,
    Docs,
    Health,
    OpenApi,
    Ready,
    Root,
    bad_request,
    not_found,
    server_error,
)

__all__ = [
    "BadgeJson",
    "BadgeRedirect",
    "BadgeSvg",
    "Dashboard",
    "Docs",
    "Forget",
    "Health",
    "History",
    "HistoryCsv",
    "Metrics",
    "OpenApi",
    "Ready",
    "Root",
    "Stats",
    "bad_request",
    "not_found",
    "server_error",
]
