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
from tests.servers import ID, ROOT, free_port, needs

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


def test_the_documented_check_of_the_logs_finds_no_one(start, clone):
    needs("curl", "curl")
    serve, requests, search = map(shell_block, ("--access-logfile", "--interface", "grep -E 'fdb"))
    server = start(command=["bash", "-c", serve], cwd=clone).wait_until_ready()
    assert requests.count(URL) == requests.count(ADDRESS) == 2
    run(requests.replace(URL, f"http://{server.address}"))
    server.stop()
    grep = ["bash", "-c", search]
    found = subprocess.run(grep, cwd=clone, capture_output=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (1, b"", b"")
    printed = (clone / "printed.txt").read_text()
    assert "Headcount counts" in printed
    for named in (ID, ADDRESS):
        (clone / "printed.txt").write_text(f"{printed}{named}\n")
        assert subprocess.run(grep, cwd=clone, capture_output=True, check=True).stdout
