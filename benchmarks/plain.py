"""The tracker as a plain Django application: a dict of reports, counted at each `GET /stats`."""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_GET, require_POST

WINDOW = timedelta(days=7)
COUNTED = {"app": "versions", "image": "images", "arch": "architectures"}
reports: dict[str, dict[str, Any]] = {}


@require_POST
def ingest(request: HttpRequest) -> HttpResponse:
    """Take a report."""
    try:
        name, version = parse(request.body)
    except (ValueError, LookupError, TypeError, AttributeError):
        return JsonResponse({"error": "This is no report."}, status=400)
    day = datetime.now(UTC).date()
    reports[name] = {**version, "day": day}
    until = day + WINDOW + timedelta(days=1)
    return JsonResponse({"stored": version, "forgotten_at": until}, status=201)


@require_POST
def forget(request: HttpRequest) -> HttpResponse:
    """Erase a report."""
    try:
        reports.pop(str(uuid.UUID(json.loads(request.body)["id"])), None)
    except (ValueError, LookupError, TypeError, AttributeError):
        return JsonResponse({"error": "This is no id."}, status=400)
    return HttpResponse(status=204)


@require_GET
def stats(request: HttpRequest) -> HttpResponse:
    """The numbers."""
    oldest = datetime.now(UTC).date() - WINDOW
    live = [kept for kept in reports.values() if kept["day"] >= oldest]
    counts = {
        breakdown: Counter(kept[field] or "" for kept in live)
        for field, breakdown in COUNTED.items()
    }
    return JsonResponse({"instances": len(live), **counts})


def parse(body: bytes) -> tuple[str, dict[str, str | None]]:
    """The id and the version; raises what Python raises."""
    sent = json.loads(body)
    version = {field: sent["version"].get(field) for field in COUNTED}
    if not all(value is None or isinstance(value, str) for value in version.values()):
        raise TypeError("a field is no string")
    return str(uuid.UUID(sent["id"])), version


urlpatterns = [path("", ingest), path("forget", forget), path("stats", stats)]
