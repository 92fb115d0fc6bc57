"""What happens to counts and connections when the process is stopped, restarted or killed."""

import os
import re
import signal
import socket
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException

import pytest

from tests.servers import INSTRUMENTED, report

CLIENTS = 16


@contextmanager
def storm(server):
    """Report without a pause, each time on a new connection; yield the counts of the outcomes."""
    over = threading.Event()
    outcomes = Counter()

    def report_repeatedly():
        own = Counter()
        while not over.is_set():
            try:
                assert server.post(report()).status == 201
                own["accepted"] += 1
            except (TimeoutError, ConnectionError, HTTPException):  # also within a response
                own["cut off"] += 1
        return own

    with ThreadPoolExecutor(CLIENTS) as clients:
        running = [clients.submit(report_repeatedly) for _ in range(CLIENTS)]
        try:
            server.wait_until(lambda: server.stats()["instances"] > 5 * CLIENTS)
            yield outcomes
        finally:
            over.set()
        for each in running:
            outcomes.update(each.result())


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT], ids=lambda sig: sig.name)
def test_a_server_that_stops_sends_the_receipt_of_every_report_that_it_counted(start, sig):
    server = start(wsgi=INSTRUMENTED).wait_until_ready()
    with storm(server) as outcomes:
        code, _ = server.stop(sig)
    assert code == 0
    counted = int(re.search(r"At exit, (\d+) instances were counted", server.output)[1])
    assert outcomes["accepted"] == counted > 0


def test_a_restart_on_a_socket_that_stays_open_loses_no_connection(start):
    """As systemd hands it over, sd_listen_fds(3): the socket outlives each server."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        hand_over = f'exec 3<&{listener.fileno()}; LISTEN_FDS=1 LISTEN_PID=$$ exec "$0" "$@"'
        socket_of_both = {
            "under": ("bash", "-c", hand_over),
            "pass_fds": [listener.fileno()],
            "port": listener.getsockname()[1],
        }
        first = start(**socket_of_both).wait_until_ready()
        with storm(first) as outcomes:
            first.stop(signal.SIGTERM)
            second = start(**socket_of_both).wait_until_ready()
            second.wait_until(lambda: second.stats()["instances"] > 5 * CLIENTS)
        assert outcomes["cut off"] == 0
        assert second.stats()["warming_up"] is True


@pytest.mark.parametrize("fault", ["reload", "killed worker"])
def test_a_new_worker_counts_from_zero_and_says_that_it_is_warming_up(start, fault):
    """The kernel kills the worker when memory runs out."""
    server = start().wait_until_ready()
    server.post(report())
    (old,) = server.workers()
    if fault == "reload":
        os.kill(server.master, signal.SIGHUP)
    else:
        os.kill(old, signal.SIGKILL)
    server.wait_until(lambda: server.workers() and old not in server.workers()).wait_until_ready()
    assert server.stats()["instances"] == 0
    assert server.stats()["warming_up"] is True
    assert "Traceback" not in server.output
