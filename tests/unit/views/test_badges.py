import re
from datetime import timedelta
from xml.etree import ElementTree as ET

import pytest

HOSTILE = [
    *("<script>alert(1)</script>", '"/><script>', "a-b_c d", "%0d%0aSet-Cookie: x", "\r\nX: y"),
    *("\x00", "x" * 5000, "é漢", "{{ 7 }}", "../..", "#"),
]
SURFACES = ["/badge", "/badge.json", "/badge.svg"]


@pytest.fixture
def warm(clock):
    """Let the server count for a whole day."""
    clock.shift(timedelta(days=2))


def texts_of(response):
    """Return the texts of a well-formed picture."""
    assert response["Content-Type"] == "image/svg+xml"
    picture = ET.fromstring(response.content)
    assert picture.get("role") == "img"
    title, *texts = [
        element.text for element in picture.iter() if re.search("(title|text)$", element.tag)
    ]
    assert picture.get("aria-label") == title == ": ".join(texts)
    return texts


@pytest.mark.parametrize("count", [0, 1])
def test_a_badge_shows_the_number_of_instances(warm, client, report, count):
    for _ in range(count):
        report()
    assert texts_of(client.get("/badge.svg")) == ["instances", str(count)]
    assert client.get("/badge.json").json() == {  # exactly the keys of shields.io
        "schemaVersion": 1,
        "label": "instances",
        "message": str(count),
        "color": "blue",
        "cacheSeconds": 300,
    }
    response = client.get("/badge")
    assert response.status_code == 302  # to the URL of the replaced service
    assert response["Location"] == f"https://img.shields.io/badge/instances-{count}-blue"


def test_a_badge_drawn_here_says_that_the_server_is_warming_up(clock, client, report):
    report()
    assert client.get("/badge.json").json()["message"] == "1, warming up"
    assert texts_of(client.get("/badge.svg")) == ["instances", "1, warming up"]
    assert client.get("/badge")["Location"].endswith("/instances-1-blue")


def test_the_query_sets_the_label_the_color_and_filters_of_a_badge(warm, client, report):
    report(arch="arm")
    report(arch="x86_64")
    query = "?label=on+32-bit_ARM&color=ff8800&family=32-bit+ARM"
    assert client.get("/badge" + query)["Location"] == (
        "https://img.shields.io/badge/on_32--bit__ARM-1-ff8800"
    )
    described = client.get("/badge.json" + query).json()
    assert (described["label"], described["message"]) == ("on 32-bit_ARM", "1")
    response = client.get("/badge.svg" + query)
    assert texts_of(response) == ["on 32-bit_ARM", "1"]
    assert 'fill="#ff8800"' in response.content.decode()


@pytest.mark.parametrize("color", ["", "pinkish", "red;x", "12345", "#12", 'url("x")', "12g"])
def test_an_invalid_color_is_replaced_by_the_default(client, color):
    assert client.get("/badge.json", {"color": color}).json()["color"] == "blue"


@pytest.mark.parametrize("path", SURFACES)
@pytest.mark.parametrize("name", ["label", "color", "app", "family", "other"])
@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_do_not_break_a_badge(client, path, name, value):
    response = client.get(path, {name: value})
    assert response.status_code in (200, 302)
    assert "script>" not in response.content.decode() or path == "/badge.json"
    if path == "/badge":
        assert re.fullmatch(r"https://img\.shields\.io/badge/[\w.~%-]+", response["Location"])
        assert len(response["Location"]) < 1000
    if path == "/badge.svg":
        texts_of(response)


@pytest.mark.parametrize("path", SURFACES)
@pytest.mark.parametrize(
    ("query", "file"), [("app=x&" * 21, ""), ("a&" * 1100, ""), ("", "/nowhere")]
)
def test_a_badge_is_no_error_with_an_invalid_query_or_configuration(
    client, settings, path, query, file
):
    settings.HEADCOUNT_CONFIG_FILE = file
    response = client.get(f"{path}?{query}")
    assert response.status_code in (200, 302)
    assert "unknown" in f"{response.content} {response.headers}"
