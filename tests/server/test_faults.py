"""What happens to the counts, and to who is connected, when the process is hit."""

import os
import re
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from uuid import uuid4

import pytest

CLIENTS = 16
GONE = (ConnectionError, socket.timeout)


def report():
    """A report of a new installation."""
    version = {"app": "1", "sha": "x", "image": None, "arch": "arm"}
    return {"id": str(uuid4()), "version": version}


@contextmanager
def storm(server):
    """Clients that report without a pause, each time on a new connection; what came of it."""
    over = threading.Event()
    came = {"accepted": 0, "cut off": 0}

    def go_on():
        mine = dict.fromkeys(came, 0)
        while not over.is_set():
            try:
                assert server.post(report()).status == 201
                mine["accepted"] += 1
            except GONE:
                mine["cut off"] += 1
        return mine

    with ThreadPoolExecutor(CLIENTS) as clients:
        running = [clients.submit(go_on) for _ in range(CLIENTS)]
        try:
            server.wait_until(lambda: server.stats()["instances"] > 5 * CLIENTS)
            yield came
        finally:
            over.set()
        for each in running:
            for what, count in each.result().items():
                came[what] += count


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT], ids=lambda sig: sig.name)
def test_asked_to_end_it_answers_every_report_that_it_counted(start, sig):
    server = start("-c", "tests/server/counting.conf.py").wait_until_ready()
    with storm(server) as came:
        code, _ = server.stop(sig)
    assert code == 0
    known = int(re.search(r"At the end (\d+) installations", server.output)[1])
    assert came["accepted"] == known > 0


def test_a_restart_through_a_socket_that_stays_open_loses_no_connection(start):
    """As systemd hands it over: the listener outlives each server."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener:
        port = listener.getsockname()[1]
        handed = {"inherited": listener.fileno(), "port": port}
        first = start(**handed).wait_until_ready()
        with storm(first) as came:
            first.stop(signal.SIGTERM)
            second = start(**handed).wait_until_ready()
            second.wait_until(lambda: second.stats()["instances"] > 5 * CLIENTS)
        assert came["cut off"] == 0
        assert second.stats()["warming_up"] is True


def test_a_reload_begins_to_count_anew_and_says_since_when(start):
    server = start("-c", "tests/server/instrumented.conf.py", wsgi="tests.server.instrumented")
    server.wait_until_ready()
    server.post(report())
    (before,) = server.workers()
    os.kill(server.master, signal.SIGHUP)
    server.wait_for(f"Worker exiting (pid: {before})")
    assert server.stats()["instances"] == 0
    assert server.stats()["warming_up"] is True


def test_a_worker_that_is_killed_is_replaced_and_counts_anew(start):
    """As the kernel does when memory runs out."""
    server = start().wait_until_ready()
    server.post(report())
    (killed,) = server.workers()
    os.kill(killed, signal.SIGKILL)
    server.wait_for("Booting worker")
    server.wait_until(lambda: server.workers() not in ([killed], []))
    server.wait_until_ready()
    assert server.stats()["instances"] == 0
    assert server.stats()["warming_up"] is True
    assert "Traceback" not in server.output
