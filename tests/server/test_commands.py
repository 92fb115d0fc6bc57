"""The commands in the docs and the README, run as they are written there."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request

import pytest

from collector.docs import rendering as docs
from tests.servers import ID, ROOT, free_port, needs, report

DATES = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\dZ)?")
ADDRESS = "127.0.0.77"
URL = "http://127.0.0.1:8000"
README = (ROOT / "README.md").read_text()


def consoles(text):
    """Yield each command of the console blocks, with the output printed below it."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = command.splitlines()
            continued = [index for index, line in enumerate(lines) if line.startswith("  ")]
            end = max(continued, default=0) + 1
            yield "\n".join(lines[:end]), "\n".join(lines[end:]).strip()


def shell_block(text):
    """Return the only shell block of the docs that contains a text."""
    blocks = re.findall(r"^```sh\n(.*?)^```", docs.markdown("docs"), re.MULTILINE | re.DOTALL)
    (block,) = [block for block in blocks if text in block]
    return block


def run(command):
    return subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=60, check=True
    ).stdout.strip()


@pytest.mark.parametrize(
    ("source", "fewest"),
    [(lambda: docs.markdown("docs"), 10), (lambda: README, 2)],
    ids=["docs", "README"],
)
def test_every_curl_command_prints_the_documented_output(start, source, fewest):
    needs("curl", "curl")
    server = start().wait_until_ready()
    commands = list(consoles(source()))
    assert len(commands) >= fewest
    for command, output in commands:
        assert URL in command
        here = f"http://127.0.0.1:{server.port}"
        printed = run(command.replace(URL, here)).replace(here, URL)
        expected = "".join(DATES.sub("<date>", output).split()).split("…")
        pattern = ".*".join(map(re.escape, expected))
        assert re.fullmatch(pattern, "".join(DATES.sub("<date>", printed).split())), command


def test_the_python_lines_of_the_readme_report(start, tmp_path):
    server = start().wait_until_ready()
    (lines,) = re.findall("^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    shutil.copy(ROOT / "clients" / "reporter.py", tmp_path)
    program = lines.replace(URL, f"http://{server.address}")
    environ = {"PATH": os.environ["PATH"]}  # without CI, which would switch reporting off
    command = [sys.executable, "-W", "error", "-c", program]
    subprocess.run(command, cwd=tmp_path, env=environ, timeout=60, check=True)
    assert server.stats()["versions"] == {"1.4.0": 1}


def test_the_documented_receiver_prints_what_an_instance_sends():
    receiver = shell_block("9000")
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
            urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            assert error.code == 403
            break
        except urllib.error.URLError:
            assert program.poll() is None
    program.terminate()
    printed, _ = program.communicate(timeout=60)
    assert printed.startswith("POST / HTTP/1.1")
    assert body.decode() in printed


@pytest.fixture
def clone(tmp_path):
    """A clone in which the first command of the README was run."""
    for name in ("collector", "tracking_site", "gunicorn.conf.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def run_check(start, clone, commands):
    """Start a server with the first command, use and stop it; return what the others print."""
    serve, *others = commands.splitlines()
    server = start(command=["bash", "-c", serve], cwd=clone).wait_until_ready()
    assert server.post(report(ID)).status == 201
    with server.connect(ADDRESS) as connection:
        connection.sendall(f"{ID} /{ID} HTTP/1.1\r\n\r\n".encode())
        assert b" 400 " in connection.recv(65536)
    server.stop()
    return [
        subprocess.run(["bash", "-c", line], cwd=clone, capture_output=True, check=False)
        for line in others
    ]


def assert_finds_nothing(grep):
    assert (grep.returncode, grep.stdout, grep.stderr) == (1, b"", b"")


def test_the_documented_check_of_the_disk_finds_writes_but_none_of_ours(start, clone):
    needs("strace", "strace")
    commands = shell_block("strace")
    (grep,) = run_check(start, clone, commands)
    assert_finds_nothing(grep)
    for call in ('openat(AT_FDCWD, "/new", O_WRONLY', 'mkdir("/new"', 'rename("/new"'):
        (clone / "trace.txt").write_text(f"1 {call}\n")
        grep = ["bash", "-c", commands.splitlines()[1]]
        assert b"/new" in subprocess.run(grep, cwd=clone, capture_output=True, check=True).stdout


def test_the_documented_check_on_a_read_only_root_succeeds(start, clone):
    needs("bwrap", "bubblewrap")
    assert run_check(start, clone, shell_block("bwrap")) == []


def test_the_documented_check_of_the_logs_finds_no_one(start, clone):
    needs("curl", "curl")
    serve, requests, search = map(shell_block, ("--access-logfile", "--interface", "grep -E 'fdb"))
    server = start(command=["bash", "-c", serve], cwd=clone).wait_until_ready()
    assert requests.count(URL) == requests.count(ADDRESS) == 2
    run(requests.replace(URL, f"http://{server.address}"))
    server.stop()
    grep = ["bash", "-c", search]
    assert_finds_nothing(subprocess.run(grep, cwd=clone, capture_output=True, check=False))
    printed = (clone / "printed.txt").read_text()
    assert "Headcount counts" in printed
    for named in (ID, ADDRESS):
        (clone / "printed.txt").write_text(f"{printed}{named}\n")
        assert subprocess.run(grep, cwd=clone, capture_output=True, check=True).stdout
