import tomllib
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from collector.cache import records
from collector.conf import records_cache
from simulation.demonstration import fill
from simulation.fleet import Fleet

ROOT = Path(__file__).parents[3]


def test_fill_plays_the_days_of_a_fleet_and_the_last_one_is_today(stats, client):
    fill(Fleet(20, 9))
    statistics = stats()
    assert statistics["instances"] >= 20
    assert statistics["warming_up"] is False
    assert list(statistics["last_reported"].values())[-1] >= 15
    assert len(client.get("/stats/history").json()["days"]) == 8


def test_fill_replaces_earlier_reports(report, stats):
    report(app="before")
    fill(Fleet(1, 2))
    assert "before" not in stats()["versions"]


def test_fill_leaves_out_instances_that_opted_out():
    fleet = Fleet(500, 9)
    fill(fleet)
    opted_out = [id for day in range(9) for id in fleet.opt_outs(day)]
    assert opted_out
    assert not records().get_many(opted_out)


def test_fill_refuses_a_store():
    production = {"records": records_cache(7, 1000, 90, "redis://192.0.2.1", False)}
    with override_settings(CACHES=production), pytest.raises(ImproperlyConfigured, match="store"):
        fill(Fleet(1, 1))


def test_the_wheel_does_not_contain_the_simulation():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]
    assert "collector" in packages
    assert {name.partition(".")[0] for name in packages} == {"collector"}
