"""The clients with the real server, and with servers that misbehave."""

import contextlib
import functools
import http.client
import itertools
import json
import os
import re
import shlex
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import uuid
from types import SimpleNamespace

import pytest

from clients import reporter as client
from clients.reporter import BROKEN, DAYS, ID, LOST, SENT, SLOT, WAITING, Reporter
from collector.docs.rendering import markdown
from tests.servers import ROOT, free_port, needs

REPORTER = ROOT / "clients" / "reporter.py"
DAY = 86_400
DEADLINE = 0.3  # seconds
SLACK = 5  # seconds that a busy machine may take in addition
UNREACHED = 20  # seconds; a deadline for requests that must succeed
PATH = {"PATH": os.environ["PATH"]}


@pytest.fixture
def clock():
    """The clock of the clients; the server has the real one."""
    return SimpleNamespace(now=time.time())


@pytest.fixture
def opted_in(clock):
    """Return a function that makes a client whose report is due."""

    def make(server, state=None, deadline=UNREACHED, **environ):
        reporter = Reporter(
            f"http://{server.address}",
            {} if state is None else state,
            "1.2",
            environ=environ,
            clock=lambda: clock.now,
            deadline=deadline,
        )
        assert reporter.opt_in()
        clock.now += 2 * DAY
        return reporter

    return make


@pytest.fixture
def empty(server):
    """The shared server, which counts nobody. Each test leaves it like that."""
    assert server.stats()["instances"] == 0
    return server


# The real server


def test_an_instance_is_counted_once_a_day_and_erased_when_it_opts_out(opted_in, empty):
    reporter = opted_in(empty)
    assert [reporter.send(), reporter.send()] == [SENT, WAITING]
    statistics = empty.stats()
    assert (statistics["instances"], statistics["versions"]) == (1, {"1.2": 1})
    assert reporter.opt_out()
    assert empty.stats()["instances"] == 0


def test_an_instance_is_the_same_on_the_next_day_and_another_after_opting_in_again(
    opted_in, empty, clock
):
    reporter = opted_in(empty)
    reporter.send()
    clock.now += DAY
    assert reporter.send() == SENT
    assert empty.stats()["instances"] == 1
    first = json.loads(reporter.preview())["id"]
    reporter.opt_out(forget=False)
    reporter.opt_in()
    clock.now += 2 * DAY
    assert reporter.send() == SENT
    assert empty.stats()["instances"] == 2
    reporter.opt_out()
    assert empty.post({"id": first}, "/forget").status == 204


def test_the_server_does_not_print_the_id_of_a_client(opted_in, start):
    server, state = start().wait_until_ready(), {}
    opted_in(server, state).send()
    server.stop()
    assert state[ID] not in server.output


# Servers that misbehave


def response(status, body=b"", *headers):
    """Return a function that sends a whole response."""
    head = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(body)}", *headers, "", ""]
    return lambda send: send("\r\n".join(head).encode() + body)


def trickle(first):
    """Return a function that sends a byte now and then, without end."""

    def respond(send):
        send(first)
        while True:
            send(b"x")
            time.sleep(0.01)  # the pace of the server

    return respond


