"""Tests what all views share, on most of the paths."""

import gc
import json
import os
import subprocess
import sys
import weakref
from unittest.mock import patch

import pytest
from django.test import RequestFactory
from django.urls import set_script_prefix

from collector.cache import records
from collector.cache.tally import Unavailable
from collector.views.badges import BadgeSvg
from collector.views.documents import Root
from collector.views.exports import Stats
from tracking_site.middleware import PAGE_HEADERS

ID = "fdb45536-cba8-4204-b352-71fc1062fd95"
REPORT = {"id": ID, "version": {"app": "1", "sha": "", "image": None, "arch": "arm"}}
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
GET_PATHS = (
    *("/", "/stats", "/stats/history", "/stats/history.csv", "/badge", "/badge.json", "/badge.svg"),
    *("/dashboard", "/docs", "/docs/clients", "/metrics", "/healthz", "/readyz"),
)
PATHS = (*GET_PATHS, "/forget")
CONDITIONAL_PATHS = (
    *("/stats", "/stats?app=1", "/stats/history", "/stats/history.csv", "/badge.json"),
    *("/badge.svg", "/dashboard", "/docs", "/openapi.json"),
)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
def test_the_refusal_of_a_method_names_those_that_are_allowed(client, path, method):
    response = client.generic(method, path)
    assert response.status_code == 405
    assert response["Allow"] in response.json()["error"]
    for allowed in response["Allow"].split(", "):
        assert client.generic(allowed, path).status_code != 405


@pytest.mark.parametrize("path", GET_PATHS)
def test_head_is_get_without_its_body(client, path):
    head, get = client.head(path), client.get(path)
    assert head.status_code == get.status_code
    assert head.content == b""
    # The seconds of CPU in the metrics have more digits at one time than at another.
    changing = {"Content-Length"} if path == "/metrics" else set()
    assert head.items() - get.items() <= {(name, head[name]) for name in changing}
    assert int(get["Content-Length"]) == len(get.content)


@pytest.mark.parametrize("path", CONDITIONAL_PATHS)
@pytest.mark.parametrize("tags", ["{etag}", "W/{etag}", '"other", {etag}', "*"])
def test_a_body_that_the_client_has_is_not_sent_again(clock, client, path, tags):
    first = client.get(path)
    tags = tags.format(etag=first["ETag"])
    response = client.get(path, headers={"If-None-Match": tags})
    assert (response.status_code, response.content) == (304, b"")
    assert first["Cache-Control"] == "no-cache"
    about_the_body = {"Content-Type", "Content-Length", *PAGE_HEADERS}
    expected = {name: value for name, value in first.items() if name not in about_the_body}
    assert dict(response.items()) == expected


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("If-None-Match", '"other"'),
        ("If-Match", '"other"'),
        ("If-Modified-Since", "Tue, 10 Mar 2026 12:00:00 GMT"),
    ],
)
def test_a_body_is_sent_whatever_another_condition_says(client, header, value):
    assert client.get("/stats", headers={header: value}).status_code == 200


def test_no_cookie_is_set(client, post):
    responses = [post(REPORT), *(client.get(path) for path in PATHS)]
    assert not any(response.cookies for response in responses)


@pytest.mark.parametrize("docs_url", ["", "https://manyfold.app/sysadmin/tracking.html"])
def test_a_browser_is_redirected_to_the_docs(client, settings, docs_url):
    settings.HEADCOUNT_DOCS_URL = docs_url
    response = client.get("/")
    assert (response.status_code, response["Location"]) == (302, docs_url or "/docs")
    assert response["Content-Type"].startswith("text/html")
    assert f'<a href="{docs_url or "/docs"}">' in response.content.decode()


def test_an_unavailable_store_makes_503_and_leaves_docs_and_badges(client, post):
    assert client.get("/readyz").status_code == 200
    with (
        patch.object(type(records()), "put", side_effect=Unavailable),
        patch.object(type(records()), "delete", side_effect=Unavailable),
        patch.object(type(records()), "probe", side_effect=Unavailable),
        patch.object(type(records()), "read", side_effect=Unavailable),
    ):
        refused = [
            post(REPORT),
            post({"id": ID}, "/forget"),
            *(client.get(path) for path in ("/stats", "/dashboard", "/metrics", "/readyz")),
        ]
        assert client.get("/healthz").status_code == 200
        assert client.get("/docs").status_code == 200
        assert client.get("/").status_code == 302
        assert "unknown" in client.get("/badge")["Location"]
        assert client.get("/badge.json").json()["message"] == "unknown"
    assert {response.status_code for response in refused} == {503}
    assert all(response["Retry-After"] == "60" for response in refused)


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "PUT"])
def test_an_unknown_path_is_refused_as_json_that_does_not_repeat_it(client, method):
    response = client.generic(method, f"/{ID}")
    assert response.status_code == 404
    assert response["Content-Type"] == "application/json"
    assert ID not in response.content.decode()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/{ID}", 404),
        ("/forget", 405),
        *((f"{path}?{'app=1&' * 4}", 400) for path in ("/stats", "/dashboard")),
    ],
)
def test_a_refusal_is_a_page_for_a_browser(client, path, status):
    response = client.get(path, headers=BROWSER)
    page = response.content.decode()
    assert response.status_code == status
    assert response["Content-Type"] == "text/html"
    assert int(response["Content-Length"]) == len(response.content)
    assert client.get(path).json()["error"].split(";")[0] in page
    assert ID not in page


@pytest.mark.parametrize("path", ["/stats", "/dashboard"])
def test_a_failure_of_the_server_is_json_and_for_a_browser_a_page(client, path):
    client.raise_request_exception = False
    with patch("collector.views.exports.current", side_effect=RuntimeError):
        for_browser, for_machine = client.get(path, headers=BROWSER), client.get(path)
    assert for_browser.status_code == for_machine.status_code == 500
    assert for_machine.json()["error"] == "The server failed; try again later."
    assert "<p>The server failed; try again later.</p>" in for_browser.content.decode()


def test_a_request_is_freed_with_its_response_without_garbage_collection():
    gc.collect()
    gc.disable()
    try:
        for view in (Root, Stats, BadgeSvg):
            for method in ("GET", "HEAD", "POST"):
                request = RequestFactory().generic(
                    method, "/", json.dumps(REPORT), "application/json"
                )
                reference = weakref.ref(request)
                view.as_view()(request)
                del request
                assert reference() is None
    finally:
        gc.enable()


def test_a_404_names_the_docs_below_the_path_prefix(client):
    set_script_prefix("/tracker/")
    try:
        error = client.get("/nowhere").json()["error"]
    finally:
        set_script_prefix("/")
    assert "/tracker/docs" in error


def test_every_page_works_without_docstrings():
    visit = """
import sys
import django
django.setup()
from django.test import Client
for path in ("/docs", "/docs/clients", "/dashboard", "/openapi.json", "/stats", "/metrics"):
    if Client().get(path).status_code != 200:
        sys.exit(path)
"""
    environ = {"DJANGO_SETTINGS_MODULE": "tracking_site.settings", "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-OO", "-c", visit], env=environ, check=True)
