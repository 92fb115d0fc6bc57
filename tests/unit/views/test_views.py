import gc
import json
import weakref
from datetime import timedelta
from unittest.mock import patch
from uuid import UUID

import pytest
from django.conf import settings as django_settings
from django.test import RequestFactory

from collector.cache import Unavailable, records
from collector.conf import MAX_BODY
from collector.docs.documents import Root
from collector.views.badges import BadgeSvg
from collector.views.exports import Stats

ID = "fdb45536-cba8-4204-b352-71fc1062fd95"
SENT = {"id": ID, "version": {"app": "1", "sha": "", "image": None, "arch": "arm"}}
PATHS = (
    "/",
    "/forget",
    "/stats",
    "/stats/history",
    "/stats/history.csv",
    "/badge",
    "/badge.json",
    "/badge.svg",
    "/docs",
    "/docs/clients",
    "/metrics",
    "/healthz",
    "/readyz",
)


def limited(**options):
    entry = django_settings.CACHES["records"]
    entry = entry | {"LOCATION": f"{options}", "OPTIONS": entry["OPTIONS"] | options}
    return django_settings.CACHES | {"records": entry}


def test_a_report_is_answered_with_its_receipt(clock, post):
    response = post(SENT)
    assert response.status_code == 201
    assert response.json() == {
        "stored": {"app": "1", "image": None, "arch": "arm"},
        "forgotten_at": "2026-03-18T00:00:00Z",
    }


def test_a_report_may_be_sent_to_a_double_slash(post, stats):
    assert post(SENT, "//").status_code == 201
    assert stats()["instances"] == 1


def test_stats_has_its_keys_in_the_order_of_the_replaced_service(report, stats):
    report()
    assert list(stats()) == [
        "instances",
        "versions",
        "images",
        "architectures",
        "others",
        "established",
        "folded",
        "since",
        "warming_up",
        "window_days",
        "last_reported",
    ]


def test_stats_answers_the_same_at_each_of_its_paths(client, report):
    report()
    bodies = {client.get(path).content for path in ("/stats", "/stats/", "/stats.json")}
    assert len(bodies) == 1


def test_stats_counts_what_the_filters_match(report, stats):
    report(app="1", arch="arm")
    report(app="2", arch="arm")
    report(app="1", arch="x86")
    assert stats("?app=1&arch=arm")["instances"] == 1
    assert stats("?app=1&app=2")["instances"] == 3
    assert stats("?app=1")["architectures"] == {"arm": 1, "x86": 1}
    assert stats("?app=nothing") == stats("?app=*&arch=nothing")


def test_stats_ignores_other_parameters(report, stats):
    report()
    assert stats("?utm_source=x&_=1")["instances"] == 1


def test_stats_refuses_too_many_values_of_a_filter(client):
    response = client.get("/stats?" + "app=x&" * 21)
    assert (response.status_code, response.json()["field"]) == (400, "app")
    assert response["Access-Control-Allow-Origin"] == "*"


def test_stats_refuses_too_many_parameters(client):
    response = client.get("/stats?" + "x&" * 1100)
    assert response.status_code == 400
    assert "error" in response.json()


def test_stats_that_the_client_has_are_not_sent_again(client, report):
    report()
    etag = client.get("/stats")["ETag"]
    for tag in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = client.get("/stats", headers={"If-None-Match": tag})
        assert (response.status_code, response.content) == (304, b"")
        assert response["ETag"] == etag
        assert response["Access-Control-Allow-Origin"] == "*"
    report()
    assert client.get("/stats", headers={"If-None-Match": etag}).status_code == 200


def test_stats_are_sent_again_on_the_next_day(clock, client, report):
    report()
    etag = client.get("/stats")["ETag"]
    clock.shift(timedelta(days=1))
    assert client.get("/stats", headers={"If-None-Match": etag}).status_code == 200


