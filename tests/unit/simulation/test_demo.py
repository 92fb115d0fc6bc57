import json
import os
import tomllib
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from collector.cache import records
from collector.conf import records_cache
from simulation import playback
from simulation.fleet import Fleet
from tests.servers import ROOT


def test_play_gives_the_server_a_past_that_ends_today(client):
    playback.play(Fleet(20, 9))
    numbers = client.get("/stats").json()
    assert numbers["instances"] >= 20
    assert numbers["warming_up"] is False
    assert list(numbers["last_reported"].values())[-1] >= 15
    assert len(client.get("/stats/history").json()["days"]) == 8


def test_play_replaces_what_was_in_memory(client, report):
    report(app="before")
    playback.play(Fleet(1, 2))
    assert "before" not in client.get("/stats").json()["versions"]


def test_play_forgets_instances_that_opted_out():
    fleet = Fleet(500, 9)
    playback.play(fleet)
    opted_out = [name for day in range(9) for name in fleet.opt_outs(day)]
    assert opted_out
    assert not records().get_many(opted_out)


def test_play_refuses_a_store(monkeypatch):
    monkeypatch.setattr(playback, "records", lambda: SimpleNamespace(shared=True))
    with pytest.raises(RuntimeError, match="would replace them"):
        playback.play(Fleet(1, 1))


def test_demo_starts_gunicorn_on_this_machine_without_the_real_server_s_environment(monkeypatch):
    calls = []
    monkeypatch.setattr("os.chdir", lambda _: None)
    monkeypatch.setattr("os.execve", lambda *call: calls.append(call))
    inherited = {
        "REDIS_URL": "redis://store.example",
        "SECRET_KEY": "x" * 50,
        "WEB_CONCURRENCY": "4",
        "GUNICORN_CMD_ARGS": "--bind 0.0.0.0:80",
        "PROJECT_NAME": "Example",
    }
    for name, value in inherited.items():
        monkeypatch.setenv(name, value)
    call_command("demo", port=8123, instances=5, days=2)
    ((_, command, environ),) = calls
    assert command[-3:] == ("simulation.demonstration", "--bind", "127.0.0.1:8123")
    assert inherited.keys() & environ.keys() == {"PROJECT_NAME"}
    assert environ["PORT"] == "8123"
    assert Fleet(**json.loads(environ["DEMO_FLEET"])).instances == Fleet(5, 2).instances
    assert environ["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize(
    ("option", "number", "message"),
    [
        ("instances", -1, "The size is -1"),
        ("days", 0, "The number of days is 0"),
        ("releases", 0, "The number of releases is 0"),
    ],
)
def test_demo_refuses_a_fleet_that_cannot_be_made(option, number, message):
    with pytest.raises(CommandError, match=message):
        call_command("demo", **{option: number})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instances": 1001}, "room for 1000 instances"),
        ({"instances": 450, "days": 400}, "room for 1000 instances"),  # with those that are gone
        ({"releases": 600}, "room for 415 releases"),
    ],
)
def test_demo_refuses_a_fleet_that_the_server_has_no_room_for(monkeypatch, options, message):
    monkeypatch.setattr("os.chdir", lambda _: None)
    monkeypatch.setattr("os.execve", lambda *_: None)
    caches = {"records": records_cache(365, 1000, 90, "", False)}
    with override_settings(CACHES=caches), pytest.raises(CommandError, match=message):
        call_command("demo", **{"instances": 5, "days": 2, **options})


def test_demo_says_first_what_it_makes_up_and_where_to_look(monkeypatch, capsys):
    monkeypatch.setattr("os.chdir", lambda _: None)
    monkeypatch.setattr("os.execve", lambda *_: print("gunicorn"))
    call_command("demo", port=8123, instances=5, days=2)
    assert capsys.readouterr().out.splitlines() == [
        "Making up 5 instances and their reports of 2 days.",
        "Open http://127.0.0.1:8123/dashboard. Press Ctrl-C to stop.",
        "gunicorn",
    ]


def test_the_wheel_does_not_contain_the_simulation():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["setuptools"]["packages"]
    assert {name.partition(".")[0] for name in packages} == {"collector"}
