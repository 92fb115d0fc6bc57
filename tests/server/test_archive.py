"""The line for cron, the timer and the workflow that save the days, run as they are written."""

import http.server
import re
import shlex
import subprocess
import threading

import pytest
import yaml

from tests.server.test_proxies import Echo
from tests.servers import ROOT, free_port, needs

CSV = b"day,breakdown,name,count\n2026-03-09,instances,,3\n"
FILE, SECOND = "2026-03-10T001700.csv", "2026-03-10T120000.csv"
URL = "http://127.0.0.1:8000/stats/archive.csv"
FAILURES = ["down", "an error", "half a file"]


def cron_line():
    """Return the command of the crontab in OPERATING.md, in which % is written as \\%."""
    (crontab,) = re.findall(r"```crontab\n(.*)\n```", (ROOT / "OPERATING.md").read_text())
    return crontab.split(maxsplit=5)[5].replace(r"\%", "%")


def unit_line():
    """Return the command of the unit, in which systemd reads $$ as $ and %% as %."""
    unit = (ROOT / "deploy" / "headcount-archive.service").read_text()
    (folder,) = re.findall("^WorkingDirectory=(.*)$", unit, re.MULTILINE)
    (command,) = re.findall("^ExecStart=/bin/sh -c (.*)$", unit, re.MULTILINE)
    return f"cd {folder} && {shlex.split(command)[0].replace('$$', '$').replace('%%', '%')}"


def workflow_lines():
    """Return the commands of the workflow, after a clone of the repository."""
    workflow = yaml.safe_load((ROOT / "deploy" / "archive.yml").read_text())
    steps = workflow["jobs"]["archive"]["steps"][1:]
    lines = "\n".join(step["run"] for step in steps)
    return "set -e; cd /srv/history\n" + lines.replace("https://count.example.org", URL[:-18])


class Days(http.server.BaseHTTPRequestHandler):
    """Responds as a server that works or that has the failure of `server.failure`.

    It calls what is in `server.meanwhile` while it sends the body of its first response.
    """

    def do_GET(self):
        assert self.path == "/stats/archive.csv"
        failure = self.server.failure
        self.send_response(503 if failure == "an error" else 200)
        self.send_header("Content-Length", str(len(CSV) + (failure == "half a file")))
        self.end_headers()
        self.wfile.write(CSV[:9])
        if self.server.meanwhile:
            self.server.meanwhile.pop()()
        self.wfile.write(CSV[9:])

    log_message = Echo.log_message


@pytest.fixture
def days():
    needs("curl", "curl")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Days) as server:
        server.failure, server.meanwhile = "", []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def save(line, folder, port, failure="", name=FILE):
    """Run a command at the time that a name says; return whether it succeeded."""
    port = free_port() if failure == "down" else port
    line = line.replace("127.0.0.1:8000", f"127.0.0.1:{port}").replace("/srv/history", str(folder))
    time = name.removesuffix(".csv")
    script = f"date() {{ [ '-u +%FT%H%M%S' = \"$*\" ] && echo {time}; }}; {line}"
    result = subprocess.run(["sh", "-c", script], cwd="/", check=False, capture_output=True)
    return result.returncode == 0


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".git"}


@pytest.mark.parametrize("line", [cron_line, unit_line])
def test_a_run_adds_a_file_or_reports_a_failure_and_changes_no_other(days, line, tmp_path):
    before = {FILE: b"days before a restart"}
    (tmp_path / FILE).write_bytes(before[FILE])
    for failure in FAILURES:
        days.failure = failure
        assert not save(line(), tmp_path, days.server_port, failure, SECOND)
        assert content(tmp_path) == before
    days.failure = ""
    assert not save(line(), tmp_path / "missing", days.server_port)
    assert content(tmp_path) == before
    assert save(line(), tmp_path, days.server_port, name=SECOND)
    assert content(tmp_path) == before | {SECOND: CSV}


@pytest.mark.parametrize("line", [cron_line, unit_line])
def test_two_runs_at_once_save_two_whole_files(days, line, tmp_path):
    days.meanwhile = [lambda: save(line(), tmp_path, days.server_port, name=SECOND)]
    assert save(line(), tmp_path, days.server_port)
    assert content(tmp_path) == {FILE: CSV, SECOND: CSV}


def git(folder, *arguments):
    command = ["git", "-C", folder, "-c", "init.defaultBranch=main", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_workflow_commits_each_file_and_nothing_after_a_failure(days, tmp_path):
    public, clone = tmp_path / "public", tmp_path / "clone"
    git(tmp_path, "init", "--bare", public)
    git(tmp_path, "clone", public, clone)
    for failure, name in (*((each, FILE) for each in (*FAILURES, "")), ("", SECOND)):
        days.failure = failure
        assert save(workflow_lines(), clone, days.server_port, failure, name) == (not failure)
    assert git(public, "log", "--format=%s", "main") == 2 * "Add a day\n"
    assert git(public, "show", f"main:history/{FILE}").encode() == CSV
