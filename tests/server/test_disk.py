"""Nothing on disk: no process opens a regular file for writing, and none creates or renames one."""

import os
import re
import resource
import signal

import pytest

from tests.servers import ID, needs, report

PAGES = ("/", "/docs", "/stats", "/stats?app=1", "/badge", "/badge.json", "/readyz", "/nothing")
STYLE = "/static/collector/page.css"
# The only paths that the promise exempts.
EXEMPT = re.compile(
    r"/dev/null"
    r"|/dev/shm/wgunicorn-\w+"  # gunicorn's heartbeat, in memory
    r"|.*/__pycache__(/[^/]+\.pyc[.\d]*)?"  # Python's own compiled modules
)
CREATING = (
    "creat,mkdir,mkdirat,mknod,mknodat,link,linkat,symlink,symlinkat,rename,renameat,renameat2"
)
OPENING = "open,openat,openat2"
WRITING = re.compile(r"O_(WRONLY|RDWR|CREAT|APPEND|TRUNC|TMPFILE)")


def use(server):
    """Send every kind of request, valid and invalid."""
    assert server.post(report(ID)).status == 201
    assert server.post({"id": "x"}).status == 400
    assert server.post("x" * 5000).status == 413
    assert server.post({"id": ID}, "/forget").status == 204
    assert server.request("POST", "/", "x").status == 415
    for page in (*PAGES, STYLE):
        for method in ("GET", "HEAD", "PUT"):
            assert server.request(method, page).status < 500
    with server.connect() as connection:
        connection.sendall(b"garbage\r\n\r\n")
        connection.recv(65536)


def reload(server):
    """Replace the worker."""
    old = server.workers()
    os.kill(server.master, signal.SIGHUP)
    server.wait_until(lambda: not set(old) & set(server.workers()))
    assert server.post(report(ID)).status == 201


def written(trace):
    """Return the paths that a trace shows as opened for writing, created or renamed."""
    paths = []
    for call, arguments in re.findall(r"^\d+ +(\w+)\((.*)", trace, re.MULTILINE):
        if call not in OPENING.split(",") or WRITING.search(arguments):
            paths += re.findall(r'"((?:[^"\\]|\\.)*)"', arguments)
    return paths


def test_every_kind_of_write_is_found_in_a_trace():
    trace = (
        '1 openat(AT_FDCWD, "/read", O_RDONLY|O_CLOEXEC) = 3\n'
        '1 openat(AT_FDCWD, "/written", O_WRONLY|O_CREAT, 0666 <unfinished ...>\n'
        '12  openat(AT_FDCWD, "/tmp", O_RDWR|O_TMPFILE, 0600) = 3\n'
        '1 rename("/a", "/b") = 0\n'
    )
    assert written(trace) == ["/written", "/tmp", "/a", "/b"]


def test_the_server_writes_no_regular_file(start, tmp_path):
    needs("strace", "strace")
    trace = tmp_path / "trace"
    under = ("strace", "-f", "-qq", "-s", "4096", "-o", str(trace))
    server = start(under=(*under, "-e", f"trace={OPENING},{CREATING}"))
    server.wait_until_ready()
    use(server)
    reload(server)
    server.stop()
    text = trace.read_text()
    assert STYLE in text
    assert [path for path in written(text) if not EXEMPT.fullmatch(path)] == []


@pytest.mark.parametrize("process", ["master", "worker"])
def test_a_crash_writes_no_core_dump(server, process):
    pid = server.master if process == "master" else server.workers()[0]
    assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
