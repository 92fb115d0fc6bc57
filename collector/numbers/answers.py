"""Answers: how many instances gave which answer to each question.

The answers to one question are counted apart from everything else that an instance reports, so no
filter applies to them.
"""

from collections.abc import Mapping
from typing import Any

from collector.cache import Tally
from collector.questions import Question, Table

Counts = Mapping[str, int]  # instances by value


def count_values(tally: Tally) -> dict[str, int]:
    """Return how many instances have each value in the tally of one question."""
    return {tally.values[name]: count for name, count in tally.counts.items()}


def list_values(question: Question, counts: Counts, min_group: int) -> dict[str, int]:
    """Return the values that are listed and their counts, in the order of the table.

    A value that fewer instances have than the minimum is not listed. All values are known, so if
    those that are not listed were too few together, they could be found by subtraction: then the
    rarest of the others is not listed either.
    """
    listed = {value: counts[value] for value in question.values if counts.get(value)}
    listed = {value: count for value, count in listed.items() if count >= min_group}
    total = sum(counts.values())
    while listed and 0 < total - sum(listed.values()) < min_group:
        del listed[min(listed, key=listed.__getitem__)]
    return listed


def count(
    questions: Table, counts: Mapping[str, Counts], min_group: int, name: str, value: str
) -> int | None:
    """Return how many instances gave an answer to a question, or any answer if the value is "".

    Return None if there is no such question or value, and 0 if the value is not listed.
    """
    for each in questions:
        if each.name == name and not value:
            return sum(counts[name].values())
        if each.name == name and value in each.values:
            return list_values(each, counts[name], min_group).get(value, 0)
    return None


def members(questions: Table, counts: Mapping[str, Counts], min_group: int) -> dict[str, Any]:
    """Return `answers`, `answered` and `others`, by question; a question without counts is missing.

    Without questions, return nothing, so that the statistics have no such members.
    """
    if not questions:
        return {}
    asked = [each for each in questions if each.name in counts]
    answers = {each.name: list_values(each, counts[each.name], min_group) for each in asked}
    answered = {each.name: sum(counts[each.name].values()) for each in asked}
    others = {name: answered[name] - sum(values.values()) for name, values in answers.items()}
    return {"answers": answers, "answered": answered, "others": others}
