"""Metrics for Prometheus: the numbers, what arrived, and the process. Nothing is on disk."""

import time
from collections.abc import Iterator

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
from collector.numbers import memo, snapshot, stats
from collector.numbers.dimensions import FOLDED

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

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library left it untyped
_process = CollectorRegistry()
ProcessCollector(registry=_process)
_reports = Counter(
    "headcount_reports", "Reports that this process answered.", ["outcome"], registry=_process
)
_last_report = Gauge(
    "headcount_last_report_timestamp_seconds",
    "When this process last accepted a report; 0: never.",
    registry=_process,
)
_answered = {status: _reports.labels(outcome) for status, outcome in OUTCOMES.items()}


def count(status: int) -> None:
    """Count a report by the status of its answer."""
    if status in _answered:
        _answered[status].inc()
    if status == 201:
        _last_report.set(int(time.time()))


def text(taken: snapshot.Snapshot) -> bytes:
    """All metrics: those of a snapshot, made once for it, and those of the process."""
    numbers = memo.once(taken, "metrics", lambda: _numbers(taken))
    return numbers + generate_latest(_process)


class _Snapshot(Collector):
    """The metrics of a snapshot."""

    def __init__(self, taken: snapshot.Snapshot) -> None:
        self.taken = taken

    def collect(self) -> Iterator[Metric]:
        numbers = stats.statistics(self.taken)
        yield _gauge("instances", "Installations whose report counts.", numbers.instances)
        yield _gauge(
            "established_instances",
            "Installations that reported on two days at least.",
            numbers.established,
        )
        for fold in FOLDED:
            family = GaugeMetricFamily(
                f"headcount_{fold.name}_instances",
                f"Installations by {fold.name}; what is not told by name is left out.",
                labels=[fold.name],
            )
            for name, number in getattr(numbers.folded, fold.breakdown).items():
                family.add_metric([name], number)
            yield family
        yield _gauge("since_timestamp_seconds", "When counting began.", self.taken.since)
        yield _gauge("warming_up", "1 until a whole day was counted.", numbers.warming_up)
        yield _gauge("instances_limit", "Installations kept at most.", conf.max_instances)
        versions = sum(value is not None for value in self.taken.tally.values.values())
        yield _gauge("versions", "Distinct versions kept.", versions)
        yield _gauge("versions_limit", "Distinct versions kept at most.", conf.max_values)


def _numbers(taken: snapshot.Snapshot) -> bytes:
    registry = CollectorRegistry()
    registry.register(_Snapshot(taken))
    return generate_latest(registry)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"headcount_{name}", meaning, value=float(value))
