"""A made-up fleet that reports to a running server, and a demonstration with a made-up past."""

import json
import re
import signal
import socket
import sys
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from simulation.fleet import Fleet
from simulation.management.commands.simulate import refuse_other_machines
from tests.servers import Server, free_port


def simulate(url, **options):
    """Run the command; return its output and its progress bar."""
    output, progress = StringIO(), StringIO()
    call_command("simulate", url, stdout=output, stderr=progress, **options)
    return output.getvalue(), progress.getvalue()


def test_the_server_counts_every_simulated_report_and_erases_every_opt_out(server):
    output, progress = simulate(f"http://{server.address}", instances=200, days=20, seed=7)
    fleet = Fleet(200, 20, seed=7)
    reported = {id for day in range(20) for id, _ in (*fleet.reports(day), *fleet.ci(day))}
    opted_out = {id for day in range(20) for id in fleet.opt_outs(day)}
    assert opted_out
    assert server.stats()["instances"] == len(reported - opted_out)
    assert set(re.findall(r"(\d+): ", output)) == {"201", "204"}
    assert "reports/s" in progress


def test_simulate_prints_failed_requests_and_no_traceback_if_the_server_is_down():
    output, progress = simulate(f"http://127.0.0.1:{free_port()}", instances=5, days=1)
    assert output.startswith("Responses by status: failed: ")
    assert "failed=" in progress


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://192.0.2.1", "another machine"),
        ("127.0.0.1:8000", "is not a URL"),
        ("ftp://127.0.0.1", "is not a URL"),
        ("http://127.0.0.1:99999", "is not a URL"),
        ("http://nowhere.invalid", "has no address"),
    ],
)
def test_simulate_refuses_another_machine_and_an_invalid_url(url, message):
    with pytest.raises(CommandError, match=message):
        simulate(url)


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "[::1]:8000", "[::1]", "localhost"])
def test_simulate_accepts_every_loopback_address(host):
    refuse_other_machines(f"http://{host}")


def test_simulate_refuses_a_name_of_which_one_address_is_not_loopback(monkeypatch):
    addresses = [(None, None, None, "", (address, 0)) for address in ("127.0.0.1", "192.0.2.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
    with pytest.raises(CommandError, match="another machine"):
        refuse_other_machines("http://twofold.example")


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("simulate", "instances", -1),
        ("simulate", "days", 0),
        ("simulate", "at_once", 0),
        ("demo", "releases", 0),
    ],
)
def test_a_command_says_which_option_is_too_small(command, option, value):
    with pytest.raises(CommandError, match=f"{option.replace('_', '-')} must be at least"):
        call_command(command, **{option: value})


@pytest.fixture
def demo():
    """Start a demonstration of 40 instances and 9 days, which ends with the test."""
    servers = []

    def start(**environ):
        port = free_port()
        command = [sys.executable, "manage.py", "demo", "--port", str(port), "--instances", "40"]
        servers.append(Server(command=[*command, "--days", "9"], port=port, **environ))
        return servers[-1]

    yield start
    for server in servers:
        server.process.send_signal(signal.SIGINT)
        server.wait_until_ended()
        server.stop()


def test_the_demonstration_has_a_past_and_starts_without_a_warning(demo):
    server = demo().answers("/readyz")
    first, second, *_ = server.output.splitlines()
    assert first == "Making up 40 instances and their reports of 9 days."
    assert second == f"Open http://127.0.0.1:{server.port}/dashboard"
    assert "WARNING" not in server.output
    assert "Starting gunicorn" in server.output
    statistics = server.stats()
    assert statistics["instances"] >= 40
    assert statistics["warming_up"] is False
    assert b'class="layer-' in server.request("GET", "/dashboard").content
    assert len(json.loads(server.request("GET", "/stats/history").content)["days"]) == 8
    assert server.request("GET", "/static/collector/page.css").status == 200


def test_control_c_ends_the_demonstration_cleanly(demo):
    server = demo().answers("/readyz")
    server.process.send_signal(signal.SIGINT)
    assert server.wait_until_ended() == 0
    assert "Traceback" not in server.output


def test_the_demonstration_never_connects_to_the_store(demo, redis_server):
    received = redis_server.client.info()["total_connections_received"]
    production = {"REDIS_URL": redis_server.url, "SECRET_KEY": "s" * 50, "WEB_CONCURRENCY": "2"}
    assert demo(**production).answers("/readyz").stats()["instances"] >= 40
    assert redis_server.client.info()["total_connections_received"] == received


def test_the_demonstration_listens_only_on_the_loopback_interface(demo):
    server = demo().answers("/readyz")
    assert f"Listening at: http://127.0.0.1:{server.port} " in server.output


def test_the_demonstration_refuses_a_fleet_that_exceeds_the_limit(demo):
    server = demo(MAX_INSTANCES="30")
    assert server.wait_until_ended() == 1
    assert "MAX_INSTANCES is 30" in server.output