def test_any_site_may_read_stats(client):
    assert client.get("/stats")["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("id", [ID, ID.upper(), str(UUID(int=0))])
def test_forget_answers_the_same_for_a_known_and_an_unknown_id(post, stats, id):
    post(SENT)
    response = post({"id": id}, "/forget")
    assert (response.status_code, response.content) == (204, b"")
    assert stats()["instances"] == (id == str(UUID(int=0)))


@pytest.mark.parametrize("body", [{}, {"id": 1}, {"id": "x"}, [], b"", b"{"])
def test_forget_refuses_what_a_report_would_be_refused_for(post, body):
    response = post(body, "/forget")
    assert response.status_code == 400
    assert post(body, "/forget", "text/plain").status_code == 415


def test_a_browser_is_redirected_to_the_docs_served_here(client, settings):
    response = client.get("/")
    assert (response.status_code, response["Location"]) == (302, "/docs")
    assert response["Content-Type"].startswith("text/html")
    assert '<a href="/docs">' in response.content.decode()


def test_a_browser_is_redirected_to_the_docs_url_if_there_is_one(client, settings):
    settings.HEADCOUNT_DOCS_URL = "https://manyfold.app/sysadmin/tracking.html"
    assert client.get("/")["Location"] == "https://manyfold.app/sysadmin/tracking.html"


def test_the_docs_are_an_html_page(client):
    response = client.get("/docs")
    assert response.status_code == 200
    assert "<h1" in response.content.decode()


def test_a_working_server_is_alive_and_ready(client):
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_an_unavailable_store_makes_503_and_leaves_docs_and_badges(client, post):
    with (
        patch.object(type(records()), "put", side_effect=Unavailable),
        patch.object(type(records()), "delete", side_effect=Unavailable),
        patch.object(type(records()), "probe", side_effect=Unavailable),
        patch.object(type(records()), "changes", side_effect=Unavailable),
    ):
        away = [
            post(SENT),
            post({"id": ID}, "/forget"),
            client.get("/stats"),
            client.get("/readyz"),
        ]
        assert client.get("/healthz").status_code == 200
        assert client.get("/docs").status_code == 200
        assert client.get("/").status_code == 302
        assert "unknown" in client.get("/badge")["Location"]
        assert client.get("/badge.json").json()["message"] == "unknown"
    assert {response.status_code for response in away} == {503}
    assert all(response["Retry-After"] == "60" for response in away)


def test_a_full_server_accepts_only_instances_that_it_knows(clock, settings, report, post, stats):
    settings.CACHES = limited(MAX_ENTRIES=1)
    known = report(app="1")
    refused = post(SENT)
    assert refused.status_code == 503
    assert refused["Retry-After"] == str(12 * 3600)
    report(known, app="2")
    assert stats()["versions"] == {"2": 1}


def test_a_version_beyond_the_limit_counts_without_its_detail(settings, report, post, stats):
    settings.CACHES = limited(MAX_VALUES=1)
    report(app="1")
    response = post(SENT)
    assert (response.status_code, response.json()["stored"]) == (201, None)
    numbers = stats()
    assert (numbers["instances"], numbers["versions"]) == (2, {"1": 1})
    assert numbers["others"]["versions"] == 1


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=utf-8", 201),
        ("APPLICATION/JSON", 201),
        ("", 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jsonp", 415),
    ],
)
def test_only_json_is_accepted(post, stats, content_type, status):
    assert post(SENT, content_type=content_type).status_code == status
    assert stats()["instances"] == (status == 201)


def test_a_body_over_the_limit_is_refused(post, stats):
    sent = json.dumps(SENT).encode()
    assert post(sent.ljust(MAX_BODY)).status_code == 201
    refused = post(sent.ljust(MAX_BODY + 1))
    assert refused.status_code == 413
    assert str(MAX_BODY) in refused.json()["error"]


@pytest.mark.parametrize("length", [None, "", "-1", "x"])
def test_a_body_without_a_content_length_is_refused(client, length):
    response = client.post("/", SENT, "application/json", CONTENT_LENGTH=length or "")
    assert response.status_code == 411


def test_a_body_that_does_not_arrive_is_answered_with_408(post, stats):
    with patch("django.http.HttpRequest.read", side_effect=TimeoutError):
        response = post(SENT)
    assert response.status_code == 408
    assert stats()["instances"] == 0


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_the_refusal_of_a_method_names_those_that_are_allowed(client, path, method):
    response = client.generic(method, path)
    assert response.status_code == 405
    assert response["Allow"] in response.json()["error"]
    for allowed in response["Allow"].split(", "):
        assert client.generic(allowed, path).status_code != 405


@pytest.mark.parametrize("path", PATHS)
def test_options_lists_the_methods(client, path):
    response = client.options(path)
    assert response.status_code == 200
    assert "OPTIONS" in response["Allow"]


