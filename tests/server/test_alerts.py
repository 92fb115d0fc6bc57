"""The alerts in `deploy/alerts.yml`, evaluated by promtool over made-up days."""

import json
import re
import subprocess

import pytest
import yaml

from tests.servers import ROOT, needs

ALERTS = ROOT / "deploy" / "alerts.yml"
SUMMARIES = {
    rule["alert"]: rule["annotations"]
    for rule in yaml.safe_load(ALERTS.read_text())["groups"][0]["rules"]
}
LABELS = {"job": "headcount", "instance": "127.0.0.1:8000"}
STEP = 5  # minutes between two scrapes
HOUR, DAY = 60 // STEP, 24 * 60 // STEP  # scrapes


def series(up, instances, since, newest, refused=(0,), valid=(1,), invalid=(0,)):
    """Return the series of each metric. What one lacks at its end is filled by its last value."""
    metrics = {
        "up": up,
        "headcount_instances": instances,
        "headcount_instances_limit": [1000],
        "headcount_since_timestamp_seconds": since,
        "headcount_newest_report_timestamp_seconds": newest,
        "headcount_config_last_reload_successful": valid,
        "headcount_history_folder_invalid_files": invalid,
        "headcount_store_refused_timestamp_seconds": refused,
    }
    for name, values in metrics.items():
        label_text = ",".join(f'{label}="{value}"' for label, value in LABELS.items())
        *others, last = values
        yield {
            "series": f"{name}{{{label_text}}}",
            "values": " ".join(map(str, [*others, f"{last}x{5 * DAY - len(others)}"])),
        }


RUNS = {"up": [1], "instances": [3], "since": [0]}
DAILY = [day * 86_400 for day in range(5) for _ in range(DAY)]  # a report on each day
# Scrapes before which a worker refused a report: during an hour, and once in the evening.
OUTAGE, MOMENT = range(HOUR, 2 * HOUR), 6 * HOUR


def taking_turns():
    """Return the time of the last refusal of two workers, of which only the second refused any."""
    for scrape in range(2 * DAY):
        refusals = [each for each in (*OUTAGE, MOMENT) if each <= scrape]
        yield 60 * STEP * max(refusals, default=0) if scrape % 2 else 0


SCENARIOS = {
    "an ordinary week": (RUNS | {"newest": DAILY}, {}),
    "nobody has reported yet": (
        RUNS | {"instances": [0], "newest": [0]},
        {2 * DAY: {"HeadcountNoReportForADay"}},
    ),
    "a restart in memory": (
        {
            "up": [1] * DAY + [0, 1],
            "instances": [50] * DAY + ["_", 0],
            "since": [0] * DAY + ["_", 86_400],
            "newest": [*DAILY[:DAY], "_", 0],
        },
        {3 * DAY: {"HeadcountNoReportForADay"}},
    ),
    "reports end on the second day": (
        RUNS | {"newest": DAILY[: 2 * DAY]},
        {3 * DAY: {"HeadcountNoReportForADay"}},
    ),
    "the server stops, or no process reaches the store": (
        {
            "up": [1] * HOUR + [0],
            "instances": [3] * HOUR + ["_"],
            "since": [0] * HOUR + ["_"],
            "newest": [0] * HOUR + ["_"],
        },
        {HOUR + 1: {"HeadcountDown"}},
    ),
    "it fills": (
        RUNS | {"instances": [900] * HOUR + [901] * HOUR + [1000], "newest": DAILY},
        {HOUR + 3: {"HeadcountNearlyFull"}, 2 * HOUR: {"HeadcountNearlyFull", "HeadcountFull"}},
    ),
    "only one worker of two is without the store, for an hour and for a moment": (
        RUNS | {"newest": DAILY, "refused": [*taking_turns()]},
        {
            OUTAGE[0] + 1: {"HeadcountStoreAway"},
            OUTAGE[-1] + 3: set(),
            MOMENT + 1: {"HeadcountStoreAway"},
            MOMENT + 3: set(),
        },
    ),
    "the file becomes invalid, and is mended": (
        RUNS | {"newest": DAILY, "valid": [1] * HOUR + [0] * HOUR + [1]},
        {HOUR + 2: {"HeadcountInvalidFile"}, 2 * HOUR: set()},
    ),
    "a file in the folder becomes invalid": (
        RUNS | {"newest": DAILY, "invalid": [0] * HOUR + [2]},
        {HOUR + 2: {"HeadcountInvalidFile"}},
    ),
}


def test_prometheus_accepts_the_documented_configuration(tmp_path):
    needs("promtool", "prometheus")
    (configuration,) = re.findall(
        "^```yaml\n(rule_files.*?)^```",
        (ROOT / "OPERATING.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    (tmp_path / "prometheus.yml").write_text(configuration)
    (tmp_path / "alerts.yml").symlink_to(ALERTS)
    command = ["promtool", "check", "config", tmp_path / "prometheus.yml"]
    checked = subprocess.run(command, check=True, capture_output=True, text=True)
    assert f"{len(SUMMARIES)} rules found" in checked.stdout
    assert "job_name: headcount\n" in configuration


def test_the_server_has_every_metric_of_the_alerts(start):
    server = start(CONFIG_FILE=str(ROOT / "deploy" / "config" / "headcount.toml"))
    exposition = server.wait_until_ready().request("GET", "/metrics").content.decode()
    for metric in re.findall(r"headcount_\w+", ALERTS.read_text()):
        assert f"\n{metric} " in exposition


@pytest.mark.parametrize(("given", "changes"), SCENARIOS.values(), ids=SCENARIOS)
def test_exactly_the_right_alerts_fire(given, changes, tmp_path):
    """Right before and after each change, and every six hours for four days."""
    needs("promtool", "prometheus")
    times = set(range(HOUR // 2, 4 * DAY, 6 * HOUR)).union(*({time - 1, time} for time in changes))
    tests = []
    for time in sorted(times):
        begun = [each for each in changes if each <= time]
        firing = changes[max(begun)] if begun else set()
        tests += [
            {
                "eval_time": f"{time * STEP}m",
                "alertname": name,
                "exp_alerts": [{"exp_labels": LABELS, "exp_annotations": annotations}]
                if name in firing
                else [],
            }
            for name, annotations in SUMMARIES.items()
        ]
    test = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": f"{STEP}m",
        "tests": [
            {"interval": f"{STEP}m", "input_series": [*series(**given)], "alert_rule_test": tests}
        ],
    }
    path = tmp_path / "test.yaml"
    path.write_text(json.dumps(test))  # JSON is valid YAML
    result = subprocess.run(
        ["promtool", "test", "rules", path], check=False, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
