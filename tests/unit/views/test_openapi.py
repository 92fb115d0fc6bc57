import json
from typing import Any

import msgspec
import pytest
from django.urls import resolve, reverse

from collector.numbers.history import History
from collector.numbers.stats import Numbers
from collector.reports.fields import FIELDS
from collector.reports.parsing import Body, Forget
from collector.urls import urlpatterns
from collector.views import openapi
from collector.views.badges import BadgeDescription
from collector.views.endpoint import ErrorBody
from collector.views.health import Health, Status
from collector.views.ingest import Receipt

METHODS = ("get", "post", "put", "patch", "delete")
NAMES = [pattern.name for pattern in urlpatterns if pattern.name]


@pytest.fixture
def description(client) -> Any:
    return client.get("/openapi.json").json()


def test_the_description_names_its_version_and_the_project(client, settings):
    settings.HEADCOUNT_PROJECT_NAME = "Another"
    description = client.get("/openapi.json").json()
    assert description["openapi"] == "3.1.0"
    assert description["info"]["title"] == "Headcount of Another"


def test_the_description_has_every_named_path_with_the_methods_of_its_view(description):
    views = {path: resolve(path).func.view_class for path in map(reverse, NAMES)}
    assert {path: set(methods) for path, methods in description["paths"].items()} == {
        path: {each for each in METHODS if hasattr(view, each)} for path, view in views.items()
    }


def test_the_schema_of_a_report_has_the_rules_of_the_parser(description):
    version = description["components"]["schemas"]["SentVersion"]
    for field in FIELDS:
        assert f"'maxLength': {field.limit}" in str(version["properties"][field.name])
        assert (field.name in version["required"]) == field.required


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/stats", Numbers),
        ("/stats/history", History),
        ("/badge.json", BadgeDescription),
        ("/healthz", Health),
        ("/readyz", Status),
        ("/nowhere", ErrorBody),
    ],
)
def test_a_response_has_the_members_of_its_type_and_no_other(client, report, path, kind):
    report()
    content = client.get(path).json()
    assert json.loads(msgspec.json.encode(msgspec.convert(content, kind))) == content


def test_a_receipt_has_its_type(post):
    content = {"id": "fdb45536-cba8-4204-b352-71fc1062fd95", "version": {"app": "1", "sha": ""}}
    assert msgspec.convert(post(content).json(), Receipt).stored.app == "1"


@pytest.mark.parametrize(("path", "kind"), [("/", Body), ("/forget", Forget)])
def test_the_example_of_a_body_has_its_type(description, path, kind):
    (content,) = description["paths"][path]["post"]["requestBody"]["content"].values()
    assert content["schema"]["$ref"].endswith(f"/{kind.__name__}")
    msgspec.convert(content["example"], kind)


def test_every_status_with_a_meaning_is_described(description):
    operations = [each for methods in description["paths"].values() for each in methods.values()]
    statuses = {int(status) for each in operations for status in each["responses"]}
    assert statuses == set(openapi.MEANINGS)
