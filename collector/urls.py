"""Map the paths to views. The prefix of the names makes them unique in any project.

As in the service that Headcount replaces, a path may also have a trailing slash, or end with
`.json`, and the root may be `//`.
"""

from django.urls import path, re_path

from collector.views.badges import BadgeJson, BadgeRedirect, BadgeSvg
from collector.views.dashboard import Dashboard
from collector.views.documents import Docs, OpenApi, Root
from collector.views.exports import ArchiveCsv, History, HistoryCsv, Metrics, Stats
from collector.views.health import Healthz, Ready
from collector.views.ingest import Forget
from collector.views.pictures import AdoptionSvg, GrowthSvg

urlpatterns = [
    path("", Root.as_view(), name="collector-root"),
    re_path("^(?:/)$", Root.as_view()),
    path("forget", Forget.as_view(), name="collector-forget"),
    path("stats", Stats.as_view(), name="collector-stats"),
    re_path(r"^stats(?:/|\.json)$", Stats.as_view()),
    path("stats/history", History.as_view(), name="collector-history"),
    re_path(r"^stats/history(?:/|\.json)$", History.as_view()),
    path("stats/history.csv", HistoryCsv.as_view(), name="collector-history-csv"),
    path("stats/archive.csv", ArchiveCsv.as_view(), name="collector-archive"),
    path("charts/growth.svg", GrowthSvg.as_view(), name="collector-growth"),
    path("charts/adoption.svg", AdoptionSvg.as_view(), name="collector-adoption"),
    path("badge", BadgeRedirect.as_view(), name="collector-badge"),
    path("badge/", BadgeRedirect.as_view()),
    path("badge.svg", BadgeSvg.as_view(), name="collector-badge-svg"),
    path("badge.json", BadgeJson.as_view(), name="collector-badge-json"),
    path("dashboard", Dashboard.as_view(), name="collector-dashboard"),
    path("docs", Docs.as_view(), name="collector-docs"),
    path("docs/", Docs.as_view()),
    path("docs/clients", Docs.as_view(name="clients"), name="collector-clients"),
    path("openapi.json", OpenApi.as_view(), name="collector-openapi"),
    path("metrics", Metrics.as_view(), name="collector-metrics"),
    path("healthz", Healthz.as_view(), name="collector-healthz"),
    path("readyz", Ready.as_view(), name="collector-readyz"),
]
