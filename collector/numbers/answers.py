"""Answers: how many instances gave which answer to each question on one day.

The cache counts an answer and throws it away. It publishes the counts of a day once that day is
over, rounded down, so no filter can apply to them, and they cannot be joined to anything.
"""

from collections.abc import Iterator, Mapping

from collector.cache.base import ANSWER_UNIT
from collector.numbers.breakdowns import Counts
from collector.questions import Table

Answers = dict[str, Counts]  # instances by question, then by value


def names_of(answers: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the names under which the cache counts the answers of a report."""
    for question, value in answers.items():
        if value is not None:
            yield f"{question}={value}"
            yield f"{question}="


def of_day(counted: Mapping[str, int], questions: Table, min_group: int) -> tuple[Answers, Counts]:
    """Return the answers to each question on a day, and the number of instances that answered.

    A value that too few instances gave is left out, and so is a question that too few answered.
    """
    unit = max(ANSWER_UNIT, min_group)
    rounded = {name: n // unit * unit for name, n in counted.items() if n >= unit}
    asked = [each for each in questions if f"{each.name}=" in rounded]
    return {
        each.name: {
            value: rounded[name]
            for value in each.values
            if (name := f"{each.name}={value}") in rounded
        }
        for each in asked
    }, {each.name: rounded[f"{each.name}="] for each in asked}
