"""How the process starts, what it refuses, and how it stops."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.servers import ROOT, report


def test_startup_logs_what_is_counted_for_how_long_and_where_to_look(start):
    server = start(PROJECT_NAME="Something", RETENTION_DAYS="30").wait_until_ready()
    (line,) = [line for line in server.output.splitlines() if "Headcount" in line]
    assert "instances of Something" in line
    assert "30 days" in line
    assert "A restart loses all reports" in line
    assert f"The numbers are at http://0.0.0.0:{server.port}/dashboard" in server.output


ONE_WORKER = "The reports are in the memory of one process"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("--workers 2", f"workers 2 is refused. {ONE_WORKER}"),
        ("--logger-class gunicorn.glogging.Logger", "logger_class is refused"),
        ("--pid WRITTEN", "pidfile is refused"),
        ("--error-logfile WRITTEN", "errorlog is refused"),
        ("--access-logfile WRITTEN", "accesslog is refused"),
        ("--log-config LOG_INI", "logconfig is refused"),
    ],
)
def test_an_option_that_breaks_a_promise_aborts_startup_and_leaves_no_file(
    start, tmp_path, arguments, sentence
):
    """`tests/unit/deployment/test_options.py` has all options."""
    written, log_ini = tmp_path / "written", tmp_path / "log.ini"
    log_ini.write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=file\n[formatters]\nkeys=\n"
        "[logger_root]\nhandlers=file\n[handler_file]\nclass=FileHandler\n"
        f"args=({str(written)!r},)\n"
    )
    arguments = arguments.replace("WRITTEN", str(written)).replace("LOG_INI", str(log_ini))
    server = start(*arguments.split())
    server.assert_refuses_to_start(sentence)
    assert not written.exists()


def test_the_application_refuses_a_gunicorn_that_has_not_read_its_configuration(start):
    server = start("-c", "/dev/null")
    assert server.wait_until_ended() > 0
    assert "gunicorn has not read gunicorn.conf.py" in server.output


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"GUNICORN_CMD_ARGS": "--workers=3"}, ONE_WORKER),
        ({"STATIC_ROOT": "/nonexistent"}, "Run `manage.py collectstatic`"),
        ({"RETENTION_DAYS": "soon"}, "RETENTION_DAYS is 'soon'"),
        (
            {"CONFIG_FILE": "nowhere.toml"},
            "CONFIG_FILE is 'nowhere.toml'. The configuration file cannot be read: No such file",
        ),
        ({"CONFIG_FILE": "pyproject.toml"}, "The configuration has the key 'build-system'"),
        ({"DOCS_URL": "example.org"}, "HEADCOUNT_DOCS_URL is 'example.org'"),
    ],
)
def test_an_invalid_environment_aborts_startup(start, environ, sentence):
    start(**environ).assert_refuses_to_start(sentence)


def test_a_configuration_that_became_invalid_stops_the_server_at_a_reload(start, tmp_path):
    conf = tmp_path / "gunicorn.conf.py"
    conf.write_text((ROOT / "gunicorn.conf.py").read_text())
    server = start("-c", str(conf)).wait_until_ready()
    with conf.open("a") as file:
        file.write(f"\nworkers = 2\nerrorlog = {str(tmp_path / 'written')!r}\n")
    server.process.send_signal(signal.SIGHUP)
    server.assert_refuses_to_start("is refused")
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize(
    ("sig", "sentence"),
    [
        (signal.SIGTTIN, "2 workers are refused"),
        (signal.SIGUSR2, "A second server beside the first (SIGUSR2) is refused"),
    ],
    ids=["SIGTTIN", "SIGUSR2"],
)
def test_a_signal_that_would_start_a_second_worker_changes_nothing(start, sig, sentence):
    server = start().wait_until_ready()
    server.post(report())
    workers = server.workers()
    server.process.send_signal(sig)
    server.wait_for(sentence)
    assert set(workers) <= set(server.workers())
    for _ in range(20):
        assert server.stats()["instances"] == 1


@pytest.mark.timed
@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM], ids=lambda sig: sig.name)
@pytest.mark.parametrize("connections", [0, 20])
def test_an_idle_server_stops_within_two_seconds(start, sig, connections):
    server = start().wait_until_ready()
    idle = [server.connect() for _ in range(connections)]  # as a proxy in front holds them
    for connection in idle:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b" 200 " in connection.recv(65536)
    code, took = server.stop(sig)
    for connection in idle:
        connection.close()
    assert code == 0
    assert took < 2


def test_a_worker_that_stood_still_for_two_minutes_loses_no_reports(start):
    """As when the machine sleeps. The heartbeat file is set back by two minutes."""
    server = start().wait_until_ready()
    server.post(report())
    (worker,) = server.workers()
    os.kill(worker, signal.SIGSTOP)
    for heartbeat in heartbeats(server.process.pid):
        long_ago = time.monotonic() - 120
        os.utime(heartbeat, (long_ago, long_ago))
    time.sleep(2)  # gunicorn looks at the heartbeat once a second
    os.kill(worker, signal.SIGCONT)
    assert server.stats()["instances"] == 1
    assert server.workers() == [worker]


def heartbeats(pid):
    """Yield the open heartbeat files of a gunicorn process."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        if "wgunicorn" in str(descriptor.readlink()):
            assert str(descriptor.readlink()).startswith("/dev/shm/")
            yield descriptor
