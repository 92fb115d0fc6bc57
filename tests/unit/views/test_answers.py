"""Answers on every surface."""

import json
import re
from datetime import timedelta
from uuid import uuid4

import pytest

from collector.docs import openapi
from tests.unit.numbers.window import QUESTIONS


@pytest.fixture(autouse=True)
def _questions(settings):
    settings.HEADCOUNT_QUESTIONS = QUESTIONS


@pytest.fixture
def answer(post):
    """Report as an instance with these answers, a new one unless its id is given."""

    def send(id=None, **answers):
        body = {"id": id or str(uuid4()), "version": {"app": "1", "sha": ""}, "answers": answers}
        return post(body)

    return send


@pytest.fixture
def _fleet(clock, answer):
    for database, users, sso in (("sqlite", 1, True), ("sqlite", 3, True), ("oracle", 9, False)):
        answer(database=database, users=users, sso=sso)
    answer(database="sqlite")
    answer()


def test_the_receipt_says_what_is_kept(answer):
    response = answer(database="oracle", users=12, sso=True, unknown="secret")
    assert response.json()["answers"] == {"database": "other", "users": "6+", "sso": "true"}
    assert answer().json()["answers"] == {}


@pytest.mark.parametrize("number", ["12", "12.0", "1.2e1", "9" * 400])
def test_a_whole_number_may_be_written_in_any_form(post, number):
    body = '{"id": "%s", "version": {"app": "1", "sha": ""}, "answers": {"users": %s}}'
    response = post((body % (uuid4(), number)).encode())
    assert response.json()["answers"] == {"users": "6+"}


@pytest.mark.parametrize(
    ("answers", "field", "rule"),
    [
        ({"database": 1}, "answers.database", "a string"),
        ({"users": "many"}, "answers.users", "a whole number, 0 or more"),
        ({"users": -1}, "answers.users", "a whole number, 0 or more"),
        ({"users": 1.5}, "answers.users", "a whole number, 0 or more"),
        ({"users": True}, "answers.users", "a whole number, 0 or more"),
        ({"sso": 1}, "answers.sso", "true or false"),
        ({"sso": "true"}, "answers.sso", "true or false"),
        (["sso"], "answers", "an object"),
        ("sso", "answers", "an object"),
    ],
)
def test_an_answer_of_a_wrong_type_is_refused_and_changes_nothing(
    clock, post, stats, report, answers, field, rule
):
    id = str(uuid4())
    version = {"app": "1", "sha": ""}
    post({"id": id, "version": version, "answers": {"sso": True}})
    response = post({"id": id, "version": version | {"app": "2"}, "answers": answers})
    assert response.status_code == 400
    assert response.json()["field"] == field
    assert rule in response.json()["error"]
    assert stats()["versions"] == {"1": 1}
    assert stats()["answers"]["sso"] == {"true": 1}


@pytest.mark.parametrize("nothing", [None, {}, {"sso": None}, {"unknown": [{}]}])
def test_a_report_without_an_answer_ends_the_answer_at_once(clock, post, answer, stats, nothing):
    id = str(uuid4())
    answer(id, sso=True)
    post({"id": id, "version": {"app": "1", "sha": ""}, "answers": nothing})
    assert (stats()["answers"]["sso"], stats()["answered"]["sso"]) == ({}, 0)


@pytest.mark.usefixtures("_fleet")
def test_stats_count_answers_in_the_order_of_the_table_and_beside_them_who_answered(stats):
    numbers = stats()
    assert numbers["answers"] == {
        "database": {"sqlite": 3, "other": 1},
        "users": {"0-1": 1, "2-5": 1, "6+": 1},
        "sso": {"true": 2, "false": 1},
    }
    assert [*numbers["answers"]] == [*QUESTIONS]
    assert numbers["answered"] == {"database": 4, "users": 3, "sso": 3}
    assert numbers["others"]["answers"] == {"database": 0, "users": 0, "sso": 0}


