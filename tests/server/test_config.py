"""The configuration file changes while a server runs."""

import json
import os
import signal

import pytest

from tests.server.test_faults import storm
from tests.server.test_store import SECRET
from tests.servers import ROOT, report
from tests.store.redis_server import RedisServer

# Looks thirty times a second, in the master and in the workers, and tells which process follows.
QUICK = """
from collector.config import Source
from tracking_site import limits

limits.LOOK_INTERVAL = LOOK_INTERVAL = 0.03


def look(source, look=Source.look):
    before = source.in_force
    problem = look(source)
    if source.in_force != before:
        print(f"{os.getpid()} follows {source.in_force.latest}", flush=True)
    return problem


Source.look = look
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "headcount.toml"
    path.write_text(releases("1.0.0"))
    return path


@pytest.fixture
def begin(start, file, tmp_path):
    """Start a server that follows the file quickly."""

    def begin(*arguments, extra="", **environ):
        conf = tmp_path / "gunicorn.conf.py"
        conf.write_text((ROOT / "gunicorn.conf.py").read_text() + QUICK + extra)
        return start("-c", str(conf), *arguments, CONFIG_FILE=str(file), **environ)

    return begin


def releases(name):
    return f'version = 1\n[releases]\n"{name}" = {{date = 2026-05-01}}\n'


def latest(server):
    """Return the latest release according to a receipt."""
    return json.loads(server.post(report(app="0.1.0")).content)["update"]["release"]


def follow(server, name):
    """Wait until the master and all workers use a file with this release."""
    for process in (server.master, *server.workers()):
        server.wait_for(f"{process} follows {name}\n")


def test_an_invalid_file_and_killed_workers_change_nothing(begin, file):
    store = RedisServer()
    server = begin("--workers", "2", REDIS_URL=store.url, SECRET_KEY=SECRET).wait_until_ready()
    server.wait_until(lambda: len(server.workers()) == 2)
    file.write_text(releases("2.0.0"))
    follow(server, "2.0.0")
    file.write_text("[releases")
    server.wait_for("The last valid configuration stays in force.")
    old = server.workers()
    for worker in old:
        os.kill(worker, signal.SIGKILL)
    server.wait_until(lambda: len({*server.workers()} - {*old}) == len(old))
    for worker in server.workers():
        server.wait_for(f"Booting worker with pid: {worker}")
    server.wait_for_response("/readyz")
    assert {latest(server) for _ in range(20)} == {"2.0.0"}
    metrics = server.request("GET", "/metrics").content
    assert b"headcount_config_last_reload_successful 0.0" in metrics
    file.write_text(releases("3.0.0"))
    follow(server, "3.0.0")
    assert latest(server) == "3.0.0"
    assert server.process.poll() is None
    assert "Traceback" not in server.output
    server.stop()
    store.stop()


def test_the_master_survives_any_failure_to_look(begin, file, tmp_path):
    failing = "def look(source):\n    raise KeyError('secret')\n\n\nSource.look = look\n"
    server = begin(extra=failing).wait_until_ready()
    server.wait_for("The last valid configuration stays in force: KeyError.")
    assert latest(server) == "1.0.0"
    assert "secret" not in server.output


def test_a_look_never_ends_a_server_that_stops(begin):
    extra = "LOOK_INTERVAL = 1e-4\nSource.look = lambda source: None\n"
    assert begin(extra=extra).wait_until_ready().stop()[0] == 0


def test_no_report_is_lost_while_the_file_is_edited(begin, file):
    server = begin().wait_until_ready()
    with storm(server) as outcomes:
        for number in range(2, 12):
            content = releases(f"{number}.0.0")
            with file.open("w") as half_written:  # as an editor that does not replace the file
                half_written.write(content[: number * 3])
                half_written.flush()
                server.wait_until(lambda: server.stats()["instances"] > 0)
                half_written.write(content[number * 3 :])
            follow(server, f"{number}.0.0")
    assert outcomes["cut off"] == 0
    assert server.stats()["instances"] == outcomes["accepted"]
    assert "Traceback" not in server.output
