"""Metrics for Prometheus: the statistics, the reports, and the process.

No metric is an object of the client library that counts by itself: in a project that shares metrics
between processes, such an object would write to disk.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.cache import CacheFull, Unavailable
from collector.cache.tally import NULL
from collector.conf import DAY, conf
from collector.config import source
from collector.numbers import archive
from collector.numbers.dimensions import FOLDED
from collector.numbers.snapshot import Snapshot
from collector.numbers.stats import Numbers, statistics
from collector.reports.fields import COUNTED

CONTENT_TYPE = CONTENT_TYPE_LATEST
# By the status of the response, or by the exception for which a report got a 503.
OUTCOMES: dict[int | type[Exception], str] = {
    201: "accepted",
    400: "refused: not a report",
    408: "refused: body too slow",
    411: "refused: no length",
    413: "refused: body too large",
    415: "refused: not JSON",
    CacheFull: "refused: full",
    Unavailable: "refused: store away",
}
_reports = Counter(dict.fromkeys(OUTCOMES.values(), 0))
_replaced = Counter(dict.fromkeys(COUNTED, 0))


def count_report(cause: int | type[Exception]) -> None:
    """Count a report by the status of its response, or by the exception that refused it."""
    if cause in OUTCOMES:
        _reports[OUTCOMES[cause]] += 1


def count_replaced(fields: Iterable[str]) -> None:
    """Count, by field, a name that is stored as "other" because the configuration lacks it."""
    _replaced.update(fields)


def exposition(snapshot: Snapshot) -> bytes:
    """Return all metrics: those of a snapshot, computed once for it, and those of the process."""
    of_snapshot = snapshot.once("metrics", lambda: _exposition(SnapshotMetrics(snapshot)))
    return of_snapshot + _exposition(Reports(), HistoryFolder(), ProcessCollector(registry=None))


def _exposition(*collectors: Collector) -> bytes:
    registry = CollectorRegistry()
    for each in collectors:
        registry.register(each)
    return generate_latest(registry)


class Reports(Collector):
    """Collects what this process counts, and whether it could read its configuration."""

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "headcount_reports", "Reports that this process has answered.", labels=["outcome"]
        )
        for outcome, count in _reports.items():
            family.add_metric([outcome], count)
        yield family
        if conf.known_names_only:
            family = CounterMetricFamily(
                "headcount_unknown_names",
                "Names in reports to this process that the configuration file does not have.",
                labels=["field"],
            )
            for field, count in _replaced.items():
                family.add_metric([field], count)
            yield family
        if source.path:
            yield _gauge(
                "config_last_reload_successful",
                "1 if the configuration file is in force as this process last read it.",
                source.reloaded,
            )


class HistoryFolder(Collector):
    """Collects the number of files in HISTORY_FOLDER that cannot be used."""

    def collect(self) -> Iterator[Metric]:
        yield _gauge(
            "history_folder_invalid_files",
            "Files in HISTORY_FOLDER that are left out, because they cannot be used.",
            len(archive.current().problems),
        )


class SnapshotMetrics(Collector):
    """Collects the metrics of a snapshot. They are the same in all processes."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        numbers, tally = statistics(self.snapshot), self.snapshot.tally
        yield _gauge("instances", "Instances whose report counts.", numbers.instances)
        yield _gauge(
            "established_instances",
            "Instances that have reported on at least two days.",
            numbers.established,
        )
        for fold in FOLDED:
            family = GaugeMetricFamily(
                f"headcount_{fold.name}_instances",
                f"Instances by {fold.name}, without those that are not listed by name.",
                labels=[fold.name],
            )
            for name, count in getattr(numbers.folded, fold.breakdown).items():
                family.add_metric([name], count)
            yield family
        if numbers.answers:
            yield from _answers(numbers)
        yield _gauge("since_timestamp_seconds", "When counting began.", self.snapshot.state.since)
        yield _gauge(
            "newest_report_timestamp_seconds",
            "The beginning of the latest UTC day on which an instance reported; 0 if none has.",
            DAY * max((cohort.day for cohort in tally.cohorts), default=0),
        )
        yield _gauge("warming_up", "1 until a whole day was counted.", numbers.warming_up)
        yield _gauge("instances_limit", "The most instances that are counted.", conf.max_instances)
        versions = len(tally.counts.keys() - {NULL})
        yield _gauge("versions", "Distinct versions.", versions)
        yield _gauge("versions_limit", "The most distinct versions that are kept.", conf.max_values)


def _answers(numbers: Numbers) -> Iterator[Metric]:
    given = GaugeMetricFamily(
        "headcount_answer_instances",
        "Instances by question and answer, of the latest day that is over.",
        labels=["question", "answer"],
    )
    answered = GaugeMetricFamily(
        "headcount_answered_instances",
        "Instances that answered, of the latest day that is over.",
        labels=["question"],
    )
    for question, values in (numbers.answers or {}).items():
        for value, count in values.items():
            given.add_metric([question, value], count)
    for question, count in (numbers.answered or {}).items():
        answered.add_metric([question], count)
    yield from (given, answered)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"headcount_{name}", meaning, value=float(value))
