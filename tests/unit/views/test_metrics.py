from unittest.mock import patch

import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector.cache import records
from collector.cache.base import CacheFull
from collector.cache.connection import UnmetRequirements
from collector.cache.tally import Unavailable
from collector.views import metrics

NOON = 1773144000
REPORT = {"id": "00000000-0000-0000-0000-000000000000", "version": {"app": "", "sha": ""}}


@pytest.fixture
def scrape(client):
    """Return what Prometheus reads: the value of each sample by its name and labels."""

    def fetch():
        response = client.get("/metrics")
        assert response["Content-Type"] == metrics.CONTENT_TYPE
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(response.content.decode())
            for sample in family.samples
        }

    return fetch


def test_metrics_have_the_statistics_and_the_limits(clock, scrape, report):
    report(app="v1.0", image="x.io/a/b", arch="arm")
    report(app="1.0.0", image="a/b", arch="x86_64")
    read = scrape()
    assert read["headcount_instances",] == 2
    assert read["headcount_established_instances",] == 0
    assert read["headcount_release_instances", "1.0.0"] == 2
    assert read["headcount_repository_instances", "a/b"] == 2
    assert read["headcount_family_instances", "32-bit ARM"] == 1
    assert read["headcount_warming_up",] == 1
    assert read["headcount_since_timestamp_seconds",] == NOON
    assert read["headcount_newest_report_timestamp_seconds",] == 1773100800
    assert read["headcount_versions",] == 2
    assert read["headcount_versions_limit",] == 10_000
    assert read["headcount_instances_limit",] == 1_000_000


@pytest.mark.parametrize(
    ("body", "content_type", "outcome"),
    [
        (REPORT, "application/json", "accepted"),
        ({}, "application/json", "refused: not a report"),
        ({}, "text/plain", "refused: not JSON"),
        (b" " * 5000, "application/json", "refused: body too large"),
    ],
)
def test_reports_are_counted_by_outcome_and_visits_are_not(
    scrape, client, post, body, content_type, outcome
):
    reports = [("headcount_reports_total", each) for each in metrics.OUTCOMES.values()]
    before = scrape()
    post(body, content_type=content_type)
    client.get("/")
    after = scrape()
    counted = {name[1]: after[name] - before[name] for name in reports}
    assert {name: count for name, count in counted.items() if count} == {outcome: 1}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (CacheFull, "refused: full"),
        (Unavailable, "refused: store away"),
        (UnmetRequirements([]), "refused: store away"),
    ],
)
def test_a_full_server_and_a_store_that_is_away_are_told_apart(clock, scrape, post, error, outcome):
    name, refused = "headcount_reports_total", ("headcount_store_refused_timestamp_seconds",)
    before = scrape()
    with patch.object(type(records()), "put", side_effect=error):
        assert post(REPORT).status_code == 503
    after = scrape()
    changed = [each for each in after if each[0] == name and after[each] > before[each]]
    assert changed == [(name, outcome)]
    assert after[refused] == (NOON if outcome == "refused: store away" else before[refused])


def test_no_metric_needs_a_file_or_a_setting_of_the_whole_process(
    scrape, monkeypatch, tmp_path, post
):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    post(REPORT)
    assert not any(name.endswith("_created") for name, *_ in scrape())
    assert [*tmp_path.iterdir()] == []


def test_metrics_have_the_memory_of_the_process_and_escape_hostile_names(scrape, report):
    assert scrape()["process_resident_memory_bytes",] > 1e6
    report(image='a"b\\c} 1')
    assert scrape()["headcount_repository_instances", 'a"b\\c} 1'] == 1