class MisbehavingServer(socketserver.ThreadingTCPServer):
    """Reads a request, then calls `respond` with a function that sends bytes."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, respond):
        self.respond = respond
        self.requests, self.sent, self.ended = [], 0, threading.Event()
        super().__init__(("127.0.0.1", 0), None)

    @property
    def address(self):
        return "{}:{}".format(*self.server_address)

    @property
    def lines(self):
        return [head.split(b"\r\n")[0].decode() for head, _ in self.requests]

    def finish_request(self, connection, _):
        stream = connection.makefile("rb")
        head = b"".join(iter(stream.readline, b"\r\n"))
        length = int(re.search(rb"Content-Length: (\d+)", head)[1])
        self.requests.append((head, stream.read(length)))

        def send(data):
            connection.sendall(data)
            self.sent += len(data)

        with contextlib.suppress(OSError):
            self.respond(send)
        self.ended.set()


@pytest.fixture
def misbehaving():
    """Return a function that starts a server which responds as told."""
    with contextlib.ExitStack() as stack:

        def begin(respond):
            server = MisbehavingServer(respond)
            threading.Thread(target=functools.partial(server.serve_forever, 0.01)).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return server

        yield begin


@pytest.fixture
def good(misbehaving):
    """A server that accepts every report, and records the requests."""
    return misbehaving(response(201))


def join_request_threads():
    """Wait until no thread of a client sends a request."""
    for thread in threading.enumerate():
        if thread.name == "usage-report":
            thread.join(30)
            assert not thread.is_alive()


REFUSALS = {
    "301": response(301, b"", "Location: /elsewhere"),
    "308": response(308, b"", "Location: /elsewhere"),
    "500": response(500, b"no"),
    "HTML": response(200, b"<html><h1>Log in</h1></html>", "Content-Type: text/html"),
    "no response": lambda send: None,
    "half a head": lambda send: send(b"HTTP/1.1 20"),
    "not HTTP": lambda send: send(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a head of 10 MB": lambda send: send(b"HTTP/1.1 201 Created\r\nX: " + b"x" * 10_000_000),
    "endless lines": lambda send: [send(b"X: x\r\n") for _ in itertools.count()],
}
STALLS = {
    "slow": lambda send: time.sleep(DEADLINE + SLACK),
    "a trickle": trickle(b""),
    "a trickle in the head": trickle(b"HTTP/1.1 201 Created\r\nX: "),
}
ACCEPTANCES = {
    "10 MB": response(201, b"x" * 10_000_000),
    "10 MB of HTML": response(201, b"<p>" * 3_500_000, "Content-Type: text/html"),
    "half a body": lambda send: send(b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{"),
    "a trickle in the body": trickle(b"HTTP/1.1 201 Created\r\nContent-Length: 9999\r\n\r\n"),
}


@pytest.mark.parametrize("respond", REFUSALS.values(), ids=REFUSALS)
def test_a_misbehaving_server_loses_only_the_report_of_one_day(
    opted_in, misbehaving, empty, clock, respond
):
    server, state = misbehaving(respond), {}
    reporter = opted_in(server, state)
    identifier = state[ID]
    assert [reporter.send() for _ in range(3)] == [LOST, WAITING, WAITING]
    assert server.lines == ["POST / HTTP/1.1"]  # one attempt, and no redirect followed
    assert state[ID] == identifier
    clock.now += DAY
    environ = {"USAGE_REPORTING_URL": f"http://{empty.address}"}
    repaired = Reporter("", state, environ=environ, clock=lambda: clock.now, deadline=UNREACHED)
    assert repaired.send() == SENT
    assert empty.stats()["instances"] == 1
    repaired.opt_out()


@pytest.mark.parametrize("respond", STALLS.values(), ids=STALLS)
def test_a_slow_server_is_abandoned_at_the_deadline(opted_in, misbehaving, respond):
    reporter = opted_in(misbehaving(respond), deadline=DEADLINE)
    began = time.monotonic()
    assert reporter.send() == LOST
    assert time.monotonic() - began < DEADLINE + SLACK
    assert reporter.send() == WAITING


def test_the_deadline_closes_the_connection_and_ends_the_thread(opted_in, misbehaving):
    server = misbehaving(trickle(b"HTTP/1.1 201 Created\r\nX: "))
    opted_in(server, deadline=DEADLINE).send()
    assert server.ended.wait(30)  # because its next byte was refused
    join_request_threads()


@pytest.mark.parametrize("respond", ACCEPTANCES.values(), ids=ACCEPTANCES)
def test_only_the_status_of_a_response_matters_and_little_is_read(opted_in, misbehaving, respond):
    server = misbehaving(respond)
    assert opted_in(server).send() == SENT
    assert server.ended.wait(30)
    assert server.sent < 10_000_000


INVALID_URLS = (
    " ",
    "nonsense",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "http://[",
    "http://x y/",
)


@pytest.mark.parametrize("url", [*INVALID_URLS, f"http://127.0.0.1:{free_port()}"])
def test_an_invalid_url_and_a_server_that_is_down_lose_the_report_and_not_opting_out(
    opted_in, good, url
):
    reporter = opted_in(good, USAGE_REPORTING_URL=url)
    assert [reporter.send(), reporter.send()] == [LOST, WAITING]
    assert reporter.opt_out() is True
    assert not reporter.opted_in
    assert good.requests == []


def test_nothing_is_sent_if_the_dns_lookup_takes_too_long(opted_in, good, monkeypatch):
    found, look_up = threading.Event(), socket.getaddrinfo

    def slow(*arguments, **options):
        found.wait(30)
        return look_up(*arguments, **options)

    reporter = opted_in(good, deadline=DEADLINE)
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert reporter.send() == LOST
    found.set()
    join_request_threads()
    assert good.requests == []


def test_nothing_is_sent_to_a_server_without_a_trusted_certificate(opted_in, good):
    reporter = opted_in(good, USAGE_REPORTING_URL=f"https://{good.address}/")
    good.finish_request = lambda connection, _: connection.recv(1)  # it does not speak TLS
    assert reporter.send() == LOST
    assert good.requests == []


# Proxies, headers and output


@pytest.mark.parametrize(
    ("no_proxy", "line"), [("", "POST http://{}/ HTTP/1.1"), ("127.0.0.1", None)]
)
def test_the_proxy_variables_are_honored(opted_in, misbehaving, good, monkeypatch, no_proxy, line):
    proxy = misbehaving(response(201))
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert opted_in(good).send() == SENT
    assert proxy.lines == ([line.format(good.address)] if line else [])
    assert len(good.lines) == (line is None)


def test_a_request_contains_the_preview_and_nothing_about_the_machine(opted_in, good):
    reporter = opted_in(good)
    preview = reporter.preview()
    reporter.send()
    ((head, body),) = good.requests
    assert body == preview
    names = re.findall(r"^([\w-]+):", head.decode(), re.MULTILINE)
    neutral = "Accept-Encoding Connection Content-Length Content-Type Host User-Agent"
    assert sorted(names) == neutral.split()
    assert b"User-Agent: reporter.py\r\n" in head


def test_a_request_is_not_printed_even_if_the_application_prints_its_own(
    opted_in, good, monkeypatch, capfd
):
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    opted_in(good).send()
    assert "".join(capfd.readouterr()) == ""


# The command


@pytest.fixture
def due(tmp_path):
    """The state file of an instance whose report is due."""
    path = tmp_path / "usage.json"
    state = {ID: str(uuid.uuid4()), SLOT: "0", DAYS: str(int(time.time()) // DAY - 2)}
    path.write_text(json.dumps(state))
    return path


def start_command(server, state, *arguments, under=()):
    environ = {"USAGE_REPORTING_URL": f"http://{server.address}/", "USAGE_REPORTING_STATE": state}
    line = [*under, sys.executable, REPORTER, *arguments]
    return subprocess.Popen(line, env=PATH | environ, stdout=subprocess.PIPE, text=True)


def result_of(process):
    """Return the exit status and the output of a command."""
    output, _ = process.communicate(timeout=60)
    return process.returncode, output.strip()


def test_the_command_reports_once_a_day_and_opts_out(empty, due):
    results = [result_of(start_command(empty, due, "send")) for _ in range(2)]
    assert results == [(0, SENT), (0, WAITING)]
    assert empty.stats()["instances"] == 1
    assert result_of(start_command(empty, due, "opt-out"))[0] == 0
    assert empty.stats()["instances"] == 0
    assert json.loads(due.read_text()) == {}


def test_processes_that_share_a_file_send_one_report(good, due):
    processes = [start_command(good, due, "send") for _ in range(8)]
    results = [result_of(each) for each in processes]
    assert sorted(results) == sorted([(0, SENT)] + [(0, WAITING)] * 7)
    assert len(good.requests) == 1


def test_a_process_that_is_killed_while_it_sends_does_not_repeat_the_report(misbehaving, due):
    reached = threading.Event()
    server = misbehaving(lambda send: reached.set() or time.sleep(SLACK))
    process = start_command(server, due, "send")
    assert reached.wait(30)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert result_of(start_command(server, due, "send")) == (0, WAITING)
    assert len(server.requests) == 1


def test_nothing_is_sent_from_a_read_only_file_system(good, due):
    needs("bwrap", "bubblewrap")
    before = due.read_text()
    read_only = ("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")
    assert result_of(start_command(good, due, "send", under=read_only)) == (1, BROKEN)
    assert result_of(start_command(good, due, "opt-out", under=read_only))[0] == 1
    assert good.requests == []
    assert due.read_text() == before


# The code in the docs


def code(language, server, number=0, **files):
    """Return a block of code from the page, changed for a server and for files."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", markdown("clients"), re.M | re.DOTALL)
    block = blocks[number]
    for old, new in {"http://127.0.0.1:8000": f"http://{server.address}", **files}.items():
        assert old in block
        block = block.replace(old, str(new))
    return block


