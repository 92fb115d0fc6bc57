"""Answers on every surface."""

import json
import re
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from collector.views import openapi
from tests.unit.numbers.window import CONFIG, QUESTIONS

DAY = timedelta(days=1)
DATE = "2026-03-11"


@pytest.fixture(autouse=True)
def _questions(settings):
    settings.HEADCOUNT_CONFIG_FILE = CONFIG


@pytest.fixture
def answer(post):
    """Report as an instance with these answers, a new one unless its id is given."""

    def send(id=None, **answers):
        body = {"id": id or str(uuid4()), "version": {"app": "1", "sha": ""}, "answers": answers}
        return post(body)

    return send


@pytest.fixture
def _fleet(clock, answer):
    """Eighteen instances that report on two days, after which it is the third."""
    for _ in range(2):
        for number in range(18):
            given = {"sso": number < 12, "users": 1} if number < 17 else {}
            answer(str(UUID(int=number)), database="sqlite" if number < 14 else "oracle", **given)
        clock.shift(DAY)


@pytest.mark.parametrize(
    ("answers", "read"),
    [
        ('{"users": 1e999, "sso": true}', {"users": None, "sso": "true"}),
        ('{"users": [[[]]], "sso": true, "sso": false}', {"users": None, "sso": "false"}),
        ('{"database": "\xff", "sso": true}', {"database": None, "sso": "true"}),
        (r'{"database": "\ud800", "sso": true}', {"database": None, "sso": "true"}),
        (r'{"x\u00e9y": "\uD83d", "database": "s\u0071lite"}', {"database": "sqlite"}),
        ('{"database": 1, "users": -1, "sso": null}', dict.fromkeys(QUESTIONS)),
        ('{"unknown": "secret"}', {}),
        ('["sso"]', {}),
        ('"sso"', {}),
        ("null", {}),
    ],
)
def test_an_answer_that_cannot_be_used_costs_only_itself(post, stats, answers, read):
    body = '{"id": "%s", "version": {"app": "1", "sha": ""}, "answers": %s}'
    response = post((body % (uuid4(), answers)).encode("latin-1"))
    assert response.status_code == 201
    assert response.json()["answers"] == read
    assert stats()["versions"] == {"1": 1}


@pytest.mark.usefixtures("_fleet")
def test_every_surface_has_the_answers_rounded_down_and_in_the_order_of_the_table(stats, client):
    numbers = stats()
    assert numbers["answers"] == {
        "database": {"sqlite": 10},
        "users": {"0-1": 15},
        "sso": {"true": 10, "false": 5},
    }
    assert [*numbers["answers"]] == [*QUESTIONS]
    assert numbers["answered"] == {"database": 15, "users": 15, "sso": 15}
    assert "answers" not in numbers["others"]
    filtered = stats("?app=nothing")  # no filter applies to answers
    assert (filtered["instances"], filtered["answers"]) == (0, numbers["answers"])
    first, second = client.get("/stats/history").json()["days"]
    assert (first["answers"], first["answered"]) == ({}, {})
    assert (second["answers"], second["answered"]) == (numbers["answers"], numbers["answered"])
    lines = client.get("/stats/history.csv").content.decode().splitlines()
    assert {f"{DATE},answers sso,true,10", f"{DATE},answered users,,15"} <= {*lines}
    lines = client.get("/metrics").content.decode().splitlines()
    assert 'headcount_answer_instances{answer="true",question="sso"} 10.0' in lines
    assert 'headcount_answered_instances{question="sso"} 15.0' in lines


def test_the_larger_minimum_rounds_when_the_day_closes_and_later(
    clock, settings, answer, stats, client
):
    settings.HEADCOUNT_MIN_GROUP = 7
    for _ in range(2):
        for number in range(20):
            answer(str(UUID(int=number)), sso=True)
        clock.shift(DAY)
    assert stats()["answers"]["sso"] == {"true": 14}
    for settings.HEADCOUNT_MIN_GROUP, rounded in ((1, 10), (12, 12)):
        assert stats()["answers"]["sso"] == {"true": rounded}
        assert client.get("/stats/history").json()["days"][-1]["answered"]["sso"] == rounded


@pytest.mark.usefixtures("_fleet")
def test_a_question_that_was_not_asked_on_a_day_is_missing(settings, client):
    questions = {"new": QUESTIONS["sso"], "sso": QUESTIONS["sso"]}
    settings.HEADCOUNT_CONFIG_FILE = CONFIG | {"questions": questions}
    assert [*client.get("/stats").json()["answered"]] == ["sso"]
    assert client.get("/badge.json?question=new").json()["message"] == "0"


