"""The baselines: an empty page, and Headcount's API in plain Django.

The plain application keeps the latest report of each instance in a dict, without a limit, and
counts the dict at each `GET /stats`.
"""

import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

WINDOW = timedelta(days=7)
COUNTED = {"app": "versions", "image": "images", "arch": "architectures"}
reports: dict[str, dict[str, Any]] = {}


@csrf_exempt
def nothing(request: HttpRequest) -> HttpResponse:
    """Respond with nothing."""
    return HttpResponse()


@csrf_exempt
def ingest(request: HttpRequest) -> HttpResponse:
    """Store a report."""
    try:
        sent = json.loads(request.body)
        name = str(uuid.UUID(sent["id"]))
        stored = {field: sent["version"].get(field) for field in COUNTED}
        if not all(value is None or isinstance(value, str) for value in stored.values()):
            raise TypeError("a field is no string")
    except (ValueError, LookupError, TypeError, AttributeError):
        return JsonResponse({"error": "This is not a report."}, status=400)
    day = datetime.now(UTC).date()
    reports[name] = {**stored, "day": day}
    receipt = {"stored": stored, "forgotten_at": day + WINDOW + timedelta(days=1)}
    return JsonResponse(receipt, status=201)


def stats(request: HttpRequest) -> HttpResponse:
    """Count the reports."""
    oldest = datetime.now(UTC).date() - WINDOW
    live = [report for report in reports.values() if report["day"] >= oldest]
    counts = {
        breakdown: Counter(report[field] or "" for report in live)
        for field, breakdown in COUNTED.items()
    }
    return JsonResponse({"instances": len(live), **counts})


urlpatterns = [path("nothing", nothing), path("", ingest), path("stats", stats)]