@pytest.mark.usefixtures("_fleet")
def test_no_filter_applies_to_answers(stats):
    filtered = stats("?app=nothing")
    assert filtered["instances"] == 0
    assert filtered["answers"] == stats()["answers"]


@pytest.mark.usefixtures("_fleet")
def test_rare_answers_cannot_be_found_by_subtraction(settings, client, stats):
    settings.HEADCOUNT_MIN_GROUP = 2
    numbers = stats()
    assert numbers["answers"] == {"database": {}, "users": {}, "sso": {}}
    assert numbers["others"]["answers"] == {"database": 4, "users": 3, "sso": 3}
    assert client.get("/badge.json?question=sso&is=true").json()["message"].startswith("0")
    assert "false" not in client.get("/metrics").content.decode()
    page = client.get("/dashboard").content.decode()
    section = page[page.index('<section id="answers"') :].partition("</section>")[0]
    assert section.count("There is nothing to list.") == 3
    assert "The answers of 4 instances are too rare to be listed." in section


@pytest.mark.usefixtures("_fleet")
def test_enough_rare_answers_hide_among_themselves(settings, answer, stats):
    settings.HEADCOUNT_MIN_GROUP = 2
    answer(database="postgresql")
    assert stats()["answers"]["database"] == {"sqlite": 3}
    assert stats()["others"]["answers"]["database"] == 2


@pytest.mark.usefixtures("_fleet")
def test_the_history_keeps_the_answers_of_each_day(clock, client, settings):
    clock.shift(timedelta(days=1))
    (day,) = client.get("/stats/history").json()["days"]
    assert day["answers"]["sso"] == {"true": 2, "false": 1}
    assert day["answered"] == {"database": 4, "users": 3, "sso": 3}
    lines = client.get("/stats/history.csv").content.decode().splitlines()
    assert "2026-03-10,answers database,other,1" in lines
    assert "2026-03-10,answered users,,3" in lines
    assert "2026-03-10,other answers sso,,0" in lines
    settings.HEADCOUNT_MIN_GROUP = 9
    (day,) = client.get("/stats/history").json()["days"]
    assert (day["answers"]["sso"], day["others"]["answers"]["sso"]) == ({}, 3)


def test_a_day_before_a_question_was_asked_has_no_answers_to_it(
    clock, client, settings, answer, set_cache_options
):
    set_cache_options(MAX_VALUES=99)  # a cache whose sections no other test has used
    settings.HEADCOUNT_QUESTIONS = {"sso": QUESTIONS["sso"]}
    answer(sso=True)
    clock.shift(timedelta(days=1))
    client.get("/stats/history")
    settings.HEADCOUNT_QUESTIONS = QUESTIONS
    (day,) = client.get("/stats/history").json()["days"]
    assert day["answers"] == {"sso": {"true": 1}}
    assert "sso" in client.get("/dashboard").content.decode()


@pytest.mark.usefixtures("_fleet")
def test_metrics_have_the_answers(client):
    lines = client.get("/metrics").content.decode().splitlines()
    assert 'headcount_answer_instances{answer="true",question="sso"} 2.0' in lines
    assert 'headcount_answered_instances{question="sso"} 3.0' in lines


@pytest.mark.usefixtures("_fleet")
@pytest.mark.parametrize(
    ("query", "label", "message"),
    [
        ("question=sso&is=true", "sso", "2"),
        ("question=sso", "sso", "3"),
        ("question=users&is=2-5&label=small", "small", "1"),
        ("question=users&is=6%2B", "users", "1"),
        ("question=sso&is=perhaps", "sso", "unknown"),
        ("question=nothing&is=true", "nothing", "unknown"),
    ],
)
def test_a_badge_counts_an_answer(client, query, label, message):
    badge = client.get(f"/badge.json?{query}").json()
    assert (badge["label"], badge["message"].partition(",")[0]) == (label, message)
    assert f">{label}<" in client.get(f"/badge.svg?{query}").content.decode()


