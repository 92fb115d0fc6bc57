"""Made-up answers to the questions in force: always the same for the same instance."""

import random
from typing import Any

import msgspec

from collector.numbers.answers import names_of
from collector.questions import Choice, Flag, Number, Table
from collector.reports.parsing import read_answers

SILENT = 0.1  # share of the instances that do not answer a question
TRUE = 0.3  # share of the answers to a flag that are true
FALLING = 2  # each option is chosen this many times as often as the next one


def made_up(questions: Table, instance: str) -> dict[str, Any]:
    """Return the answers of an instance, by question."""
    answers = {}
    for question in questions:
        source = random.Random(f"{instance} {question.name}")  # noqa: S311  nothing here is secret
        if source.random() >= SILENT:
            answers[question.name] = _answer(question, source)
    return answers


def counted(questions: Table, instance: str) -> list[str]:
    """Return the names under which the cache counts the answers of an instance."""
    sent = msgspec.json.encode(made_up(questions, instance))
    return list(names_of(read_answers(sent, questions)))


def _answer(question: Choice | Flag | Number, source: random.Random) -> Any:
    if isinstance(question, Flag):
        return source.random() < TRUE
    position = int(source.expovariate(1) * FALLING) % len(question.values)
    if isinstance(question, Number):
        return (0, *question.bounds)[position]
    return question.values[position]
