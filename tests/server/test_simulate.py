"""The fleet that is made up for a running server, and the server with a made-up past."""

import re
import signal
import subprocess
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from simulation.fleet import Fleet
from tests.servers import ROOT, Server, free_port


def simulate(url, **options):
    """What the command printed, and its progress."""
    told, progress = StringIO(), StringIO()
    call_command("simulate", url, stdout=told, stderr=progress, **options)
    return told.getvalue(), progress.getvalue()


def test_every_report_is_counted_and_who_opted_out_is_not(server):
    told, progress = simulate(f"http://{server.address}", installations=200, days=20, seed=7)
    fleet = Fleet(200, 20, seed=7)
    sent = {name for day in range(20) for name, _ in (*fleet.reports(day), *fleet.ci(day))}
    gone = {name for day in range(20) for name in fleet.opt_outs(day)}
    assert gone
    assert server.stats()["instances"] == len(sent - gone)
    assert set(re.findall(r"(\d+): ", told)) == {"201", "204"}
    assert "reports/s" in progress


def test_a_server_that_is_away_is_told_and_no_traceback():
    told, progress = simulate(f"http://127.0.0.1:{free_port()}", installations=5, days=1)
    assert told.startswith("answers failed: ")
    assert "failed=" in progress


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://192.0.2.1", "another machine"),
        ("127.0.0.1:8000", "is no URL"),
        ("http://nowhere.invalid", "is not found"),
    ],
)
def test_another_machine_is_refused(url, sentence):
    with pytest.raises(CommandError, match=sentence):
        simulate(url)


def test_the_demo_has_a_past_and_prints_where_it_is():
    port = free_port()
    command = [sys.executable, "manage.py", "demo", "--port", str(port), "--installations", "40"]
    server = Server(command=[*command, "--days", "9"], port=port)
    try:
        server.wait_for(f"Look at http://127.0.0.1:{port}/dashboard").answers("/readyz")
        numbers = server.stats()
        assert numbers["instances"] >= 40
        assert numbers["warming_up"] is False
        assert b'class="layer-' in server.request("GET", "/dashboard").content
        assert server.request("GET", "/static/collector/page.css").status == 200
    finally:
        server.process.send_signal(signal.SIGINT)
        server.process.wait(timeout=30)
        server.stop()


def test_the_demo_refuses_more_than_fits():
    command = [sys.executable, "manage.py", "demo", "--installations", "2000000"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "At most 1000000 installations" in run.stderr