@pytest.mark.usefixtures("_fleet")
def test_the_dashboard_shows_bars_of_those_that_answered(client):
    page = client.get("/dashboard?app=nothing").content.decode()
    section = page[page.index('<section id="answers"') :].partition("</section>")[0]
    headings = re.findall(r'<h3 id="answers-\w+">(\w+)</h3>', section)
    assert headings == [*QUESTIONS]
    assert "The share is of 4 instances that answered." in section
    assert "these are the answers of all instances" in section
    rows = re.findall(r'<th scope="row">(.*?)</th>.*?<td>(\d+)</td><td>(.*?)</td>', section)
    assert rows[:2] == [("sqlite", "3", "75%"), ("other", "1", "25%")]


def test_the_docs_say_of_each_question_what_is_sent_what_is_kept_and_why(client):
    page = client.get("/docs").content.decode()
    assert "No filter applies to answers" in page
    rows = re.findall(
        r"<td><code>(\w+)</code></td>\s<td>(.*?)</td>\s<td>(.*?)</td>\s<td>(.*?)</td>", page
    )
    assert ("database", "a name", "one of sqlite, postgresql, other", "to know") in rows
    assert ("users", "a whole number", "only its range, one of 0-1, 2-5, 6+", "to know") in rows
    assert ("sso", "true or false", "true or false", "to know") in rows


def test_the_consent_names_each_question_and_what_is_stored(client):
    page = client.get("/docs/clients").content.decode()
    for name in QUESTIONS:
        assert re.search(rf"The answer <code>{name}</code> is .*\(to know\)\. The server", page)


def test_the_examples_in_the_docs_are_what_the_server_answers(clock, client, post):
    page = client.get("/docs").content.decode()
    assert "&quot;answers&quot;: {&quot;database&quot;: &quot;sqlite&quot;" in page
    body = openapi.document()["paths"]["/"]["post"]["requestBody"]
    assert post(body["content"]["application/json"]["example"]).status_code == 201


def test_the_description_of_the_api_is_built_from_the_table():
    schemas = openapi.document()["components"]["schemas"]
    assert [*schemas["Answers"]["properties"]] == [*QUESTIONS]
    assert {"$ref": "#/components/schemas/Answers"} in schemas["Body"]["properties"]["answers"][
        "anyOf"
    ]
    for name in ("Numbers", "Day", "Others", "Receipt"):
        assert "answers" in schemas[name]["required"]
    (question, is_) = openapi.document()["paths"]["/badge.svg"]["get"]["parameters"][-2:]
    assert question["schema"]["enum"] == [*QUESTIONS]
    assert {"true", "sqlite", "6+"} <= set(is_["schema"]["enum"])


def test_without_a_table_nothing_mentions_answers(client, settings, report, clock):
    settings.HEADCOUNT_QUESTIONS = ""
    report(answers={"sso": True})
    clock.shift(timedelta(days=1))
    for path in ("stats", "stats/history", "stats/history.csv", "metrics", "healthz"):
        content = client.get(f"/{path}").content.decode()
        assert "question" not in content
        assert "answers" not in content.replace("processes answers", "")
    assert '"answers"' not in json.dumps(openapi.document())
    assert client.get("/badge.json?question=sso").json()["label"] == "instances"
    assert 'id="answers"' not in client.get("/dashboard").content.decode()


@pytest.mark.usefixtures("_fleet")
def test_erasing_a_report_erases_its_answers(answer, post, stats):
    id = str(uuid4())
    answer(id, sso=False)
    assert stats()["answers"]["sso"]["false"] == 2
    assert post({"id": id}, "/forget").status_code == 204
    assert stats()["answers"]["sso"]["false"] == 1


def test_an_instance_without_room_for_its_version_still_answers(set_cache_options, answer, stats):
    set_cache_options(MAX_VALUES=0)
    assert answer(sso=True).json()["stored"] is None
    assert stats()["answers"]["sso"] == {"true": 1}
