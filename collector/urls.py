"""The paths. Those with a name are the ones that we link to; it is unique in any project.

The reference service also answers with a trailing slash, with `.json` and at `//`; so do we.
"""

from django.urls import path, re_path

from collector import views

urlpatterns = [
    path("", views.Root.as_view(), name="collector-root"),
    re_path("^(?:/)$", views.Root.as_view()),
    path("forget", views.Forget.as_view(), name="collector-forget"),
    path("stats", views.Stats.as_view(), name="collector-stats"),
    re_path(r"^stats(?:/|\.json)$", views.Stats.as_view()),
    path("stats/history", views.History.as_view(), name="collector-history"),
    re_path(r"^stats/history(?:/|\.json)$", views.History.as_view()),
    path("stats/history.csv", views.HistoryCsv.as_view(), name="collector-history-csv"),
    path("badge", views.BadgeRedirect.as_view(), name="collector-badge"),
    path("badge/", views.BadgeRedirect.as_view()),
    path("badge.svg", views.BadgeSvg.as_view(), name="collector-badge-svg"),
    path("badge.json", views.BadgeJson.as_view(), name="collector-badge-json"),
    path("dashboard", views.Dashboard.as_view(), name="collector-dashboard"),
    path("docs", views.Docs.as_view(), name="collector-docs"),
    path("docs/", views.Docs.as_view()),
    path("docs/clients", views.Docs.as_view(name="clients"), name="collector-clients"),
    path("docs/api", views.Docs.as_view(name="api"), name="collector-api"),
    path("openapi.json", views.OpenApi.as_view(), name="collector-openapi"),
    path("metrics", views.Metrics.as_view(), name="collector-metrics"),
    path("healthz", views.Health.as_view(), name="collector-healthz"),
    path("readyz", views.Ready.as_view(), name="collector-readyz"),
]
