import json
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from collector.cache import records
from collector.conf import records_cache
from simulation import playback
from simulation.fleet import Fleet


def test_play_replaces_what_was_in_memory_by_a_past_that_ends_today(client, report):
    report(app="before")
    fleet = Fleet(500, 9)
    playback.play(fleet)
    numbers = client.get("/stats").json()
    assert numbers["instances"] >= 500
    assert "before" not in numbers["versions"]
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
    real = {"REDIS_URL", "SECRET_KEY", "WEB_CONCURRENCY", "GUNICORN_CMD_ARGS"}
    inherited = {*real, "PROJECT_NAME"}
    for name in inherited:
        monkeypatch.setenv(name, "x")
    call_command("demo", port=8123, instances=5, days=2)
    ((_, command, environ),) = calls
    assert command[-3:] == ("simulation.demonstration", "--bind", "127.0.0.1:8123")
    assert inherited & environ.keys() == {"PROJECT_NAME"}
    assert environ["PORT"] == "8123"
    assert json.loads(environ["DEMO_FLEET"]) == {"size": 5, "days": 2}


def test_demo_refuses_a_fleet_that_cannot_be_made():
    with pytest.raises(CommandError, match="at least 1 day"):
        call_command("demo", days=0)


def test_the_demo_s_server_has_room_for_all_instances_those_that_are_gone_included(monkeypatch):
    calls = []
    monkeypatch.setattr("os.chdir", lambda _: None)
    monkeypatch.setattr("os.execve", lambda *call: calls.append(call))
    with override_settings(CACHES={"records": records_cache(365, 1000, 90, "", False)}):
        call_command("demo", instances=450, days=400)
    ((_, _, environ),) = calls
    assert int(environ["MAX_INSTANCES"]) > 1000