def run(*line, stdin=None, **environ):
    """Run a command that must succeed, and return its output."""
    options = {"capture_output": True, "text": True, "timeout": 60, "check": True}
    return subprocess.run(line, input=stdin, env=PATH | environ, **options).stdout


@pytest.fixture
def python(tmp_path):
    """Return a function that runs code beside a copy of the client."""
    (tmp_path / "reporter.py").symlink_to(REPORTER)
    return lambda code: run(sys.executable, "-c", code, PYTHONPATH=str(tmp_path))


def test_the_python_code_of_the_docs_reports(empty, due, python):
    block = code("python", empty, **{"/srv/usage.json": due})
    output = python(f"{block}print(usage.opted_in, usage.send(), usage.opt_out())\n")
    assert output == f"True {SENT} True\n"


def test_the_trial_of_the_docs_is_counted_and_erased(empty, python):
    assert python(code("python", empty, 1)) == f"True {WAITING}\n{SENT} True\n"
    assert empty.stats()["instances"] == 0


def test_the_docs_give_the_deadline_of_the_client():
    assert client.DEADLINE == 5
    assert "five seconds" in markdown("clients")


def test_no_line_of_code_in_the_docs_is_wider_than_100_characters():
    for block in re.findall(r"^```.*?^```", markdown("clients"), re.MULTILINE | re.DOTALL):
        assert max(map(len, block.splitlines())) <= 100


