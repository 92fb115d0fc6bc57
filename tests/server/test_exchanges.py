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
def test_an_exchange_has_its_recorded_response(responses, exchange):
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


def test_a_refused_report_is_not_counted(responses):
    assert len(responses) == len(EXCHANGES) == 36
    refusals = [name for name, response in responses.items() if response.status >= 400]
    assert len(refusals) == 15
    assert {responses[name].instances for name in refusals} == {4}


def methods(headers):
    return set((headers.get("Allow") or "").split(", "))
