import json
from datetime import timedelta
from io import BytesIO
from unittest.mock import patch
from uuid import UUID

import pytest

from collector.conf import MAX_BODY

ID = "fdb45536-cba8-4204-b352-71fc1062fd95"
REPORT = {"id": ID, "version": {"app": "1", "sha": "", "image": None, "arch": "arm"}}


def test_a_report_gets_its_receipt(clock, post):
    response = post(REPORT)
    assert response.status_code == 201
    assert response.json() == {
        "stored": {"app": "1", "image": None, "arch": "arm"},
        "forgotten_at": "2026-03-18T00:00:00Z",
    }


@pytest.mark.parametrize("id", [ID, ID.upper(), str(UUID(int=0))])
def test_forget_responds_alike_to_a_known_and_an_unknown_id(post, stats, id):
    post(REPORT)
    response = post({"id": id}, "/forget")
    assert (response.status_code, response.content) == (204, b"")
    assert "Content-Type" not in response
    assert stats()["instances"] == (id == str(UUID(int=0)))


@pytest.mark.parametrize("body", [{}, {"id": 1}, {"id": "x"}, [], b"", b"{"])
def test_forget_refuses_what_a_report_would_be_refused_for(post, body):
    assert post(body, "/forget").status_code == 400
    assert post(body, "/forget", "text/plain").status_code == 415


def test_a_full_server_accepts_only_instances_that_it_knows(
    clock, set_cache_options, report, post, stats
):
    set_cache_options(MAX_ENTRIES=1)
    known = report(app="1")
    refused = post(REPORT)
    assert refused.status_code == 503
    assert refused["Retry-After"] == str(12 * 3600)
    report(known, app="2")
    assert stats()["versions"] == {"2": 1}


def test_a_version_beyond_the_limit_counts_without_its_detail(
    set_cache_options, report, post, stats
):
    set_cache_options(MAX_VALUES=1)
    report(app="1")
    response = post(REPORT)
    assert (response.status_code, response.json()["stored"]) == (201, None)
    numbers = stats()
    assert (numbers["instances"], numbers["versions"]) == (2, {"1": 1})
    assert numbers["others"]["versions"] == 1


@pytest.mark.parametrize(
    ("content_type", "status"),
    [("APPLICATION/JSON; charset=utf-8", 201), ("", 415), ("application/jsonp", 415)],
)
def test_only_json_is_accepted(post, stats, content_type, status):
    assert post(REPORT, content_type=content_type).status_code == status
    assert stats()["instances"] == (status == 201)


def test_a_body_over_the_limit_is_refused(post):
    body = json.dumps(REPORT).encode()
    assert post(body.ljust(MAX_BODY)).status_code == 201
    refused = post(body.ljust(MAX_BODY + 1))
    assert (refused.status_code, str(MAX_BODY) in refused.json()["error"]) == (413, True)


@pytest.mark.parametrize(
    ("length", "status"),
    [("", 411), ("-1", 411), ("x", 411), ("9" * 5000, 413), ("0" * 5000, 413)],
    ids=lambda value: str(value)[:9],
)
def test_a_content_length_that_is_no_length_or_too_long_is_refused(client, length, status):
    response = client.post("/", REPORT, "application/json", CONTENT_LENGTH=length)
    assert response.status_code == status


def test_a_body_that_ends_before_its_length_is_refused(client, stats):
    body = json.dumps(REPORT).encode()
    headers = {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body) + 1)}
    response = client.generic("POST", "/", **headers, **{"wsgi.input": BytesIO(body)})
    assert response.status_code == 400
    assert "shorter than its Content-Length" in response.json()["error"]
    assert stats()["instances"] == 0


def test_a_body_that_does_not_arrive_gets_a_408(post, stats):
    with patch("django.http.HttpRequest.read", side_effect=TimeoutError):
        response = post(REPORT)
    assert response.status_code == 408
    assert stats()["instances"] == 0


@pytest.mark.parametrize(
    "failing",
    [
        "collector.numbers.history.summarize",
        "collector.views.charts.line",
        "collector.views.dashboard.page_context",
        "collector.numbers.stats.fold",
    ],
)
def test_a_report_is_accepted_even_if_a_summary_a_chart_or_a_page_fails(
    clock, client, post, report, failing
):
    client.raise_request_exception = False
    report()
    clock.shift(timedelta(days=1))
    with patch(failing, side_effect=ZeroDivisionError):
        client.get("/dashboard")
        assert post(REPORT).status_code == 201
    assert client.get("/dashboard").status_code == 200
