"""The clients against the real server, and against servers that misbehave."""

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

from clients.reporter import BROKEN, DAYS, ID, LOST, SENT, SLOT, WAITING, Reporter
from clients.reporter import DEADLINE as DEADLINE_AS_SHIPPED
from collector.docs import rendering
from tests.servers import ROOT, free_port, needs

REPORTER = ROOT / "clients" / "reporter.py"
DAY = 86_400
DEADLINE = 0.3  # seconds
SLACK = 5  # more seconds that a busy machine may take
LONG_DEADLINE = 20  # never reached
CREATED = b"HTTP/1.1 201 Created\r\n"


@pytest.fixture
def clock():
    """The clock of the clients; the server has the real one."""
    return SimpleNamespace(now=time.time())


@pytest.fixture
def opted_in(clock):
    """Make a reporter whose report is due."""

    def make(server, state=None, deadline=LONG_DEADLINE, **environ):
        url, options = f"http://{server.address}", {"environ": environ, "deadline": deadline}
        state = {} if state is None else state
        reporter = Reporter(url, state, "1.2", clock=lambda: clock.now, **options)
        assert reporter.opt_in()
        clock.now += 2 * DAY
        return reporter

    return make


@pytest.fixture
def fresh(server):
    """The server without reports; each test erases its own."""
    assert server.stats()["instances"] == 0
    yield server
    assert server.stats()["instances"] == 0


# The real server


def test_a_reporter_is_counted_until_it_opts_out(opted_in, fresh, clock):
    reporter = opted_in(fresh)
    assert [reporter.send(), reporter.send()] == [SENT, WAITING]
    clock.now += DAY
    assert reporter.send() == SENT
    stats = fresh.stats()
    assert (stats["instances"], stats["versions"]) == (1, {"1.2": 1})
    assert reporter.opt_out()


def test_opting_in_again_counts_as_another_instance(opted_in, fresh, clock):
    reporter = opted_in(fresh)
    reporter.send()
    first = json.loads(reporter.preview())["id"]
    reporter.opt_out(forget=False)
    reporter.opt_in()
    clock.now += 2 * DAY
    assert reporter.send() == SENT
    assert fresh.stats()["instances"] == 2
    reporter.opt_out()
    assert fresh.post({"id": first}, "/forget").status == 204


def test_the_server_prints_no_id(opted_in, start):
    server, state = start().wait_until_ready(), {}
    opted_in(server, state).send()
    server.stop()
    assert state[ID] not in server.output


# Servers that misbehave


def answer(status, body=b"", *headers):
    """Send a complete answer."""
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
    return lambda send: send("\r\n".join(head).encode() + body)


def trickle(start):
    """Send a byte now and then, without end."""

    def respond(send):
        send(start)
        while True:
            send(b"x")
            time.sleep(0.01)  # the server's pace

    return respond


