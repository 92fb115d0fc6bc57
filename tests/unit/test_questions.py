import msgspec
import pytest

from collector import config

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
    (question,) = config.read({"version": 1, "questions": {"it": entry}}).questions
    assert question.values == values
    assert {answer: question.read(answer.encode()) for answer in read} == read
    for unusable in (b"null", b"", b"\xff", b'"\xff"', b"[" * 5000):
        assert question.read(unusable) is None
    assert question.read(msgspec.json.encode(question.example)) in values
