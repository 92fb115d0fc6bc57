"""Tests that every surface takes its numbers from one snapshot, and when it is replaced."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from unittest.mock import Mock, patch

import pytest

from collector.cache import records
from collector.cache.tally import encode
from collector.numbers import dimensions, history, memo, snapshot
from collector.numbers.filters import NO_FILTERS, parse
from collector.numbers.history import Summary
from collector.numbers.stats import statistics
from tests.servers import wait_until
from tracking_site import housekeeping

SURFACES = ("/stats", "/stats?app=1", "/stats/history", "/stats/history.csv", "/badge?app=1")


def test_the_snapshot_is_the_same_while_nothing_changes(clock, report):
    report()
    assert snapshot.current() is snapshot.current()


def test_each_change_makes_another_snapshot(clock, report, post, settings):
    def report_again():
        report(known, app="another")

    def forget():
        post({"id": known}, "/forget")

    def next_day():
        clock.shift(timedelta(days=1))

    def set_a_rule():
        settings.HEADCOUNT_MIN_GROUP = 2

    known = report()
    for change in (report, report_again, next_day, forget, records().clear, set_a_rule):
        before = snapshot.current()
        change()
        assert snapshot.current() is not before


def test_callers_that_wait_for_a_slow_store_share_one_read(monkeypatch):
    snapshots, reads, cache = snapshot.Snapshots(), [], records()
    begin = Mock(return_value=Mock(days={}))  # what each caller does first
    monkeypatch.setattr(snapshot.archive, "current", begin)

    def read(known):
        reads.append(known)
        wait_until(lambda: begin.call_count == 6)
        return cache.read(known)

    monkeypatch.setattr(snapshot, "records", lambda: Mock(read=read))
    with ThreadPoolExecutor() as threads:
        found = [threads.submit(snapshots.current) for _ in range(6)]
    assert len({id(each.result().state) for each in found}) <= 2
    assert len(reads) <= 2


def test_a_snapshot_has_all_numbers_of_one_moment(clock, report):
    report(app="1")
    before = snapshot.current()
    report(app="2")
    clock.shift(timedelta(days=1))
    report(app="1")
    everything = parse({"app": ["*"]})
    assert statistics(before).instances == 1
    assert statistics(before, everything).instances == 1
    assert statistics(before, everything).versions == statistics(before).versions == {"1": 1}
    assert before.select(everything).size == before.select(NO_FILTERS).size == 1
    assert before.past.summaries == {}


@pytest.mark.parametrize("path", SURFACES)
def test_a_response_is_computed_once_for_a_snapshot(clock, client, report, path):
    report(app="1")
    first = client.get(path)
    with (
        patch("collector.numbers.stats.statistics", side_effect=AssertionError),
        patch("collector.views.exports.History.days", side_effect=AssertionError),
        patch("collector.numbers.snapshot.select", side_effect=AssertionError),
    ):
        again = client.get(path)
    assert (again.content, again.get("Location")) == (first.content, first.get("Location"))


@pytest.mark.parametrize("path", ["/stats/history", "/stats/history.csv"])
def test_the_history_is_computed_once_a_day_whoever_reports_or_asks(clock, client, report, path):
    report()
    clock.shift(timedelta(days=1))
    first = client.get(path)
    report()
    with patch("collector.views.exports.History.days", side_effect=AssertionError):
        assert client.get(f"{path}?any=1").content == first.content
    clock.shift(timedelta(days=1))
    assert client.get(path).content != first.content


def test_the_number_of_remembered_responses_is_bounded(client, report):
    report()
    for number in range(3 * memo.MAX_RESULTS):
        client.get(f"/stats?app={number}")
    assert len(snapshot.current().results) <= memo.MAX_RESULTS


def test_names_that_nobody_reports_are_forgotten(client, report, post):
    known = report(app="v1.0.0", image="ghcr.io/a/b")
    client.get("/stats")
    post({"id": known}, "/forget")
    housekeeping.run(housekeeping.JOBS)
    assert snapshot.current().results == {}
    assert dimensions.visible_names.cache_info().currsize == 0
    assert dimensions.release.cache_info().currsize == 0
    assert dimensions.repository.cache_info().currsize == 0


def test_names_that_are_still_reported_stay_known(client, report):
    dimensions.forget_names()
    report(app="v1.0.0", image="ghcr.io/a/b")
    client.get("/stats")
    housekeeping.run(housekeeping.JOBS)
    assert dimensions.visible_names.cache_info().currsize == 1


def test_a_summary_that_another_process_kept_first_wins(clock, report):
    report()
    clock.shift(timedelta(days=1))
    day = int(datetime.now(UTC).timestamp()) // 86400 - 1
    first = encode(Summary(9, 0, 0, {}, {}, {}, {}, {}))
    with patch.object(history, "summarize", side_effect=lambda *_: records().keep(day, first)):
        assert [each.instances for each in snapshot.current().past.in_memory.values()] == [9]
