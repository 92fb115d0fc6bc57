"""Metrics for Prometheus: the statistics, the reports, and the process. Nothing is on disk."""

import time
from collections.abc import Iterator
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.conf import conf
from collector.numbers.dimensions import FOLDED
from collector.numbers.memo import once
from collector.numbers.snapshot import Snapshot
from collector.numbers.stats import statistics

CONTENT_TYPE = CONTENT_TYPE_LATEST
OUTCOMES = {
    201: "accepted",
    400: "refused: not a report",
    408: "refused: body too slow",
    411: "refused: no length",
    413: "refused: body too large",
    415: "refused: not JSON",
    503: "refused: full or store away",
}

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library has no type for it
_process = CollectorRegistry()
ProcessCollector(registry=_process)
_reports = Counter(
    "headcount_reports", "Reports that this process has answered.", ["outcome"], registry=_process
)
_last_report = Gauge(
    "headcount_last_report_timestamp_seconds",
    "When this process last accepted a report; 0 if it has not.",
    registry=_process,
)
_counters = {status: _reports.labels(outcome) for status, outcome in OUTCOMES.items()}


def count_report(status: int) -> None:
    """Increment the metric for reports that got a response with this status."""
    if status in _counters:
        _counters[status].inc()
    if status == 201:
        _last_report.set(int(time.time()))


def exposition(snapshot: Snapshot) -> bytes:
    """Return all metrics: those of a snapshot, computed once for it, and those of the process."""
    return once(snapshot, "metrics", lambda: _of_snapshot(snapshot)) + generate_latest(_process)


def _of_snapshot(snapshot: Snapshot) -> bytes:
    registry = CollectorRegistry()
    registry.register(_SnapshotCollector(snapshot))
    return generate_latest(registry)


class _SnapshotCollector(Collector):
    """Collects the metrics of a snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def collect(self) -> Iterator[Metric]:
        numbers = statistics(self.snapshot)
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
        yield _gauge("since_timestamp_seconds", "When counting began.", self.snapshot.since)
        yield _gauge("warming_up", "1 until a whole day was counted.", numbers.warming_up)
        yield _gauge("instances_limit", "The most instances that are counted.", conf.max_instances)
        versions = sum(value is not None for value in self.snapshot.tally.values.values())
        yield _gauge("versions", "Distinct versions.", versions)
        yield _gauge("versions_limit", "The most distinct versions that are kept.", conf.max_values)


def _answers(numbers: Any) -> Iterator[Metric]:
    given = GaugeMetricFamily(
        "headcount_answer_instances",
        "Instances by question and answer, without those that are not listed.",
        labels=["question", "answer"],
    )
    answered = GaugeMetricFamily(
        "headcount_answered_instances", "Instances that answered.", labels=["question"]
    )
    for question, values in numbers.answers.items():
        answered.add_metric([question], numbers.answered[question])
        for value, count in values.items():
            given.add_metric([question, value], count)
    yield from (given, answered)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"headcount_{name}", meaning, value=float(value))