@pytest.mark.parametrize("path", [path for path in PATHS if path != "/forget"])
def test_head_is_get_without_its_body(client, path):
    head, get = client.head(path), client.get(path)
    assert head.status_code == get.status_code
    assert head.content == b""
    # The seconds of CPU in the metrics have more digits at one time than at another.
    changing = {"Content-Length"} if path == "/metrics" else set()
    assert head.items() - get.items() <= {(name, head[name]) for name in changing}
    assert int(get["Content-Length"]) == len(get.content)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT"])
def test_an_unknown_path_is_refused_as_json(client, method):
    response = client.generic(method, f"/{ID}")
    assert response.status_code == 404
    assert ID not in response.content.decode()
    assert response["Content-Type"] == "application/json"


def test_a_failure_of_the_server_is_answered_as_json(client):
    client.raise_request_exception = False
    with patch("collector.numbers.stats.statistics", side_effect=ZeroDivisionError):
        response = client.get("/stats")
    assert response.status_code == 500
    assert "error" in response.json()


@pytest.mark.parametrize("path", ["/stats", "/"])
def test_every_host_header_is_accepted(client, path):
    assert client.get(path, headers={"Host": "a_container:8000"}).status_code < 400


def test_a_request_is_freed_with_its_answer_without_garbage_collection():
    gc.collect()
    gc.disable()
    try:
        for view in (Root, Stats, BadgeSvg):
            for method in ("GET", "HEAD", "POST"):
                request = RequestFactory().generic(
                    method, "/", json.dumps(SENT), "application/json"
                )
                there = weakref.ref(request)
                view.as_view()(request)
                del request
                assert there() is None
    finally:
        gc.enable()


def test_no_cookie_is_set(client, post):
    answers = [post(SENT), *(client.get(path) for path in PATHS)]
    assert not any(response.cookies for response in answers)


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.mark.parametrize(
    ("path", "status"), [("/nowhere", 404), ("/stats?" + "app=1&" * 21, 400), ("/forget", 405)]
)
def test_a_refusal_is_a_page_for_a_browser(client, path, status):
    response = client.get(path, headers=BROWSER)
    assert response.status_code == status
    assert response["Content-Type"] == "text/html"
    assert int(response["Content-Length"]) == len(response.content)
    assert client.get(path).json()["error"].split(";")[0] in response.content.decode()


def test_a_failure_is_a_page_for_a_browser(client):
    client.raise_request_exception = False
    with patch("collector.views.exports.current", side_effect=RuntimeError):
        response = client.get("/dashboard", headers=BROWSER)
        assert client.get("/dashboard").json()["error"] == "The server failed; try again later."
    assert response.status_code == 500
    assert "The server failed; try again later." in response.content.decode()


def test_the_page_of_a_refusal_does_not_repeat_the_path(client):
    assert ID not in client.get(f"/{ID}", headers=BROWSER).content.decode()


@pytest.mark.parametrize("length", ["9" * 5000, "0" * 5000, str(10**400)])
def test_a_content_length_of_thousands_of_digits_is_too_large(client, length):
    response = client.post("/", SENT, "application/json", CONTENT_LENGTH=length)
    assert response.status_code == 413


@pytest.mark.parametrize(
    "failing",
    [
        "collector.numbers.history.summarize",
        "collector.views.charts.line",
        "collector.views.dashboard.page_context",
        "collector.numbers.stats.folded_breakdowns",
    ],
)
def test_a_report_is_accepted_though_a_summary_a_chart_or_a_page_fails(
    clock, client, post, report, failing
):
    client.raise_request_exception = False
    report()
    clock.shift(timedelta(days=1))
    with patch(failing, side_effect=ZeroDivisionError):
        assert client.get("/dashboard").status_code == 500
        assert post(SENT).status_code == 201
    assert client.get("/dashboard").status_code == 200


def test_stats_a_filter_for_everything_and_the_badge_agree(client, report):
    for number in range(3):
        report(app=f"1.{number}.0")
        counts = [client.get(path).json()["instances"] for path in ("/stats", "/stats?app=*")]
        assert [*counts, client.get("/badge.json?app=*").json()["message"].split(",")[0]] == [
            number + 1,
            number + 1,
            str(number + 1),
        ]
