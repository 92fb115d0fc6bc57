"""The exchanges recorded from the service that Headcount replaces, repeated in their order."""

import json
import re
from pathlib import Path

import pytest

EXCHANGES = json.loads((Path(__file__).parents[1] / "data" / "exchanges.json").read_text())
NAMES = [exchange["name"] for exchange in EXCHANGES]


@pytest.fixture(scope="module")
def responses(server):
    responses = {}
    for exchange in EXCHANGES:
        request = exchange["request"]
        response = server.request(
            request["method"], request["path"], request["body"], request["headers"]
        )
        response.instances = server.stats()["instances"]
        responses[exchange["name"]] = response
    return responses


@pytest.mark.parametrize("exchange", EXCHANGES, ids=NAMES)
def test_an_exchange_is_answered_as_recorded(responses, exchange):
    response, original = responses[exchange["name"]], exchange["original"]
    if exchange["ours"] == "same":
        assert response.status == original["status"]
        assert response.headers["Location"] == original["headers"].get("Location")
        assert methods(response.headers) == methods(original["headers"])
        if response.status == 200 and original["body"]:
            ours, theirs = json.loads(response.content), json.loads(original["body"])
            assert {key: ours[key] for key in theirs} == theirs
    else:
        assert response.status in map(int, re.findall(r"\b[1-5]\d\d\b", exchange["ours"]))
    if response.status >= 400:
        assert json.loads(response.content)["error"].endswith(".")


def test_there_are_36_exchanges_with_different_names():
    assert len(set(NAMES)) == len(NAMES) == 36


def test_a_report_is_answered_with_a_receipt_instead_of_null(responses):
    receipt = json.loads(responses["the report in the published docs"].content)
    assert receipt["stored"] == {
        "app": "v0.67.0",
        "image": "ghcr.io/manyfold3d/manyfold",
        "arch": "arm-linux-musleabihf",
    }


def test_a_browser_is_redirected_to_the_docs(responses):
    assert responses["browser visit"].headers["Location"] == "/docs"


def test_docs_url_redirects_a_browser_to_the_recorded_location(start):
    docs_url = EXCHANGES[NAMES.index("browser visit")]["original"]["headers"]["Location"]
    server = start(DOCS_URL=docs_url).wait_until_ready()
    assert server.request("GET", "/").headers["Location"] == docs_url


def test_badge_json_describes_the_badge(responses):
    badge = json.loads(responses["badge with an extension"].content)
    assert badge == {
        "schemaVersion": 1,
        "label": "instances",
        "message": "4, warming up",
        "color": "blue",
        "cacheSeconds": 300,
    }


def test_options_lists_the_allowed_methods(responses):
    allowed = responses["OPTIONS on the collector"].headers["Allow"]
    assert set(allowed.split(", ")) == {"OPTIONS", "POST", "GET", "HEAD"}


def test_a_refused_report_is_not_counted(responses):
    refusals = [name for name, response in responses.items() if response.status >= 400]
    assert len(refusals) == 15
    assert {responses[name].instances for name in refusals} == {4}


def test_an_id_in_upper_case_is_the_same_instance(responses):
    assert responses["id upper case is the same instance"].instances == 4


def methods(headers):
    return set((headers.get("Allow") or "").split(", "))
