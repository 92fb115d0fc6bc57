"""How the process starts, refuses, frees, stands still and ends."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.servers import ROOT

REPORT = {
    "id": "fdb45536-cba8-4204-b352-71fc1062fd95",
    "version": {"app": "1", "sha": "x", "image": None, "arch": "arm"},
}


def test_one_line_says_what_it_serves_where_and_for_how_long(start):
    server = start(PROJECT_NAME="Something", RETENTION_DAYS="30").wait_until_ready()
    (line,) = [line for line in server.output.splitlines() if "Headcount" in line]
    assert "installations of Something" in line
    assert f"http://0.0.0.0:{server.port}" in line
    assert "30 days" in line


@pytest.mark.parametrize(
    ("arguments", "environ"),
    [
        (["--workers", "2"], {}),
        ([], {"WEB_CONCURRENCY": "2"}),
        ([], {"GUNICORN_CMD_ARGS": "--workers=3"}),
    ],
)
def test_a_second_worker_is_refused(start, arguments, environ):
    server = start(*arguments, **environ)
    assert server.wait_until_ended() == 1
    assert "workers are refused" in server.output
    assert "memory of one process" in server.output
    assert "Traceback" not in server.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--max-requests", "9"], "has forgotten everything"),
        (["--timeout", "30"], "has forgotten everything"),
        (["--reload"], "has forgotten everything"),
        (["--worker-class", "gthread"], "slow clients would stall"),
        (["--keep-alive", "0"], "slow clients would stall"),
        (["--workers", "0"], "0 workers are refused"),
        (["--worker-tmp-dir", "/tmp"], "nothing is written to disk"),
        (["--pid", "TEMPORARY/headcount.pid"], "nothing is written to disk"),
        (["--access-logfile", "/dev/full"], "Log files are refused"),
        (["--logger-class", "gunicorn.glogging.Logger"], "logger_class is refused"),
    ],
)
def test_what_would_break_a_promise_is_refused(start, arguments, sentence, tmp_path):
    # gunicorn makes a pid file before it asks whether to start.
    server = start(*(argument.replace("TEMPORARY", str(tmp_path)) for argument in arguments))
    assert server.wait_until_ended() == 1
    assert sentence in server.output
    assert "Traceback" not in server.output


def test_it_is_refused_at_a_reload_too(start, tmp_path):
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text((ROOT / "gunicorn.conf.py").read_text())
    server = start("-c", str(conf)).wait_until_ready()
    with conf.open("a") as file:
        file.write("\nworkers = 2\n")
    server.process.send_signal(signal.SIGHUP)
    assert server.wait_until_ended() == 1
    assert "2 workers are refused" in server.output
    assert "Traceback" not in server.output


def test_files_that_were_not_collected_are_missed_at_the_start(start, tmp_path):
    server = start(STATIC_ROOT=str(tmp_path))
    assert server.wait_until_ended() == 1
    assert "run `manage.py collectstatic`" in server.output


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"RETENTION_DAYS": "soon"}, "RETENTION_DAYS is 'soon'"),
        ({"HIDE_APP": "("}, "HEADCOUNT_HIDE has no regular expression for app"),
        ({"DOCS_URL": "example.org"}, "HEADCOUNT_DOCS_URL is 'example.org'"),
    ],
)
def test_a_wrong_setting_stops_the_start(start, environ, sentence):
    server = start(**environ)
    assert server.wait_until_ended() > 0
    assert sentence in server.output
    assert "Traceback" not in server.output


def test_a_second_worker_is_refused_while_it_runs(start):
    server = start().wait_until_ready()
    server.post(REPORT)
    workers = server.workers()
    server.process.send_signal(signal.SIGTTIN)
    server.wait_for("workers are refused")
    assert server.workers() == workers
    assert server.stats()["instances"] == 1


def test_a_second_server_on_the_same_socket_is_refused(start):
    server = start().wait_until_ready()
    server.post(REPORT)
    server.process.send_signal(signal.SIGUSR2)
    server.wait_for("A second server beside the first (SIGUSR2) is refused")
    for _ in range(20):
        assert server.stats()["instances"] == 1


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM], ids=lambda sig: sig.name)
@pytest.mark.parametrize("connections", [0, 20])
def test_an_idle_server_ends_within_two_seconds(start, sig, connections):
    server = start().wait_until_ready()
    kept = [server.connect() for _ in range(connections)]  # as a proxy in front keeps them
    for connection in kept:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in connection.recv(65536)
    code, took = server.stop(sig)
    for connection in kept:
        connection.close()
    assert code == 0
    assert took < 2


def test_a_machine_that_stood_still_forgets_nothing(start):
    """Two minutes pass for the server's heartbeat: its file is set back by that much."""
    server = start().wait_until_ready()
    server.post(REPORT)
    (worker,) = server.workers()
    os.kill(worker, signal.SIGSTOP)
    for heartbeat in heartbeats(server.process.pid):
        long_ago = time.monotonic() - 120
        os.utime(heartbeat, (long_ago, long_ago))
    time.sleep(2)  # two of gunicorn's looks at the heartbeat
    os.kill(worker, signal.SIGCONT)
    assert server.stats()["instances"] == 1
    assert server.workers() == [worker]


def heartbeats(pid):
    """The open heartbeat files of a gunicorn."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        if "wgunicorn" in str(descriptor.readlink()):
            assert str(descriptor.readlink()).startswith("/dev/shm/")
            yield descriptor
