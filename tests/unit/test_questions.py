import re
from pathlib import Path

import msgspec
import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from collector.conf import conf
from collector.questions import InvalidTable, table

TEXTS = {"what": "the thing", "why": "to know"}
FLAG = TEXTS | {"kind": "flag"}
CHOICE = TEXTS | {"kind": "choice", "options": ["sqlite", "postgresql"]}
NUMBER = TEXTS | {"kind": "number", "bounds": [1, 5, 20]}


@pytest.mark.parametrize(
    ("entry", "values", "read"),
    [
        (FLAG, ("true", "false"), {"true": "true", "false": "false", "1": None, '"true"': None}),
        (
            CHOICE,
            ("sqlite", "postgresql", "other"),
            {'"sqlite"': "sqlite", '"SQLite"': "other", '""': "other", "1": None, "[]": None},
        ),
        (
            NUMBER,
            ("0", "1-4", "5-19", "20+"),
            {"0": "0", "1": "1-4", "4": "1-4", "5": "5-19", "19": "5-19", "20": "20+"}
            | {"20.0": "20+", "1.2e1": "5-19", "9" * 400: "20+"}
            | {"-1": None, "1.5": None, "true": None, '"1"': None, "1e999": None},
        ),
        (NUMBER | {"bounds": [2]}, ("0-1", "2+"), {"0": "0-1", "1": "0-1", "2": "2+"}),
        (NUMBER | {"bounds": [2, 3]}, ("0-1", "2", "3+"), {"2": "2", "3": "3+"}),
    ],
)
def test_an_answer_is_read_as_one_of_the_values_of_the_table(entry, values, read):
    (question,) = table({"it": entry})
    assert question.values == values
    assert {answer: question.read(answer.encode()) for answer in read} == read
    for unusable in (b"null", b"", b"\xff", b'"\xff"', b"[" * 5000):
        assert question.read(unusable) is None
    assert question.read(msgspec.json.encode(question.example)) in values


@pytest.mark.parametrize("path", sorted(Path("docs/questions").glob("*.toml")), ids=str)
def test_the_example_tables_are_valid(path):
    questions = table(str(path))
    assert len(questions) >= 4
    assert len({type(each) for each in questions}) == 3
    assert table(str(path)) is questions  # the file is not read again


@pytest.mark.parametrize(
    ("entry", "key", "allowed"),
    [
        ({"kind": "flag", "what": "it"}, "why is missing", "a text of 1 to 300 characters"),
        ({"kind": "flag", "why": "so"}, "what is missing", "a text of 1 to 300 characters"),
        (FLAG | {"why": ""}, "why is ''", "a text of 1 to 300 characters"),
        (FLAG | {"why": "two\nlines"}, r"why is 'two\nlines'", "a text"),
        (FLAG | {"what": "a|b"}, "what is 'a|b'", 'without "|"'),
        (TEXTS, "kind is missing", '"choice", "flag" or "number"'),
        (FLAG | {"kind": "flagg"}, "kind is 'flagg'", '"choice", "flag" or "number"'),
        (FLAG | {"kind": ["flag"]}, "kind is ['flag']", '"choice", "flag" or "number"'),
        (FLAG | {"options": ["a"]}, "options is not a key of a flag", ""),
        (CHOICE | {"options": "sqlite"}, "options is 'sqlite'", "1 to 32 different texts"),
        (CHOICE | {"options": []}, "options is []", "1 to 32 different texts"),
        (CHOICE | {"options": ["a", "a"]}, "options is ['a', 'a']", "different"),
        (CHOICE | {"options": ["a", "other"]}, "options is ['a', 'other']", 'without "other"'),
        (CHOICE | {"options": ["ä"]}, "options is ['ä']", "letters, digits"),
        (CHOICE | {"options": ["  "]}, "options is ['  ']", "inner spaces"),
        (CHOICE | {"options": ["a" * 25]}, "options is ['aaa", "1 to 24 letters"),
        (CHOICE | {"options": [1]}, "options is [1]", "texts"),
        (CHOICE | {"options": [str(n) for n in range(33)]}, "options is ['0'", "1 to 32"),
        (NUMBER | {"bounds": [5, 1]}, "bounds is [5, 1]", "larger than the one before"),
        (NUMBER | {"bounds": [0, 1]}, "bounds is [0, 1]", "from 1"),
        (NUMBER | {"bounds": [10**4000]}, "bounds is", "to a billion"),
        (NUMBER | {"bounds": [1.5]}, "bounds is [1.5]", "whole numbers"),
        (NUMBER | {"bounds": [True]}, "bounds is [True]", "whole numbers"),
        (NUMBER | {"bounds": list(range(1, 17))}, "bounds is [1", "1 to 15"),
        (NUMBER | {"extra": "x"}, "extra is not a key of a number", ""),
        ("flag", "must be a table", "[it]"),
    ],
)
def test_an_invalid_question_is_named_with_the_key_and_what_is_allowed(entry, key, allowed):
    with pytest.raises(InvalidTable) as caught:
        table({"first": FLAG, "it": entry})
    message = str(caught.value)
    assert "The question 'it'" in message
    assert key in message
    assert allowed in message


@pytest.mark.parametrize("name", ["", "Users", "1st", "a-b", "a" * 25, "ä", "a\n"])
def test_an_invalid_name_of_a_question_is_refused(name):
    with pytest.raises(InvalidTable, match=re.escape(f"{name!r}: the name is invalid")):
        table({name: FLAG})


def test_sixteen_questions_are_the_most():
    assert len(table({f"q{n}": FLAG for n in range(16)})) == 16
    with pytest.raises(InvalidTable, match="17 questions are too many; ask at most 16"):
        table({f"q{n}": FLAG for n in range(17)})


@pytest.mark.parametrize("setting", [{1: FLAG}, {"it": {1: 2}}, {"it": object()}, [FLAG], 7])
def test_a_setting_that_is_no_table_is_refused(setting):
    with pytest.raises(InvalidTable):
        table(setting)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "No such file"),
        (b"[sso", "is not a TOML file"),
        (b"\xff", "is not a TOML file"),
        (b"[sso]\nwhy = 'x'\nkind = 'flag'\n[sso]\n", "is not a TOML file"),
        (b"a = " + b"[" * 5000, "is not a TOML file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, settings, content, problem):
    path = tmp_path / "questions.toml"
    if content is not None:
        path.write_bytes(content)
    settings.HEADCOUNT_QUESTIONS = str(path)
    with pytest.raises(SystemCheckError, match=problem) as caught:
        call_command("check")
    assert "collector.E021" in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_table_that_changes_in_a_project_is_read_again(settings):
    settings.HEADCOUNT_QUESTIONS = {"sso": FLAG}
    assert [each.name for each in conf.questions] == ["sso"]
    settings.HEADCOUNT_QUESTIONS = {"users": NUMBER}
    assert [each.name for each in conf.questions] == ["users"]
