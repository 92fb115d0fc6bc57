"""Tests what every surface must do, on each path that has a name in urls.py."""

import csv
import itertools
import re
from datetime import timedelta
from urllib.parse import quote_plus, urlencode

import pytest
from django.urls import reverse
from prometheus_client.parser import text_string_to_metric_families

from collector.numbers.dimensions import ALL
from collector.numbers.snapshot import current
from collector.reports.parsing import Version
from collector.urls import urlpatterns
from collector.views.dashboard import page_context

SURFACES = [pattern.name.removeprefix("collector-") for pattern in urlpatterns if pattern.name]
HIDDEN = {"app": "7.7.7-undisclosed", "image": "ghcr.io/undisclosed/x", "arch": "arm-undisclosed"}
HIDE = {"app": ["7.7.7-*"], "image": ["ghcr.io/undisclosed/*"], "arch": ["arm-undisclosed"]}
RARE = {"app": "8.8.8", "image": "ghcr.io/seldom/x", "arch": "aarch64-seldom"}
USUAL = {"app": "1.0.0", "image": "ghcr.io/usual/usual", "arch": "x86_64-usual"}
SECRETS = ("undisclosed", "seldom", "7.7.7", "8.8.8", "32-bit ARM", "64-bit ARM")


@pytest.fixture
def _a_fleet_with_secrets(clock, settings, report):
    settings.HEADCOUNT_MIN_GROUP = 3
    settings.HEADCOUNT_CONFIG_FILE = {"version": 1, "hide": HIDE}
    for version, size in ((HIDDEN, 5), (RARE, 2), (USUAL, 5)):
        for _ in range(size):
            report(**version)
    clock.shift(timedelta(days=1))


def body(client, name, query=""):
    response = client.get(reverse(f"collector-{name}") + query)
    return response.content.decode() + response.headers.get("Location", "")


def test_the_surfaces_are_found():
    assert {"stats", "history", "badge-svg", "metrics", "docs"} <= set(SURFACES)


@pytest.mark.usefixtures("_a_fleet_with_secrets")
@pytest.mark.parametrize("name", SURFACES)
def test_no_surface_reveals_a_rare_or_hidden_name(client, name):
    response = body(client, name)
    if name == "docs":  # which names the families in its own words, and nothing of the fleet
        response = re.sub("(32|64)-bit.ARM", "", response)
    assert not [secret for secret in SECRETS if secret in response]


@pytest.mark.usefixtures("_a_fleet_with_secrets")
@pytest.mark.parametrize("name", SURFACES)
def test_no_surface_reveals_a_rare_or_hidden_name_to_a_filter(client, name):
    for version, dimension in itertools.product((HIDDEN, RARE), ALL.values()):
        known = dimension.name_of(Version(**version))
        asked = (known, known[:-1] + "*", "never-reported")
        queries = ["?" + urlencode({dimension.name: value}) for value in asked]
        responses = {without(asked, body(client, name, query)) for query in queries}
        assert len(responses) == 1, (version, dimension)


def without(asked, response):
    """Return a response without the repeated query and the metrics that change by themselves."""
    for value in asked:
        response = response.replace(value, "").replace(quote_plus(value), "")
    return re.sub(r"\b(process|python)_.*", "", response)


def test_all_surfaces_show_the_same_numbers_at_the_same_moment(clock, client, report):
    for number in range(3):
        report(app=f"v1.{number}.0", arch="arm")
    id = report(app="1.0.0", image=None, arch="x86_64")
    clock.shift(timedelta(days=1))
    report(id, app="1.1.0", image=None, arch="x86_64")
    clock.shift(timedelta(days=1))

    stats = client.get("/stats").json()
    assert (stats["instances"], stats["established"]) == (4, 1)
    (*_, last) = client.get("/stats/history").json()["days"]
    for key in ("instances", "established", "versions", "images", "architectures", "others"):
        assert last[key] == stats[key]
    table = [
        (line["breakdown"], line["name"], int(line["instances"]))
        for line in csv.DictReader(client.get("/stats/history.csv").content.decode().splitlines())
        if line["date"] == last["date"]
    ]
    assert ("instances", "", 4) in table
    for breakdown in ("versions", "images", "architectures"):
        assert {name: n for each, name, n in table if each == breakdown} == stats[breakdown]
    metrics = {
        (sample.name.removeprefix("headcount_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(client.get("/metrics").content.decode())
        for sample in family.samples
    }
    assert metrics["instances",] == 4
    assert metrics["established_instances",] == 1
    for dimension in ("release", "repository", "family"):
        breakdown = ALL[dimension].breakdown
        counts = {key[1]: n for key, n in metrics.items() if key[0] == f"{dimension}_instances"}
        assert counts == stats["folded"][breakdown]
    page = page_context(current(), {})
    assert page["numbers"].instances == 4
    assert {share.name: share.count for share in page["releases"].visible} == (
        stats["folded"]["releases"]
    )
    assert f"<td>{stats['instances']}</td><td>{stats['established']}</td>" in page["growth_rows"]
    assert client.get("/badge.json").json()["message"] == "4"
    assert ">4</text>" in client.get("/badge.svg").content.decode()
    assert client.get("/badge")["Location"].endswith("/instances-4-blue")


@pytest.mark.parametrize("name", SURFACES)
def test_any_site_may_read_what_machines_read(client, name):
    response = client.get(reverse(f"collector-{name}"))
    pages = ("root", "forget", "dashboard", "docs", "clients", "metrics", "healthz", "readyz")
    machine = name not in pages
    assert ("Access-Control-Allow-Origin" in response.headers) == machine