class Misbehaving(socketserver.ThreadingTCPServer):
    """Reads each request, and then does what `respond` does."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, respond):
        self.respond = respond
        self.requests, self.sent, self.finished = [], 0, threading.Event()
        super().__init__(("127.0.0.1", 0), None)

    @property
    def address(self):
        return "{}:{}".format(*self.server_address)

    @property
    def lines(self):
        return [request.split(b"\r\n")[0].decode() for request, _ in self.requests]

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
        self.finished.set()


@pytest.fixture
def misbehaving():
    """Start servers that respond as given."""
    with contextlib.ExitStack() as stack:

        def begin(respond):
            server = Misbehaving(respond)
            threading.Thread(target=functools.partial(server.serve_forever, 0.01)).start()
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return server

        yield begin


def wait_for_threads():
    for thread in threading.enumerate():
        if thread.name == "usage-report":
            thread.join(30)
            assert not thread.is_alive()


FAILING = {
    "301": answer(301, b"", "Location: /elsewhere"),
    "308": answer(308, b"", "Location: /elsewhere"),
    "500": answer(500, b"no"),
    "HTML": answer(200, b"<html><h1>Log in</h1></html>", "Content-Type: text/html"),
    "closes early": lambda send: None,
    "closes in the head": lambda send: send(b"HTTP/1.1 20"),
    "no HTTP": lambda send: send(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a head of 10 MB": lambda send: send(CREATED + b"X: " + b"x" * 10_000_000),
    "headers without end": lambda send: [send(b"X: x\r\n") for _ in itertools.count()],
}
STALLING = {
    "slow": lambda send: time.sleep(DEADLINE + SLACK),
    "trickles": trickle(b""),
    "trickles in the head": trickle(CREATED + b"X: "),
}
ACCEPTING = {
    "10 MB": answer(201, b"x" * 10_000_000),
    "10 MB of HTML": answer(201, b"<p>" * 3_500_000, "Content-Type: text/html"),
    "a body that ends early": lambda send: send(CREATED + b"Content-Length: 99\r\n\r\n{"),
    "a body that trickles": trickle(CREATED + b"Content-Length: 9999\r\n\r\n"),
}


@pytest.mark.parametrize("respond", FAILING.values(), ids=FAILING)
def test_a_failed_report_is_tried_once_and_the_next_one_is_counted(
    opted_in, misbehaving, fresh, clock, respond
):
    server, state = misbehaving(respond), {}
    reporter = opted_in(server, state)
    known = state[ID]
    assert [reporter.send() for _ in range(3)] == [LOST, WAITING, WAITING]
    assert server.lines == ["POST / HTTP/1.1"]  # no redirect is followed
    assert state[ID] == known
    clock.now += DAY
    environ = {"USAGE_REPORTING_URL": f"http://{fresh.address}"}
    working = Reporter("", state, environ=environ, clock=lambda: clock.now, deadline=LONG_DEADLINE)
    assert working.send() == SENT
    assert fresh.stats()["instances"] == 1
    working.opt_out()


@pytest.mark.timed
@pytest.mark.parametrize("respond", STALLING.values(), ids=STALLING)
def test_a_report_ends_at_its_deadline_if_the_server_stalls(opted_in, misbehaving, respond):
    reporter = opted_in(misbehaving(respond), deadline=DEADLINE)
    began = time.monotonic()
    assert reporter.send() == LOST
    assert time.monotonic() - began < DEADLINE + SLACK
    assert reporter.send() == WAITING


def test_the_deadline_closes_the_connection_and_ends_the_thread(opted_in, misbehaving):
    server = misbehaving(trickle(CREATED + b"X: "))
    opted_in(server, deadline=DEADLINE).send()
    assert server.finished.wait(30)  # its next byte was refused
    wait_for_threads()


@pytest.mark.parametrize("respond", ACCEPTING.values(), ids=ACCEPTING)
def test_a_report_succeeds_by_the_status_and_reads_little_of_the_body(
    opted_in, misbehaving, respond
):
    server = misbehaving(respond)
    assert opted_in(server).send() == SENT
    assert server.finished.wait(30)
    assert server.sent < 10_000_000


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "file:///etc/passwd", "ftp://127.0.0.1/", "http://[", "http://x y/", "down"],
)
def test_a_report_is_lost_and_opting_out_works_if_the_url_reaches_no_server(
    opted_in, misbehaving, url
):
    url = f"http://127.0.0.1:{free_port()}" if url == "down" else url or " "
    reporter = opted_in(misbehaving(answer(201)), USAGE_REPORTING_URL=url)
    assert [reporter.send(), reporter.send()] == [LOST, WAITING]
    assert reporter.opt_out() is True
    assert not reporter.opted_in


def test_nothing_is_sent_if_the_name_lookup_takes_longer_than_the_deadline(
    opted_in, misbehaving, monkeypatch
):
    resolved, getaddrinfo = threading.Event(), socket.getaddrinfo

    def slow(*arguments, **options):
        resolved.wait(30)
        return getaddrinfo(*arguments, **options)

    server = misbehaving(answer(201))
    reporter = opted_in(server, deadline=DEADLINE)
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert reporter.send() == LOST
    resolved.set()
    wait_for_threads()
    assert server.requests == []


def test_nothing_is_sent_to_a_server_without_a_trusted_certificate(opted_in, misbehaving):
    server = misbehaving(answer(201))
    reporter = opted_in(server, USAGE_REPORTING_URL=f"https://{server.address}/")
    server.finish_request = lambda connection, _: connection.recv(1)  # it does not speak TLS
    assert reporter.send() == LOST
    assert server.requests == []


@pytest.mark.parametrize(
    ("no_proxy", "seen"), [("", "POST http://{}/ HTTP/1.1"), ("127.0.0.1", None)]
)
def test_a_report_uses_the_proxy_that_the_environment_names(
    opted_in, misbehaving, monkeypatch, no_proxy, seen
):
    proxy, server = misbehaving(answer(201)), misbehaving(answer(201))
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert opted_in(server).send() == SENT
    assert proxy.lines == ([seen.format(server.address)] if seen else [])
    assert len(server.lines) == (seen is None)


def test_a_request_is_the_preview_and_its_headers_say_nothing_of_the_machine(
    opted_in, misbehaving, monkeypatch, capfd
):
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    server = misbehaving(answer(201))
    reporter = opted_in(server, USAGE_REPORTING_URL=f"http://{server.address}/tracker/")
    preview = reporter.preview()
    assert reporter.send() == SENT
    ((head, body),) = server.requests
    assert body == preview
    assert sorted(re.findall(rb"^([\w-]+):", head, re.MULTILINE)) == [
        *(b"Accept-Encoding", b"Connection", b"Content-Length", b"Content-Type"),
        *(b"Host", b"User-Agent"),
    ]
    assert b"User-Agent: reporter.py\r\n" in head
    reporter.opt_out()
    assert [line.split()[1] for line in server.lines] == ["/tracker/", "/tracker/forget"]
    assert "".join(capfd.readouterr()) == ""  # not even with the application's debuglevel


# The command


@pytest.fixture
def due(tmp_path):
    """The state file of an instance whose report is due."""
    path = tmp_path / "usage.json"
    state = {ID: str(uuid.uuid4()), SLOT: "0", DAYS: str(int(time.time()) // DAY - 2)}
    path.write_text(json.dumps(state))
    return path


def command(server, state, *arguments, under=()):
    environ = {"USAGE_REPORTING_URL": f"http://{server.address}/", "USAGE_REPORTING_STATE": state}
    line = [*under, sys.executable, REPORTER, *arguments]
    environ["PATH"] = os.environ["PATH"]
    return subprocess.Popen(line, env=environ, stdout=subprocess.PIPE, text=True)


def result(process):
    printed, _ = process.communicate(timeout=60)
    return process.returncode, printed.strip()


def test_the_command_reports_once_and_opts_out(fresh, due):
    assert result(command(fresh, due, "send")) == (0, SENT)
    assert result(command(fresh, due, "send")) == (0, WAITING)
    assert fresh.stats()["instances"] == 1
    assert result(command(fresh, due, "opt-out"))[0] == 0
    assert json.loads(due.read_text()) == {}


def test_processes_that_share_a_state_file_report_once(misbehaving, due):
    server = misbehaving(answer(201))
    outcomes = [result(each) for each in [command(server, due, "send") for _ in range(8)]]
    assert sorted(outcomes) == sorted([(0, SENT)] + [(0, WAITING)] * 7)
    assert len(server.requests) == 1


def test_a_process_that_is_killed_during_a_report_does_not_repeat_it(misbehaving, due):
    reached, server = threading.Event(), misbehaving(answer(201))
    server.respond = lambda send: reached.set() or time.sleep(SLACK)
    process = command(server, due, "send")
    assert reached.wait(30)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert result(command(server, due, "send")) == (0, WAITING)
    assert len(server.requests) == 1


def test_the_command_sends_nothing_on_a_read_only_file_system(misbehaving, due):
    needs("bwrap", "bubblewrap")
    server, before = misbehaving(answer(201)), due.read_text()
    read_only = ("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")
    assert result(command(server, due, "send", under=read_only)) == (1, BROKEN)
    assert result(command(server, due, "opt-out", under=read_only))[0] == 1
    assert server.requests == []
    assert due.read_text() == before


# The code on the docs page


def block(language, number=0):
    """Return code of the page in a language."""
    page = rendering.markdown("clients")
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[number]


def adapted(code, server, **paths):
    """Return code of the page with the address of this server, and with other paths."""
    for old, new in {"http://127.0.0.1:8000": f"http://{server.address}", **paths}.items():
        assert old in code
        code = code.replace(old, str(new))
    return code


def run(*line, stdin=None, **environ):
    """Run a program that must succeed; return what it prints."""
    environ["PATH"] = os.environ["PATH"]
    options = {"stdout": subprocess.PIPE, "text": True, "timeout": 60}
    return subprocess.run(line, input=stdin, env=environ, check=True, **options).stdout


@pytest.fixture
def python(tmp_path):
    """Run code beside a copy of the reporter."""
    (tmp_path / "reporter.py").symlink_to(REPORTER)
    return lambda code: run(sys.executable, "-c", code, PYTHONPATH=str(tmp_path))


def test_the_python_code_of_the_page_reports(fresh, due, python):
    code = adapted(block("python"), fresh, **{"/srv/usage.json": due})
    code += "print(usage.opted_in, usage.preview().decode(), usage.send(), usage.opt_out())\n"
    printed = python(code)
    assert printed.startswith("True {")
    assert printed.endswith(f"{SENT} True\n")


def test_the_trial_code_of_the_page_reports_and_opts_out(fresh, python):
    assert python(adapted(block("python", 1), fresh)) == f"True {WAITING}\n{SENT} True\n"


def test_the_page_states_the_deadline_and_no_code_of_it_is_wide():
    page = rendering.markdown("clients")
    assert DEADLINE_AS_SHIPPED == 5
    assert "five seconds" in page
    for code in re.findall(r"^```.*?^```", page, re.MULTILINE | re.DOTALL):
        assert max(map(len, code.splitlines())) <= 100


def test_the_cron_line_of_the_page_reports(fresh, due):
    minute, *rest, line = block("crontab").strip().split(" ", 5)
    assert (minute, rest) == ("17", ["*"] * 4)
    paths = {"/opt/reporter.py": shlex.quote(str(REPORTER)), "/srv/usage.json": due}
    assert run("sh", "-c", adapted(line, fresh, **paths)).strip() == SENT
    assert fresh.stats()["instances"] == 1
    assert result(command(fresh, due, "opt-out"))[0] == 0


@pytest.fixture
def shell(fresh, tmp_path):
    """Run the page's script with an argument."""
    needs("curl", "curl")
    script = adapted(block("sh"), fresh)
    return lambda argument, **environ: run(
        "sh", "-s", argument, stdin=script, HOME=str(tmp_path), **environ
    )


