"""All surfaces take their numbers from one snapshot, taken anew when the numbers may be others."""

from datetime import timedelta
from unittest.mock import patch

import pytest

from collector.cache import records
from collector.numbers import folding, stats

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
        settings.HEADCOUNT_MIN_GROUP = 2

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
        patch("collector.numbers.stats.numbers", side_effect=AssertionError),
        patch("collector.numbers.history.numbers", side_effect=AssertionError),
    ):
        assert client.get(path).content == first.content


@pytest.mark.parametrize("path", ["/stats/history", "/stats/history.csv"])
def test_the_history_is_made_once_a_day_whoever_reports_or_asks(clock, client, report, path):
    report()
    clock.shift(timedelta(days=1))
    first = client.get(path)
    report()
    with patch("collector.numbers.history.numbers", side_effect=AssertionError):
        assert client.get(f"{path}?any=1").content == first.content
    assert len(stats.snapshot().past) == 2  # the days, and the answer
    clock.shift(timedelta(days=1))
    assert client.get(path).content != first.content


def test_another_rule_makes_another_history(clock, client, report, settings):
    report(app="rare")
    clock.shift(timedelta(days=1))
    assert b"rare" in client.get("/stats/history").content
    settings.HEADCOUNT_MIN_GROUP = 2
    assert b"rare" not in client.get("/stats/history").content


@pytest.mark.parametrize("path", ["/badge.svg", "/badge.json", "/badge"])
def test_a_badge_counts_once_for_a_snapshot(client, report, path):
    report(app="1")
    first = client.get(f"{path}?app=1")
    with patch("collector.numbers.stats.select", side_effect=AssertionError):
        again = client.get(f"{path}?app=1")
    assert (again.content, again.get("Location")) == (first.content, first.get("Location"))


def test_no_filter_is_everything(report):
    report()
    taken = stats.snapshot()
    assert taken.select(()) is taken.totals
    assert taken.count(()) == 1


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


def test_what_is_over_is_let_go_and_what_is_in_force_is_kept(client, report, post):
    known = report(app="v1.0.0", image="ghcr.io/a/b")
    client.get("/stats")
    taken = stats.snapshot()
    stats.let_go()
    assert stats.snapshot() is taken
    post({"id": known}, "/forget")
    stats.let_go()
    assert stats._latest is None
    assert folding.release.cache_info().currsize == 0
    assert folding.repository.cache_info().currsize == 0
