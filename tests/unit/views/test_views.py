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


def test_a_report_may_come_to_the_double_slash(post, stats):
    assert post(SENT, "//").status_code == 201
    assert stats()["instances"] == 1


def test_the_numbers_come_in_the_reference_s_order(report, stats):
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


def test_the_numbers_are_the_same_at_each_of_their_paths(client, report):
    report()
    bodies = {client.get(path).content for path in ("/stats", "/stats/", "/stats.json")}
    assert len(bodies) == 1


def test_the_numbers_follow_the_filters(report, stats):
    report(app="1", arch="arm")
    report(app="2", arch="arm")
    report(app="1", arch="x86")
    assert stats("?app=1&arch=arm")["instances"] == 1
    assert stats("?app=1&app=2")["instances"] == 3
    assert stats("?app=1")["architectures"] == {"arm": 1, "x86": 1}
    assert stats("?app=nothing") == stats("?app=*&arch=nothing")


def test_other_parameters_are_ignored(report, stats):
    report()
    assert stats("?utm_source=x&_=1")["instances"] == 1


def test_too_many_filters_are_refused(client):
    response = client.get("/stats?" + "app=x&" * 21)
    assert (response.status_code, response.json()["field"]) == (400, "app")
    assert response["Access-Control-Allow-Origin"] == "*"


def test_too_many_parameters_are_refused(client):
    response = client.get("/stats?" + "x&" * 1100)
    assert response.status_code == 400
    assert "error" in response.json()


def test_known_numbers_are_not_sent_again(client, report):
    report()
    etag = client.get("/stats")["ETag"]
    for tag in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = client.get("/stats", headers={"If-None-Match": tag})
        assert (response.status_code, response.content) == (304, b"")
        assert response["ETag"] == etag
        assert response["Access-Control-Allow-Origin"] == "*"
    report()
    assert client.get("/stats", headers={"If-None-Match": etag}).status_code == 200


def test_the_numbers_of_a_day_are_not_the_next_day_s(clock, client, report):
    report()
    etag = client.get("/stats")["ETag"]
    clock.shift(timedelta(days=1))
    assert client.get("/stats", headers={"If-None-Match": etag}).status_code == 200


def test_any_page_may_read_the_numbers(client):
    assert client.get("/stats")["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("id", [ID, ID.upper(), str(UUID(int=0))])
def test_forgetting_is_answered_alike_for_known_and_unknown(post, stats, id):
    post(SENT)
    response = post({"id": id}, "/forget")
    assert (response.status_code, response.content) == (204, b"")
    assert stats()["instances"] == (id == str(UUID(int=0)))


@pytest.mark.parametrize("body", [{}, {"id": 1}, {"id": "x"}, [], b"", b"{"])
def test_forgetting_has_the_same_rules(post, body):
    response = post(body, "/forget")
    assert response.status_code == 400
    assert post(body, "/forget", "text/plain").status_code == 415


def test_a_browser_is_sent_to_the_docs(client, settings):
    response = client.get("/")
    assert (response.status_code, response["Location"]) == (302, "/docs")
    assert response["Content-Type"].startswith("text/html")
    assert '<a href="/docs">' in response.content.decode()


def test_or_to_where_the_docs_are(client, settings):
    settings.HEADCOUNT_DOCS_URL = "https://manyfold.app/sysadmin/tracking.html"
    assert client.get("/")["Location"] == "https://manyfold.app/sysadmin/tracking.html"


def test_the_docs_are_a_page(client):
    response = client.get("/docs")
    assert response.status_code == 200
    assert "<h1" in response.content.decode()


def test_it_is_alive_and_ready(client):
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_while_the_store_is_away(client, post):
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


def test_a_full_server_goes_on_with_those_it_knows(clock, settings, report, post, stats):
    settings.CACHES = limited(MAX_ENTRIES=1)
    known = report(app="1")
    refused = post(SENT)
    assert refused.status_code == 503
    assert refused["Retry-After"] == str(12 * 3600)
    report(known, app="2")
    assert stats()["versions"] == {"2": 1}


def test_a_version_too_many_counts_without_detail(settings, report, post, stats):
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
def test_only_json_is_taken(post, stats, content_type, status):
    assert post(SENT, content_type=content_type).status_code == status
    assert stats()["instances"] == (status == 201)


def test_a_body_has_a_limit(post, stats):
    sent = json.dumps(SENT).encode()
    assert post(sent.ljust(MAX_BODY)).status_code == 201
    refused = post(sent.ljust(MAX_BODY + 1))
    assert refused.status_code == 413
    assert str(MAX_BODY) in refused.json()["error"]


@pytest.mark.parametrize("length", [None, "", "-1", "x"])
def test_a_body_says_how_long_it_is(client, length):
    response = client.post("/", SENT, "application/json", CONTENT_LENGTH=length or "")
    assert response.status_code == 411


def test_a_body_that_does_not_come_is_given_up(post, stats):
    with patch("django.http.HttpRequest.read", side_effect=TimeoutError):
        response = post(SENT)
    assert response.status_code == 408
    assert stats()["instances"] == 0


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_a_method_that_is_not_allowed_says_which_are(client, path, method):
    response = client.generic(method, path)
    assert response.status_code == 405
    assert response["Allow"] in response.json()["error"]
    for allowed in response["Allow"].split(", "):
        assert client.generic(allowed, path).status_code != 405


@pytest.mark.parametrize("path", PATHS)
def test_options_are_told(client, path):
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


def test_an_error_of_ours_is_refused_as_json(client):
    client.raise_request_exception = False
    with patch("collector.numbers.stats.numbers", side_effect=ZeroDivisionError):
        response = client.get("/stats")
    assert response.status_code == 500
    assert "error" in response.json()


@pytest.mark.parametrize("path", ["/stats", "/"])
def test_no_host_is_refused(client, path):
    assert client.get(path, headers={"Host": "a_container:8000"}).status_code < 400


def test_a_request_is_gone_with_its_answer_and_waits_for_no_collector():
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
def test_a_browser_gets_a_refusal_as_a_page(client, path, status):
    response = client.get(path, headers=BROWSER)
    assert response.status_code == status
    assert response["Content-Type"] == "text/html"
    assert int(response["Content-Length"]) == len(response.content)
    assert client.get(path).json()["error"].split(";")[0] in response.content.decode()


def test_a_browser_gets_a_failure_as_a_page(client):
    client.raise_request_exception = False
    with patch("collector.numbers.stats.snapshot", side_effect=RuntimeError):
        response = client.get("/dashboard", headers=BROWSER)
        assert client.get("/dashboard").json()["error"] == "The server failed; try again later."
    assert response.status_code == 500
    assert "The server failed; try again later." in response.content.decode()


def test_a_page_of_a_refusal_does_not_say_what_was_asked_for(client):
    assert ID not in client.get(f"/{ID}", headers=BROWSER).content.decode()
