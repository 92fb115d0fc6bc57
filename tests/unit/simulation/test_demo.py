from io import StringIO
from unittest.mock import patch

import pytest
from django.core.management import CommandError, call_command

from collector.cache import records
from simulation.fleet import Fleet
from simulation.management.commands import demo


def test_it_plays_the_days_of_a_fleet_the_last_of_them_today(client):
    demo.play(Fleet(20, 9), 9)
    numbers = client.get("/stats").json()
    assert numbers["instances"] >= 20
    assert numbers["warming_up"] is False
    assert list(numbers["last_reported"].values())[-1] >= 15
    assert len(client.get("/stats/history").json()["days"]) == 8


def test_what_was_there_is_forgotten(client, report):
    report(app="before")
    demo.play(Fleet(1, 2), 2)
    assert "before" not in client.get("/stats").json()["versions"]


def test_who_opted_out_is_not_there():
    fleet = Fleet(500, 9)
    demo.play(fleet, 9)
    gone = [name for day in range(9) for name in fleet.opt_outs(day)]
    assert gone
    assert not records().get_many(gone)


def test_the_command_serves_it_on_this_machine_and_says_where():
    told = StringIO()
    with patch.object(demo, "call_command") as serve:
        call_command("demo", port=8123, installations=5, days=2, stdout=told)
    assert "Look at http://127.0.0.1:8123/dashboard" in told.getvalue()
    assert serve.call_args.args == ("runserver", "127.0.0.1:8123")


def test_more_than_fits_is_refused():
    with pytest.raises(CommandError, match="At most 1000000"):
        call_command("demo", installations=2_000_000)
