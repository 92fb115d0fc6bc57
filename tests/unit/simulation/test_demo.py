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


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"days": 0}, "The number of days is 0"),
        ({"instances": 1001}, "room for 1000 instances"),
        ({"instances": 450, "days": 400}, "room for 1000 instances"),  # with those that are gone
    ],
)
def test_demo_refuses_a_fleet_that_cannot_be_made_or_has_no_room(monkeypatch, options, message):
    monkeypatch.setattr("os.chdir", lambda _: None)
    monkeypatch.setattr("os.execve", lambda *_: None)
    caches = {"records": records_cache(365, 1000, 90, "", False)}
    with override_settings(CACHES=caches), pytest.raises(CommandError, match=message):
        call_command("demo", **{"instances": 5, "days": 2, **options})