def test_the_shell_script_of_the_page_reports_only_after_opting_in(shell, fresh, tmp_path):
    assert json.loads(shell("preview"))["id"] is None
    shell("send")
    assert fresh.stats()["instances"] == 0
    shell("opt-in")
    shell("opt-in")
    preview = json.loads(shell("preview", APP_VERSION="1.2"))
    assert preview["id"] == (tmp_path / ".usage-id").read_text().strip()
    shell("send", APP_VERSION="1.2", DO_NOT_TRACK="1")
    assert fresh.stats()["instances"] == 0
    shell("send", APP_VERSION="1.2")
    stats = fresh.stats()
    assert stats["versions"] == {"1.2": 1}
    assert stats["architectures"] == {preview["version"]["arch"]: 1}
    shell("opt-out")
    assert fresh.stats()["instances"] == 0
    assert json.loads(shell("preview"))["id"] is None


def test_the_shell_script_of_the_page_succeeds_if_the_server_fails(shell, misbehaving, tmp_path):
    shell("opt-in")
    redirecting = misbehaving(FAILING["301"])
    for address in (redirecting.address, f"127.0.0.1:{free_port()}"):
        shell("send", USAGE_REPORTING_URL=f"http://{address}/")
    shell("opt-out", USAGE_REPORTING_URL=f"http://{address}/")
    assert redirecting.lines == ["POST / HTTP/1.1"]
    assert not (tmp_path / ".usage-id").exists()


def ruby(server, calls, **environ):
    needs("ruby", "ruby")
    return run("ruby", "-e", adapted(block("ruby"), server) + calls, **environ)


def test_the_ruby_code_of_the_page_reports_and_forgets(fresh):
    known = str(uuid.uuid4())
    environ = {"APP_VERSION": "1.2", "DOCKER_TAG": "host:5000/a/b:1.2"}
    ruby(fresh, "report_usage(nil)\n")
    ruby(fresh, f"report_usage('{known}')\n", DO_NOT_TRACK="1", **environ)
    assert fresh.stats()["instances"] == 0
    ruby(fresh, f"report_usage('{known}')\n", **environ)
    stats = fresh.stats()
    assert (stats["versions"], stats["images"]) == ({"1.2": 1}, {"host:5000/a/b": 1})
    ruby(fresh, f"forget_usage('{known}')\n")


def test_the_ruby_code_of_the_page_raises_nothing_if_the_server_fails(misbehaving):
    redirecting = misbehaving(FAILING["301"])
    down = SimpleNamespace(address=f"127.0.0.1:{free_port()}")
    for server in (redirecting, down):
        ruby(server, f"report_usage('{uuid.uuid4()}')\n")
    assert redirecting.lines == ["POST / HTTP/1.1"]
