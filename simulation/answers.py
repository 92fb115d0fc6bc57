"""Made-up answers to the questions in force: always the same for the same instance."""

import random
from typing import Any

from collector.questions import Question, Table

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


def kept(questions: Table, instance: str) -> dict[str, str]:
    """Return what is kept of the answers of an instance, by section of the cache."""
    answers = made_up(questions, instance)
    asked = (each for each in questions if each.name in answers)
    return {each.section: each.kept(answers[each.name]) for each in asked}


def _answer(question: Question, source: random.Random) -> Any:
    if question.kind == "flag":
        return source.random() < TRUE
    position = int(source.expovariate(1) * FALLING) % len(question.values)
    if question.kind == "number":
        return (0, *question.bounds)[position]
    return question.values[position]