@pytest.mark.usefixtures("_fleet")
@pytest.mark.parametrize(
    ("query", "label", "message"),
    [
        ("question=sso&is=true", "sso", "10"),
        ("question=sso", "sso", "15"),
        ("question=users&is=0-1&label=small", "small", "15"),
        ("question=users&is=6%2B", "users", "0"),
        ("question=sso&is=perhaps", "sso", "unknown"),
        ("question=nothing&is=true&label=SSO", "SSO", "unknown"),
        ("question=", "instances", "unknown"),
        ("is=true", "instances", "unknown"),
    ],
)
def test_a_badge_counts_an_answer(client, query, label, message):
    badge = client.get(f"/badge.json?{query}").json()
    assert (badge["label"], badge["message"].partition(",")[0]) == (label, message)
    assert f">{label}<" in client.get(f"/badge.svg?{query}").content.decode()


def test_a_badge_is_unknown_before_there_are_answers_and_without_questions(client, settings):
    for settings.HEADCOUNT_CONFIG_FILE in (CONFIG, ""):
        badge = client.get("/badge.json?question=sso&is=true&label=SSO").json()
        assert (badge["label"], badge["message"]) == ("SSO", "unknown")


def answers_section(client):
    page = client.get("/dashboard?app=nothing").content.decode()
    return page[page.index('<section id="answers"') :].partition("</section>")[0]


@pytest.mark.usefixtures("_fleet")
def test_the_dashboard_shows_bars_of_those_that_answered(client):
    section = answers_section(client)
    headings = re.findall(r'<h3 id="answers-\w+">(\w+)</h3>', section)
    assert headings == [*QUESTIONS]
    assert f"These are the answers of {DATE}" in section
    assert "The share is of the 15 instances that answered." in section
    assert "these are the answers of all instances" in section
    rows = re.findall(r'<th scope="row">(.*?)</th>.*?<td>(\d+)</td><td>(.*?)</td>', section)
    assert rows == [
        ("sqlite", "10", "67%"),
        ("0-1", "15", "100%"),
        ("true", "10", "67%"),
        ("false", "5", "33%"),
    ]


def test_the_dashboard_says_when_answers_come(client):
    assert "The answers of a day appear here when it is over." in answers_section(client)


def test_the_docs_say_of_each_question_what_is_sent_what_is_counted_and_why(client):
    page = client.get("/docs").content.decode()
    assert "No filter applies to answers" in page
    rows = re.findall(
        r"<td><code>(\w+)</code></td>\s<td>(.*?)</td>\s<td>(.*?)</td>\s<td>(.*?)</td>", page
    )
    assert ("database", "a name", "one of sqlite, postgresql, other", "to know") in rows
    assert ("users", "a whole number", "only its range, one of 0-1, 2-5, 6+", "to know") in rows
    assert ("sso", "true or false", "true or false", "to know") in rows


def test_the_examples_of_a_report_have_answers_and_are_accepted(client, post):
    page = client.get("/docs").content.decode()
    assert "&quot;answers&quot;: {&quot;database&quot;: &quot;sqlite&quot;" in page
    body = openapi.document()["paths"]["/"]["post"]["requestBody"]
    assert post(body["content"]["application/json"]["example"]).status_code == 201


def test_the_description_of_the_api_is_built_from_the_table():
    schemas = openapi.document()["components"]["schemas"]
    assert [*schemas["Body"]["properties"]["answers"]["properties"]] == [*QUESTIONS]
    for name in ("Numbers", "Day", "Receipt"):
        assert "answers" in schemas[name]["required"]
    parameters = openapi.document()["paths"]["/badge.svg"]["get"]["parameters"]
    assert [each["name"] for each in parameters[-2:]] == ["question", "is"]


def test_without_a_table_nothing_mentions_answers(client, settings, report, clock):
    settings.HEADCOUNT_CONFIG_FILE = ""
    report(answers={"sso": True})
    clock.shift(DAY)
    for path in ("stats", "stats/history", "stats/history.csv", "metrics", "healthz"):
        content = client.get(f"/{path}").content.decode()
        assert "question" not in content
        assert "answers" not in content.replace("processes answers", "")
    assert '"answers"' not in json.dumps(openapi.document())
    assert 'id="answers"' not in client.get("/dashboard").content.decode()


def test_an_instance_without_room_for_its_version_still_answers(
    clock, set_cache_options, answer, stats
):
    set_cache_options(MAX_VALUES=0)
    for _ in range(2):
        for number in range(5):
            assert answer(str(UUID(int=number)), sso=True).json()["stored"] is None
        clock.shift(DAY)
    assert stats()["answers"]["sso"] == {"true": 5}
