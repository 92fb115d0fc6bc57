import pytest
from prometheus_client.parser import text_string_to_metric_families

from collector.views import metrics

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
    assert read["headcount_since_timestamp_seconds",] == 1773144000
    assert read["headcount_last_report_timestamp_seconds",] == 1773144000
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


def test_metrics_have_the_memory_of_the_process(scrape):
    assert scrape()["process_resident_memory_bytes",] > 1e6


def test_metrics_do_not_reveal_rare_and_hidden_names(scrape, settings, report):
    report(app="1.0", image="secret/x")
    settings.HEADCOUNT_MIN_GROUP = 2
    settings.HEADCOUNT_HIDE = {"image": "secret"}
    names = {name for _, *labels in scrape() for name in labels}
    assert not names & {"1.0.0", "secret/x", "64-bit x86"}


def test_metrics_escape_hostile_names(scrape, report):
    report(image='a"b\\c} 1')
    assert scrape()["headcount_repository_instances", 'a"b\\c} 1'] == 1
