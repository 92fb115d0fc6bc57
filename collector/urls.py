"""The paths. The reference service also answers with a trailing slash and at `//`; so do we."""

from django.urls import path, re_path

from collector import views

urlpatterns = [
    re_path(r"^(?:|/)$", views.Root.as_view(), name="root"),
    path("forget", views.Forget.as_view(), name="forget"),
    re_path(r"^stats(?:/|\.json)?$", views.Stats.as_view(), name="stats"),
    re_path(r"^stats/history(?:/|\.json)?$", views.History.as_view(), name="history"),
    path("stats/history.csv", views.HistoryCsv.as_view(), name="history-csv"),
    re_path(r"^badge/?$", views.BadgeRedirect.as_view(), name="badge"),
    path("badge.svg", views.BadgeSvg.as_view(), name="badge-svg"),
    path("badge.json", views.BadgeJson.as_view(), name="badge-json"),
    re_path(r"^docs/?$", views.Docs.as_view(), name="docs"),
    path("metrics", views.Metrics.as_view(), name="metrics"),
    path("healthz", views.Health.as_view(), name="healthz"),
    path("readyz", views.Ready.as_view(), name="readyz"),
]
