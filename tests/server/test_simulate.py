"""Tests the commands that make up a fleet, against a real server."""

import re
import signal
import socket
import sys
from contextlib import closing
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from simulation.fleet import Fleet
from tests.servers import Server, free_port


def simulate(url, **options):
    """Run the command, and return what it wrote to stdout and to stderr (its progress)."""
    output, progress = StringIO(), StringIO()
    call_command("simulate", url, stdout=output, stderr=progress, **options)
    return output.getvalue(), progress.getvalue()


def test_every_simulated_report_is_counted_unless_its_instance_opted_out(server):
    output, progress = simulate(f"http://{server.address}", instances=200, days=20, seed=7)
    fleet = Fleet(200, 20, seed=7)
    sent = {id_ for day in range(20) for id_, _ in (*fleet.reports(day), *fleet.ci(day))}
    gone = {id_ for day in range(20) for id_ in fleet.opt_outs(day)}
    assert gone
    assert server.stats()["instances"] == len(sent - gone)
    assert set(re.findall(r"(\d+): ", output)) == {"201", "204"}
    assert "reports/s" in progress


def test_simulate_counts_the_reports_that_no_server_answers():
    output, progress = simulate(f"http://127.0.0.1:{free_port()}", instances=5, days=1)
    assert output.startswith("answers failed: ")
    assert "failed=" in progress


def test_simulate_accepts_the_loopback_address_of_ipv6():
    with closing(socket.socket(socket.AF_INET6)) as unused:
        unused.bind(("::1", 0))
        output, _ = simulate(f"http://[::1]:{unused.getsockname()[1]}", instances=1, days=1)
    assert output.startswith("answers failed: ")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://192.0.2.1", "another machine"),
        ("http://[2001:db8::1]", "another machine"),
        ("127.0.0.1:8000", "is not a URL"),
        ("http://nowhere.invalid", "is not found"),
    ],
)
def test_simulate_refuses_another_machine(url, problem):
    with pytest.raises(CommandError, match=problem):
        simulate(url)


def test_the_demo_serves_a_past_from_its_own_memory_and_prints_no_warning():
    port = free_port()
    command = [sys.executable, "manage.py", "demo", "--port", str(port), "--installations", "40"]
    # A store that would refuse a connection: the demonstration must not even look for it.
    away = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}/0", "SECRET_KEY": "of production"}
    server = Server(command=[*command, "--days", "9"], port=port, **away)
    try:
        server.wait_for(f"Look at http://127.0.0.1:{port}/dashboard").answers("/readyz")
        numbers = server.stats()
        assert numbers["instances"] >= 40
        assert numbers["warming_up"] is False
        assert b'class="layer-' in server.request("GET", "/dashboard").content
        assert server.request("GET", "/static/collector/page.css").status == 200
        assert "WARNING" not in server.output
        assert server.output.startswith("Making up 40 instances and 9 days.")
    finally:
        server.process.send_signal(signal.SIGINT)
        server.process.wait(timeout=30)
        server.stop()
