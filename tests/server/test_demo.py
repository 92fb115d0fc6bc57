"""Tests of `manage.py demo`."""

import json
import os
import signal
import sys

from tests.servers import free_port


def demo(start, *arguments, **environ):
    """Start the demonstration of 40 instances over 9 days, and wait until it responds."""
    port = free_port()
    command = [sys.executable, "manage.py", "demo", "--port", str(port), *arguments]
    server = start(
        command=[*command, "--instances", "40", "--days", "9"],
        port=port,
        under=("setsid",),
        **environ,
    )
    return server.wait_for(f"http://127.0.0.1:{port}/dashboard").wait_for_response("/readyz")


def test_demo_serves_a_past_with_gunicorn_and_ends_on_ctrl_c(start):
    server = demo(start)
    assert server.output.startswith("Making up 40 instances and their reports of 9 days.\n")
    assert "Starting gunicorn" in server.output
    assert "WARNING" not in server.output
    numbers = server.stats()
    assert numbers["instances"] >= 40
    assert numbers["warming_up"] is False
    assert len(json.loads(server.request("GET", "/stats/history").content)["days"]) == 8
    published = numbers["published"]
    assert published["latest"] in published["dates"]
    assert published["on_vulnerable"] > 0
    assert b", vulnerable</span>" in server.request("GET", "/dashboard").content
    assert b'class="layer-' in server.request("GET", "/dashboard").content
    assert server.request("GET", "/static/collector/page.css").status == 200
    os.killpg(server.process.pid, signal.SIGINT)  # as a terminal does
    assert server.wait_until_ended() == 0
    assert "ERROR" not in server.output
