import json
from typing import Any

import msgspec
import pytest
from django.urls import resolve, reverse

from collector.docs import openapi
from collector.numbers import answers
from collector.reports import parsing as reports
from collector.urls import urlpatterns

METHODS = ("get", "post", "put", "patch", "delete")
NAMES = [pattern.name for pattern in urlpatterns if pattern.name]


@pytest.fixture
def described(client) -> Any:
    return client.get("/openapi.json").json()


def test_it_works(described):
    assert described["openapi"] == "3.1.0"
    assert described["paths"]["/stats"]["get"]["summary"] == "The statistics; filters narrow them"


@pytest.mark.parametrize("name", NAMES)
def test_every_path_is_described_with_the_methods_that_it_has(described, name):
    path = reverse(name)
    view = resolve(path).func.view_class
    assert set(described["paths"][path]) == {method for method in METHODS if hasattr(view, method)}


def test_nothing_else_is_described(described):
    assert set(described["paths"]) == {reverse(name) for name in NAMES}


def test_what_is_sent_has_the_rules_of_the_parser(described):
    version = described["components"]["schemas"]["Version"]
    for field in reports.FIELDS:
        assert f"'maxLength': {field.limit}" in str(version["properties"][field.name])
        assert (field.name in version["required"]) == field.required


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/stats", answers.Numbers),
        ("/stats/history", answers.History),
        ("/badge.json", answers.BadgeDescription),
        ("/healthz", answers.Health),
        ("/readyz", answers.Status),
        ("/nowhere", answers.Problem),
    ],
)
def test_an_answer_is_of_its_type_and_has_no_member_more(client, report, path, kind):
    report()
    answer = client.get(path).json()
    assert json.loads(msgspec.json.encode(msgspec.convert(answer, kind))) == answer


def test_a_receipt_is_of_its_type(post):
    sent = {"id": "fdb45536-cba8-4204-b352-71fc1062fd95", "version": {"app": "1", "sha": ""}}
    assert msgspec.convert(post(sent).json(), answers.Receipt).stored["app"] == "1"


def test_every_example_is_what_it_is_an_example_of(described):
    for path in ("/", "/forget"):
        (content,) = described["paths"][path]["post"]["requestBody"]["content"].values()
        name = content["schema"]["$ref"].rpartition("/")[2]
        msgspec.convert(content["example"], {"Body": reports.Body, "Forget": reports.Forget}[name])


def test_it_follows_the_settings(client, settings):
    settings.HEADCOUNT_PROJECT_NAME = "Another"
    assert client.get("/openapi.json").json()["info"]["title"] == "Headcount of Another"


def test_every_reference_leads_somewhere(described):
    found = set()

    def walk(node):
        if isinstance(node, dict):
            found.add(node.get("$ref"))
            for child in node.values():
                walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)

    walk(described)
    schemas = {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}
    assert found - {None} == schemas


def test_the_page_shows_every_request_and_every_type(client, described):
    page = client.get("/docs/api").content.decode()
    for path, methods in described["paths"].items():
        for method in methods:
            assert f">{method.upper()} {path}<" in page
    for name, schema in described["components"]["schemas"].items():
        assert f'id="{name.lower()}"' in page
        for member in schema["properties"]:
            assert f"<code>{member}</code>" in page


def test_every_status_that_has_a_meaning_is_told(described):
    operations = [each for methods in described["paths"].values() for each in methods.values()]
    told = {int(status) for each in operations for status in each["responses"]}
    assert told == set(openapi.MEANINGS)
