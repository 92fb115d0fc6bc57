"""Nothing on disk: the checks in the docs, run while a server gets requests of every kind."""

import os
import resource
import signal
import subprocess

import pytest

from tests.server.test_commands import shell_block
from tests.servers import ID, needs, report

PAGES = ("/", "/docs", "/stats", "/stats?app=1", "/badge", "/badge.json", "/readyz", "/nothing")
STYLE = "/static/collector/page.css"


def use(server):
    """Send every kind of request, valid and invalid, and replace the worker in between."""
    assert server.post({"id": "x"}).status == 400
    assert server.post("x" * 5000).status == 413
    assert server.request("POST", "/", "x").status == 415
    assert server.post(report(ID)).status == 201
    assert server.post({"id": ID}, "/forget").status == 204
    assert b" 400 " in server.exchange(b"garbage\r\n\r\n")
    old = server.workers()
    os.kill(server.master, signal.SIGHUP)
    server.wait_until(lambda: not {*old} & {*server.workers()})
    assert server.post(report(ID)).status == 201
    for page in (*PAGES, STYLE):
        for method in ("GET", "HEAD", "PUT"):
            assert server.request(method, page).status < 500


def test_the_documented_trace_finds_writes_but_none_of_ours(start, clone):
    needs("strace", "strace")
    trace, search = shell_block("strace").splitlines()
    server = start(command=["bash", "-c", trace], cwd=clone).wait_until_ready()
    use(server)
    server.stop()
    grep = ["bash", "-c", search]
    written = clone / "trace.txt"
    assert STYLE in written.read_text()
    found = subprocess.run(grep, cwd=clone, capture_output=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (1, b"", b"")
    for call in ('openat(AT_FDCWD, "/new", O_WRONLY', 'mkdir("/new"', 'rename("/new"'):
        written.write_text(f"1 {call}\n")
        assert b"/new" in subprocess.run(grep, cwd=clone, capture_output=True, check=True).stdout


def test_the_server_works_on_the_documented_read_only_root(start, clone):
    needs("bwrap", "bubblewrap")
    use(start(command=["bash", "-c", shell_block("bwrap")], cwd=clone).wait_until_ready())


@pytest.mark.parametrize("process", ["master", "worker"])
def test_a_crash_writes_no_core_dump(server, process):
    pid = server.master if process == "master" else server.workers()[0]
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
