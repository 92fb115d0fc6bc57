"""Metrics for Prometheus: the statistics, the reports, and the process.

No metric is an object of the client library that counts by itself: in a project that shares metrics
between processes, such an object would write to disk.
"""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from collector.cache.base import CacheFull
from collector.cache.tally import NULL, Unavailable
from collector.conf import DAY, conf
from collector.config import source
from collector.folding import OTHER
from collector.numbers import archive
from collector.numbers.dimensions import FOLDED
from collector.numbers.snapshot import Snapshot
from collector.numbers.stats import statistics
from collector.reports.fields import COUNTED
from collector.reports.parsing import Version

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
_last_refused = {Unavailable: 0.0}  # when a report was last refused for it, in POSIX seconds
_replaced = Counter(dict.fromkeys(COUNTED, 0))


def count_report(cause: int | type[Exception]) -> None:
    """Count a report by the status of its response, or by the exception that refused it."""
    if cause in OUTCOMES:
        _reports[OUTCOMES[cause]] += 1
    if cause is Unavailable:
        _last_refused[Unavailable] = time.time() // 60 * 60  # nobody needs the second


def count_replaced(version: Version) -> None:
    """Count, by field, each name of a version that is stored as OTHER."""
    _replaced.update(field for field in COUNTED if getattr(version, field) == OTHER)


class Collected(NamedTuple):
    """Metrics, as the client library takes them."""

    metrics: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.metrics


def exposition(snapshot: Snapshot) -> bytes:
    """Return the metrics of a snapshot, computed once for it, and of the process."""
    of_snapshot = snapshot.once("metrics", lambda: generate_latest(Collected(_numbers(snapshot))))
    of_process = [*_process(), *ProcessCollector(registry=None).collect()]
    return of_snapshot + generate_latest(Collected(of_process))


def _process() -> Iterator[Metric]:
    """Yield the counts of this process, and whether it could read its files."""
    yield _by(
        "outcome",
        "reports",
        "Reports to this process, by what it did with them.",
        _reports,
        CounterMetricFamily,
    )
    yield _gauge(
        "store_refused_timestamp_seconds",
        "When this process last refused a report because the store was away or full; 0: never.",
        _last_refused[Unavailable],
    )
    if conf.known_names_only:
        yield _by(
            "field",
            "unknown_names",
            "Names in reports to this process that the configuration file does not have.",
            _replaced,
            CounterMetricFamily,
        )
    if source.path:
        yield _gauge(
            "config_last_reload_successful",
            "1 if the configuration file is in force as this process last read it.",
            source.reloaded,
        )
    yield _gauge(
        "history_folder_invalid_files",
        "Files in HISTORY_FOLDER that are left out, because they cannot be used.",
        len(archive.current().problems),
    )


def _numbers(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield the metrics that are the same in all processes."""
    numbers, tally = statistics(snapshot), snapshot.tally
    yield _gauge("instances", "Instances whose report counts.", numbers.instances)
    yield _gauge(
        "established_instances",
        "Instances that have reported on at least two days.",
        numbers.established,
    )
    for fold in FOLDED:
        yield _by(
            fold.name,
            f"{fold.name}_instances",
            f"Instances by {fold.name}, without those that are not listed by name.",
            getattr(numbers.folded, fold.breakdown),
        )
    if numbers.answers:
        given = GaugeMetricFamily(
            "headcount_answer_instances",
            "Instances by question and answer, of the latest day that is over.",
            labels=["question", "answer"],
        )
        for question, values in numbers.answers.items():
            for value, count in values.items():
                given.add_metric([question, value], count)
        yield given
        yield _by(
            "question",
            "answered_instances",
            "Instances that answered, of the latest day that is over.",
            numbers.answered or {},
        )
    yield _gauge("since_timestamp_seconds", "When counting began.", snapshot.state.since)
    yield _gauge(
        "newest_report_timestamp_seconds",
        "The beginning of the latest UTC day on which an instance reported; 0 if none has.",
        DAY * max((cohort.day for cohort in tally.cohorts), default=0),
    )
    yield _gauge("warming_up", "1 until a whole day was counted.", numbers.warming_up)
    yield _gauge("instances_limit", "The most instances that are counted.", conf.max_instances)
    yield _gauge("versions", "Distinct versions.", len(tally.counts.keys() - {NULL}))
    yield _gauge("versions_limit", "The most distinct versions that are kept.", conf.max_values)


def _by(
    label: str,
    name: str,
    meaning: str,
    counts: Mapping[str, int],
    kind: type[GaugeMetricFamily] | type[CounterMetricFamily] = GaugeMetricFamily,
) -> Metric:
    family = kind(f"headcount_{name}", meaning, labels=[label])
    for value, count in counts.items():
        family.add_metric([value], count)
    return family


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"headcount_{name}", meaning, value=float(value))