def test_the_crontab_line_of_the_docs_reports_once_an_hour(empty, due):
    files = {"/opt/reporter.py": shlex.quote(str(REPORTER)), "/srv/usage.json": due}
    *schedule, line = code("crontab", empty, **files).strip().split(" ", 5)
    assert schedule == ["17", "*", "*", "*", "*"]
    assert run("sh", "-c", line).strip() == SENT
    assert empty.stats()["instances"] == 1
    assert result_of(start_command(empty, due, "opt-out"))[0] == 0


@pytest.fixture
def shell(empty, tmp_path):
    """Return a function that runs the shell script of the docs."""
    needs("curl", "curl")
    script = code("sh", empty)
    home = {"HOME": str(tmp_path)}
    return lambda command, **environ: run("sh", "-s", command, stdin=script, **home | environ)


def test_the_shell_script_of_the_docs_reports_only_after_opting_in(shell, empty, tmp_path):
    assert json.loads(shell("preview"))["id"] is None
    shell("send")
    assert empty.stats()["instances"] == 0
    shell("opt-in")
    shell("opt-in")
    preview = json.loads(shell("preview", APP_VERSION="1.2"))
    assert preview["id"] == (tmp_path / ".usage-id").read_text().strip()
    shell("send", APP_VERSION="1.2", DO_NOT_TRACK="1")
    assert empty.stats()["instances"] == 0
    shell("send", APP_VERSION="1.2")
    statistics = empty.stats()
    assert statistics["versions"] == {"1.2": 1}
    assert statistics["architectures"] == {preview["version"]["arch"]: 1}
    shell("opt-out")
    assert empty.stats()["instances"] == 0
    assert json.loads(shell("preview"))["id"] is None


def test_the_shell_script_of_the_docs_succeeds_if_the_server_fails(shell, misbehaving, tmp_path):
    shell("opt-in")
    redirecting = misbehaving(REFUSALS["301"])
    for address in (redirecting.address, f"127.0.0.1:{free_port()}"):
        shell("send", USAGE_REPORTING_URL=f"http://{address}/")
    shell("opt-out", USAGE_REPORTING_URL=f"http://{address}/")
    assert redirecting.lines == ["POST / HTTP/1.1"]
    assert not (tmp_path / ".usage-id").exists()


def ruby(server, calls, **environ):
    """Run the Ruby code of the docs, and then some calls."""
    needs("ruby", "ruby")
    return run("ruby", "-e", code("ruby", server) + calls, **environ)


def test_the_ruby_code_of_the_docs_reports_and_erases(empty):
    identifier = str(uuid.uuid4())
    environ = {"APP_VERSION": "1.2", "DOCKER_TAG": "host:5000/a/b:1.2"}
    ruby(empty, "report_usage(nil)\n")
    ruby(empty, f"report_usage('{identifier}')\n", DO_NOT_TRACK="1", **environ)
    assert empty.stats()["instances"] == 0
    ruby(empty, f"report_usage('{identifier}')\n", **environ)
    statistics = empty.stats()
    assert (statistics["versions"], statistics["images"]) == ({"1.2": 1}, {"host:5000/a/b": 1})
    ruby(empty, f"forget_usage('{identifier}')\n")
    assert empty.stats()["instances"] == 0


def test_the_ruby_code_of_the_docs_succeeds_if_the_server_fails(misbehaving):
    redirecting = misbehaving(REFUSALS["301"])
    down = SimpleNamespace(address=f"127.0.0.1:{free_port()}")
    for server in (redirecting, down):
        ruby(server, f"report_usage('{uuid.uuid4()}')\n")
    assert redirecting.lines == ["POST / HTTP/1.1"]
