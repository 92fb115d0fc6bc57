"""All surfaces take their numbers from one snapshot, taken anew when the numbers may be others."""

from datetime import timedelta
from unittest.mock import patch

import pytest

from collector import stats
from collector.cache import records

SURFACES = ("/stats", "/stats?app=1", "/stats/history", "/stats/history.csv")


def test_it_is_the_same_while_nothing_changes(clock, report):
    report()
    assert stats.snapshot() is stats.snapshot()


def test_each_change_makes_another(clock, report, post, settings):
    def report_again():
        report(known)

    def forget():
        post({"id": known}, "/forget")

    def next_day():
        clock.shift(timedelta(days=1))

    def set_a_rule():
        settings.COLLECTOR_MIN_GROUP = 2

    known = report()
    for change in (report, report_again, next_day, forget, records().clear, set_a_rule):
        before = stats.snapshot()
        change()
        assert stats.snapshot() is not before


@pytest.mark.parametrize("path", SURFACES)
def test_an_answer_is_made_once_for_a_snapshot(clock, client, report, path):
    report(app="1")
    first = client.get(path)
    with (
        patch("collector.stats.numbers", side_effect=AssertionError),
        patch("collector.history.numbers", side_effect=AssertionError),
    ):
        assert client.get(path).content == first.content


def test_different_questions_have_different_answers(client, report):
    report(app="1")
    report(app="2")
    assert client.get("/stats?app=1").json()["instances"] == 1
    assert client.get("/stats").json()["instances"] == 2


def test_what_is_remembered_is_bounded(client, report):
    report()
    for number in range(3 * stats.MEMOS):
        client.get(f"/stats?app={number}")
    assert len(stats.snapshot().memo) <= stats.MEMOS


def test_a_refusal_is_not_remembered(client, report):
    report()
    for _ in range(2):
        assert client.get("/stats?" + "app=1&" * 21).status_code == 400
