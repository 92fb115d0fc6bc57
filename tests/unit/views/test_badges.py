import re
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest

HOSTILE = [
    "<script>alert(1)</script>",
    '"/><script>',
    "a-b_c d",
    "%0d%0aSet-Cookie: x",
    "\r\nX: y",
    "\x00\ud800"[:1],
    "x" * 5000,
    "é漢",
    "{{ 7 }}",
    "../..",
    "#",
]
SURFACES = ["/badge", "/badge.json", "/badge.svg"]


@pytest.fixture
def warm(clock):
    """A server that has listened for a whole day."""
    clock.shift(timedelta(days=2))


def drawn(response):
    """The texts of a picture; it must be well-formed."""
    assert response["Content-Type"] == "image/svg+xml"
    picture = ET.fromstring(response.content)
    assert picture.get("role") == "img"
    title, *texts = [
        element.text for element in picture.iter() if re.search("(title|text)$", element.tag)
    ]
    assert picture.get("aria-label") == title == ": ".join(texts)
    return texts


def test_the_redirect_is_the_reference_s(warm, client, report):
    report()
    response = client.get("/badge")
    assert response.status_code == 302
    assert response["Location"] == "https://img.shields.io/badge/instances-1-blue"


def test_the_description_has_exactly_these_keys(warm, client, report):
    report()
    assert client.get("/badge.json").json() == {
        "schemaVersion": 1,
        "label": "instances",
        "message": "1",
        "color": "blue",
        "cacheSeconds": 300,
    }


def test_the_picture_says_the_same(warm, client, report):
    report()
    assert drawn(client.get("/badge.svg")) == ["instances", "1"]


def test_zero_is_a_number(warm, client):
    assert drawn(client.get("/badge.svg")) == ["instances", "0"]


def test_while_warming_up_two_of_them_say_so(clock, client, report):
    report()
    assert client.get("/badge.json").json()["message"] == "1, warming up"
    assert drawn(client.get("/badge.svg")) == ["instances", "1, warming up"]
    assert client.get("/badge")["Location"].endswith("/instances-1-blue")


def test_label_color_and_filters_are_in_the_query(warm, client, report):
    report(arch="arm")
    report(arch="x86_64")
    query = "?label=on+32-bit_ARM&color=ff8800&family=32-bit+ARM"
    assert client.get("/badge" + query)["Location"] == (
        "https://img.shields.io/badge/on_32--bit__ARM-1-ff8800"
    )
    described = client.get("/badge.json" + query).json()
    assert (described["label"], described["message"]) == ("on 32-bit_ARM", "1")
    response = client.get("/badge.svg" + query)
    assert drawn(response) == ["on 32-bit_ARM", "1"]
    assert 'fill="#ff8800"' in response.content.decode()


@pytest.mark.parametrize("color", ["", "pinkish", "red;x", "12345", "#12", 'url("x")', "12g"])
def test_a_color_that_is_none_is_the_default(client, color):
    assert client.get("/badge.json", {"color": color}).json()["color"] == "blue"


@pytest.mark.parametrize("path", SURFACES)
@pytest.mark.parametrize("name", ["label", "color", "app", "family", "other"])
@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_harmless(client, path, name, value):
    response = client.get(path, {name: value})
    assert response.status_code in (200, 302)
    assert "script>" not in response.content.decode() or path == "/badge.json"
    if path == "/badge":
        assert re.fullmatch(r"https://img\.shields\.io/badge/[\w.~%-]+", response["Location"])
        assert len(response["Location"]) < 1000
    if path == "/badge.svg":
        drawn(response)


@pytest.mark.parametrize("path", SURFACES)
@pytest.mark.parametrize("query", ["app=x&" * 21, "a&" * 1100])
def test_too_many_filters_or_parameters_are_no_error(client, path, query):
    assert client.get(f"{path}?{query}").status_code in (200, 302)


@pytest.mark.parametrize("path", SURFACES[1:])
def test_a_known_badge_is_not_sent_again(client, path):
    etag = client.get(path)["ETag"]
    assert client.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_what_is_not_told_is_not_on_a_badge(warm, settings, client, report):
    report(image="ghcr.io/company/secret")
    settings.HEADCOUNT_MIN_GROUP = 2
    for query in ("?image=ghcr.io/company/secret", "?repository=company*"):
        assert client.get("/badge.json" + query).json()["message"] == "0"
