"""The docs' and the README's commands, run as they stand there, and what they say is answered."""

import json
import re
import subprocess
import sys
import urllib.request

import pytest

from collector.docs import rendering as docs
from tests.servers import ROOT, free_port, needs

DATES = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?")
ADDRESS = "127.0.0.77"
ID = "fdb45536-cba8-4204-b352-71fc1062fd95"
URL = "http://127.0.0.1:8000"


def consoles(text):
    """Each command of the console blocks, with the answer printed under it."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = command.splitlines()
            unfinished = [index for index, line in enumerate(lines) if line.startswith("  ")]
            end = max(unfinished, default=0) + 1
            yield "\n".join(lines[:end]), "\n".join(lines[end:]).strip()


def shapes(text):
    """A text without its moments."""
    return DATES.sub("<date>", text)


def run(command):
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("source", "fewest"),
    [(lambda: docs._filled("docs"), 10), ((ROOT / "README.md").read_text, 2)],
    ids=["docs", "README"],
)
def test_the_curl_lines_answer_as_they_say(start, source, fewest):
    needs("curl", "curl")
    server = start().wait_until_ready()
    commands = list(consoles(source()))
    assert len(commands) >= fewest
    for command, answer in commands:
        assert URL in command
        here = f"http://127.0.0.1:{server.port}"
        printed = run(command.replace(URL, here)).replace(here, URL)
        assert shapes(printed) == shapes(answer), command


def blocks(heading):
    """The shell blocks of a section of the docs."""
    section = docs._filled("docs").split(f"## {heading}")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


def test_the_receiver_prints_what_is_sent():
    (receiver,) = blocks("How do I see what my installation sends?")
    port = free_port()
    program = subprocess.Popen(
        ["bash", "-c", "exec " + receiver.replace("9000", str(port))],
        stdout=subprocess.PIPE,
        text=True,
    )
    body = json.dumps({"id": ID}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", body, method="POST")
    while True:
        try:
            assert urllib.request.urlopen(request, timeout=60).status == 201
            break
        except urllib.error.URLError:
            assert program.poll() is None
    program.terminate()
    printed, _ = program.communicate(timeout=60)
    assert printed.startswith("POST / HTTP/1.1")
    assert body.decode() in printed


def test_the_job_that_keeps_history_adds_a_day(start, tmp_path):
    needs("curl", "curl")
    server = start(
        "-c", "tests/server/instrumented.conf.py", wsgi="tests.server.instrumented"
    ).wait_until_ready()
    server.post({"id": ID, "version": {"app": "1", "sha": "x"}})
    server.request("POST", "/instrument/forward", "1")
    (job,) = [block for block in blocks("How do I ask it?") if "history.csv" in block]
    job = job.replace("/srv/history", str(tmp_path)).replace("127.0.0.1:8000", server.address)
    git = "git init -q; git config user.name x; git config user.email x@example.org;"
    yesterday = 'date() { [ "$*" = "-u -d yesterday +%F" ] && echo 2026-03-10; };'
    run(f"cd {tmp_path}; {git} {yesterday} set -e; {job}")
    kept = run(f"cd {tmp_path}; git show HEAD:history.csv")
    assert kept.startswith("2026-03-10,instances,,1\n")
    assert kept.count("\n") == 8


@pytest.fixture
def clone(tmp_path):
    """What a clone has in which the README's first command was run."""
    for name in ("collector", "tracking_site", "gunicorn.conf.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def checked(start, clone, commands):
    """Start a server by the first command, use it, end it; what the others print."""
    serve, *look = commands.splitlines()
    server = start(command=["bash", "-c", serve], cwd=clone).wait_until_ready()
    assert server.post({"id": ID, "version": {"app": "1", "sha": "x"}}).status == 201
    with server.connect(ADDRESS) as connection:
        connection.sendall(f"{ID} /{ID} HTTP/1.1\r\n\r\n".encode())
        assert b" 400 " in connection.recv(65536)
    server.stop()
    return [
        subprocess.run(["bash", "-c", line], cwd=clone, capture_output=True, check=False)
        for line in look
    ]


def test_checking_that_nothing_is_on_disk(start, clone):
    needs("strace", "strace")
    (found,) = checked(start, clone, blocks("How do I check this server?")[0])
    assert (found.returncode, found.stdout, found.stderr) == (1, b"", b"")
    grep = ["bash", "-c", blocks("How do I check this server?")[0].splitlines()[1]]
    for call in ('openat(AT_FDCWD, "/kept", O_WRONLY', 'mkdir("/kept"', 'rename("/kept"'):
        (clone / "trace.txt").write_text(f"1 {call}\n")
        assert b"/kept" in subprocess.run(grep, cwd=clone, capture_output=True, check=True).stdout


def test_checking_that_it_runs_where_nothing_can_be_written(start, clone):
    needs("bwrap", "bubblewrap")
    assert checked(start, clone, blocks("How do I check this server?")[1]) == []


def test_checking_that_nobody_is_in_the_logs(start, clone):
    search = blocks("How do I check this server?")[2]
    search = search.replace("YOUR-ID", ID).replace("YOUR-ADDRESS", ADDRESS.replace(".", "[.]"))
    (found,) = checked(start, clone, search)
    assert (found.returncode, found.stdout, found.stderr) == (1, b"", b"")
    assert "Headcount counts" in (clone / "printed.txt").read_text()


def test_the_alert_rule_is_one_that_prometheus_takes_and_that_fires(tmp_path):
    needs("promtool", "prometheus")
    (rule,) = re.findall(r"^```yaml\n(.*?)^```", docs._filled("docs"), re.MULTILINE | re.DOTALL)
    (tmp_path / "rules.yaml").write_text(rule)
    fired = "[{exp_annotations: {summary: No installation of Manyfold has reported for a day.}}]"
    (tmp_path / "test.yaml").write_text(
        f"""
rule_files: [rules.yaml]
tests:
  - interval: 1h
    input_series:
      - {{series: headcount_since_timestamp_seconds, values: "0x100"}}
      - {{series: headcount_last_report_timestamp_seconds, values: "0x30 108000x70"}}
    alert_rule_test:
      - {{eval_time: 24h, alertname: NoReportForADay, exp_alerts: []}}
      - eval_time: 25h
        alertname: NoReportForADay
        exp_alerts: {fired}
      - {{eval_time: 31h, alertname: NoReportForADay, exp_alerts: []}}
      - {{eval_time: 54h, alertname: NoReportForADay, exp_alerts: []}}
      - eval_time: 55h
        alertname: NoReportForADay
        exp_alerts: {fired}
"""
    )
    run(f"cd {tmp_path} && promtool check rules rules.yaml && promtool test rules test.yaml")
