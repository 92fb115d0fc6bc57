import json
import tomllib
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command

from collector.cache import records
from simulation import demonstration
from simulation.arguments import fleet_from
from simulation.fleet import Fleet

ROOT = Path(__file__).parents[3]


@pytest.fixture
def demo(monkeypatch):
    """Run the command; returns what it printed and how it started the server."""

    def run(*arguments):
        output = StringIO()
        with patch("os.execve") as execute:
            call_command("demo", *arguments, stdout=output)
        _, command, environment = execute.call_args.args
        return output.getvalue(), command, environment

    return run


def test_the_last_day_of_a_fleet_is_today(client):
    demonstration.play(Fleet(20, 9), 9)
    numbers = client.get("/stats").json()
    assert numbers["instances"] >= 20
    assert numbers["warming_up"] is False
    assert list(numbers["last_reported"].values())[-1] >= 15
    assert len(client.get("/stats/history").json()["days"]) == 8


def test_an_instance_that_opted_out_is_not_counted():
    fleet = Fleet(500, 9)
    demonstration.play(fleet, 9)
    gone = [name for day in range(9) for name in fleet.opt_outs(day)]
    assert gone
    assert not records().get_many(gone)


def test_the_demo_is_served_on_this_machine_only_and_says_where(demo):
    output, command, environment = demo("--port=8123", "--installations=5", "--days=2")
    assert "Look at http://127.0.0.1:8123/dashboard" in output
    assert command[-2:] == ["--bind", "127.0.0.1:8123"]
    fleet = fleet_from(json.loads(environment[demonstration.OPTIONS]))
    assert (fleet.size, len(fleet.published)) == (5, 14)


def test_the_demo_never_uses_the_store_of_the_environment(demo, monkeypatch):
    monkeypatch.setenv("REDIS_URL", "redis://production/0")
    monkeypatch.setenv("SECRET_KEY", "of production")
    monkeypatch.setenv("PROJECT_NAME", "Something")
    _, _, environment = demo()
    assert "REDIS_URL" not in environment
    assert "SECRET_KEY" not in environment
    assert environment["PROJECT_NAME"] == "Something"


@pytest.mark.parametrize("command", ["demo", "simulate"])
@pytest.mark.parametrize(
    "argument", ["--days=0", "--releases=0", "--installations=-1", "--days=x", "--releases=1.5"]
)
def test_an_argument_that_makes_no_sense_is_refused(command, argument):
    with pytest.raises(CommandError, match="is not a whole number of at least"):
        call_command(command, argument)


def test_the_demo_refuses_more_instances_than_the_server_keeps():
    with pytest.raises(CommandError, match="1000000 instances at most"):
        call_command("demo", "--installations=2000000")


def test_the_wheel_has_no_simulation():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert not [name for name in project["tool"]["setuptools"]["packages"] if "simul" in name]
