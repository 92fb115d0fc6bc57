"""What reports, against the real server, and against servers that nobody wants."""

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
from collector.docs import rendering as docs
from tests.servers import ROOT, free_port, needs

REPORTER = ROOT / "clients" / "reporter.py"
DAY = 86_400
DEADLINE = 0.3  # seconds
SLACK = 5  # seconds more that a busy machine may take
QUICK = 20  # a deadline that nothing reaches


@pytest.fixture
def clock():
    """The clock of the clients; the server has the real one."""
    return SimpleNamespace(now=time.time())


@pytest.fixture
def opted_in(clock):
    """An installation whose report is due."""

    def make(server, state=None, deadline=QUICK, **environ):
        state = {} if state is None else state
        url = f"http://{server.address}"
        reporter = Reporter(
            url, state, "1.2", environ=environ, clock=lambda: clock.now, deadline=deadline
        )
        assert reporter.opt_in()
        clock.now += 2 * DAY
        return reporter

    return make


@pytest.fixture
def fresh(server):
    """The server, which counts nobody; each test sees to it that it is so again."""
    assert server.stats()["instances"] == 0
    return server


# The real server


def test_it_works(opted_in, fresh):
    reporter = opted_in(fresh)
    assert reporter.send() == SENT
    stats = fresh.stats()
    assert (stats["instances"], stats["versions"]) == (1, {"1.2": 1})
    assert reporter.send() == WAITING
    assert reporter.opt_out()
    assert fresh.stats()["instances"] == 0


def test_the_next_day_it_is_the_same_installation_and_opting_in_again_makes_another(
    opted_in, fresh, clock
):
    reporter = opted_in(fresh)
    reporter.send()
    clock.now += DAY
    assert reporter.send() == SENT
    assert fresh.stats()["instances"] == 1
    first = json.loads(reporter.preview())["id"]
    reporter.opt_out(forget=False)
    reporter.opt_in()
    clock.now += 2 * DAY
    assert reporter.send() == SENT
    assert fresh.stats()["instances"] == 2
    reporter.opt_out()
    assert fresh.post({"id": first}, "/forget").status == 204


def test_the_server_prints_nothing_of_it(opted_in, start):
    server, state = start().wait_until_ready(), {}
    opted_in(server, state).send()
    server.stop()
    assert state[ID] not in server.output


def test_an_address_with_a_path_is_kept(opted_in, hostile):
    server = hostile(answer(201))
    reporter = opted_in(server, USAGE_REPORTING_URL=f"http://{server.address}/tracker/")
    assert reporter.send() == SENT
    reporter.opt_out()
    assert [line.split()[1] for line in server.lines] == ["/tracker/", "/tracker/forget"]


# Servers that nobody wants


def answer(status, body=b"", *more):
    """A whole answer."""
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *more, "", ""]
    return lambda send: send("\r\n".join(head).encode() + body)


def trickle(first):
    """Without end, a byte now and then."""

    def answering(send):
        send(first)
        while True:
            send(b"x")
            time.sleep(0.01)  # the server's pace

    return answering


class Hostile(socketserver.ThreadingTCPServer):
    """Reads a request, then does what it was made for."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answering):
        self.answering = answering
        self.requests, self.sent, self.over = [], 0, threading.Event()
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
            self.answering(send)
        self.over.set()


@pytest.fixture
def hostile():
    """Start a server that answers so."""
    with contextlib.ExitStack() as ending:

        def begin(answering):
            server = Hostile(answering)
            threading.Thread(target=functools.partial(server.serve_forever, 0.01)).start()
            ending.callback(server.server_close)
            ending.callback(server.shutdown)
            return server

        yield begin


LOSES = {
    "301": answer(301, b"", "Location: /elsewhere"),
    "308": answer(308, b"", "Location: /elsewhere"),
    "500": answer(500, b"no"),
    "HTML": answer(200, b"<html><h1>Log in</h1></html>", "Content-Type: text/html"),
    "closes early": lambda send: None,
    "closes in the head": lambda send: send(b"HTTP/1.1 20"),
    "no HTTP": lambda send: send(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a head of 10 MB": lambda send: send(b"HTTP/1.1 201 Created\r\nX: " + b"x" * 10_000_000),
    "lines without end": lambda send: [send(b"X: x\r\n") for _ in itertools.count()],
}
STALLS = {
    "slow": lambda send: time.sleep(DEADLINE + SLACK),
    "trickles": trickle(b""),
    "trickles in the head": trickle(b"HTTP/1.1 201 Created\r\nX: "),
}
SENDS = {
    "10 MB": answer(201, b"x" * 10_000_000),
    "10 MB of HTML": answer(201, b"<p>" * 3_500_000, "Content-Type: text/html"),
    "a body that ends early": lambda send: send(
        b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{"
    ),
    "a body that trickles": trickle(b"HTTP/1.1 201 Created\r\nContent-Length: 9999\r\n\r\n"),
}


@pytest.mark.parametrize("answering", LOSES.values(), ids=LOSES)
def test_only_the_one_report_is_lost(opted_in, hostile, fresh, clock, answering):
    server, state = hostile(answering), {}
    reporter = opted_in(server, state)
    known = state[ID]
    assert [reporter.send() for _ in range(3)] == [LOST, WAITING, WAITING]
    assert server.lines == ["POST / HTTP/1.1"]  # one try, and no redirect followed
    assert state[ID] == known
    clock.now += DAY
    environ = {"USAGE_REPORTING_URL": f"http://{fresh.address}"}
    good = Reporter("", state, environ=environ, clock=lambda: clock.now, deadline=QUICK)
    assert good.send() == SENT
    assert fresh.stats()["instances"] == 1
    good.opt_out()


@pytest.mark.parametrize("answering", STALLS.values(), ids=STALLS)
def test_a_server_that_takes_its_time_is_given_up(opted_in, hostile, answering):
    server = hostile(answering)
    reporter = opted_in(server, deadline=DEADLINE)
    began = time.monotonic()
    assert reporter.send() == LOST
    assert time.monotonic() - began < DEADLINE + SLACK
    assert reporter.send() == WAITING


def test_the_connection_is_cut_so_that_no_thread_stays(opted_in, hostile):
    server = hostile(trickle(b"HTTP/1.1 201 Created\r\nX: "))
    opted_in(server, deadline=DEADLINE).send()
    assert server.over.wait(30)  # its next byte was refused
    for thread in threading.enumerate():
        if thread.name == "usage-report":
            thread.join(30)
            assert not thread.is_alive()


@pytest.mark.parametrize("answering", SENDS.values(), ids=SENDS)
def test_of_the_answer_the_status_counts_and_little_is_read(opted_in, hostile, answering):
    server = hostile(answering)
    assert opted_in(server).send() == SENT
    assert server.over.wait(30)
    assert server.sent < 10_000_000


def test_a_server_that_is_down(opted_in):
    server = SimpleNamespace(address=f"127.0.0.1:{free_port()}")
    reporter = opted_in(server)
    assert [reporter.send(), reporter.send()] == [LOST, WAITING]
    assert reporter.opt_out() is True
    assert not reporter.opted_in


@pytest.mark.parametrize(
    "url", ["", "nonsense", "file:///etc/passwd", "ftp://127.0.0.1/", "http://[", "http://x y/"]
)
def test_an_address_that_is_none(opted_in, hostile, url):
    reporter = opted_in(hostile(answer(201)), USAGE_REPORTING_URL=url or " ")
    assert [reporter.send(), reporter.send()] == [LOST, WAITING]
    assert reporter.opt_out() is True


def test_a_name_that_is_found_too_late_gets_nothing(opted_in, hostile, monkeypatch):
    found, look_up = threading.Event(), socket.getaddrinfo

    def slow(*arguments, **options):
        found.wait(30)
        return look_up(*arguments, **options)

    server = hostile(answer(201))
    reporter = opted_in(server, deadline=DEADLINE)
    monkeypatch.setattr(socket, "getaddrinfo", slow)
    assert reporter.send() == LOST
    found.set()
    for thread in threading.enumerate():
        if thread.name == "usage-report":
            thread.join(30)
    assert server.requests == []


def test_a_server_without_a_trusted_certificate_is_not_told(opted_in, hostile):
    server = hostile(answer(201))
    reporter = opted_in(server, USAGE_REPORTING_URL=f"https://{server.address}/")
    server.finish_request = lambda connection, _: connection.recv(1)  # it speaks no TLS
    assert reporter.send() == LOST
    assert server.requests == []


# What surrounds it


@pytest.mark.parametrize(
    ("excepted", "seen"), [("", "POST http://{}/ HTTP/1.1"), ("127.0.0.1", None)]
)
def test_proxies_are_honoured(opted_in, hostile, monkeypatch, excepted, seen):
    proxy, server = hostile(answer(201)), hostile(answer(201))
    monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
    monkeypatch.setenv("no_proxy", excepted)
    assert opted_in(server).send() == SENT
    assert proxy.lines == ([seen.format(server.address)] if seen else [])
    assert len(server.lines) == (seen is None)


def test_what_is_sent_is_the_preview_and_says_nothing_of_the_machine(opted_in, hostile):
    server = hostile(answer(201))
    reporter = opted_in(server)
    preview = reporter.preview()
    reporter.send()
    ((head, body),) = server.requests
    assert body == preview
    assert sorted(re.findall(rb"^([\w-]+):", head, re.MULTILINE)) == [
        *(b"Accept-Encoding", b"Connection", b"Content-Length", b"Content-Type"),
        *(b"Host", b"User-Agent"),
    ]
    assert b"User-Agent: reporter.py\r\n" in head


def test_a_host_that_prints_its_requests_does_not_print_this(opted_in, hostile, monkeypatch, capfd):
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    opted_in(hostile(answer(201))).send()
    assert "".join(capfd.readouterr()) == ""


# The command


@pytest.fixture
def due(tmp_path):
    """A state file of an installation whose report is due."""
    path = tmp_path / "usage.json"
    state = {ID: str(uuid.uuid4()), SLOT: "0", DAYS: str(int(time.time()) // DAY - 2)}
    path.write_text(json.dumps(state))
    return path


def command(server, state, *arguments, under=()):
    environ = {"USAGE_REPORTING_URL": f"http://{server.address}/", "USAGE_REPORTING_STATE": state}
    line = [*under, sys.executable, REPORTER, *arguments]
    return subprocess.Popen(
        line, env={"PATH": os.environ["PATH"], **environ}, stdout=subprocess.PIPE, text=True
    )


def said(process):
    printed, _ = process.communicate(timeout=60)
    return process.returncode, printed.strip()


def test_the_command_reports_once(fresh, due):
    assert said(command(fresh, due, "send")) == (0, SENT)
    assert said(command(fresh, due, "send")) == (0, WAITING)
    assert fresh.stats()["instances"] == 1
    assert said(command(fresh, due, "opt-out"))[0] == 0
    assert fresh.stats()["instances"] == 0
    assert json.loads(due.read_text()) == {}


def test_processes_that_share_a_file_report_once(hostile, due):
    server = hostile(answer(201))
    outcomes = [said(each) for each in [command(server, due, "send") for _ in range(8)]]
    assert sorted(outcomes) == sorted([(0, SENT)] + [(0, WAITING)] * 7)
    assert len(server.requests) == 1


def test_a_process_killed_while_it_sends_does_not_repeat(hostile, due):
    reached, server = threading.Event(), hostile(answer(201))
    server.answering = lambda send: reached.set() or time.sleep(SLACK)
    sending = command(server, due, "send")
    assert reached.wait(30)
    sending.send_signal(signal.SIGKILL)
    sending.communicate()
    assert said(command(server, due, "send")) == (0, WAITING)
    assert len(server.requests) == 1


def test_where_nothing_can_be_written_nothing_is_sent(hostile, due):
    needs("bwrap", "bubblewrap")
    server, before = hostile(answer(201)), due.read_text()
    read_only = ("bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc")
    assert said(command(server, due, "send", under=read_only)) == (1, BROKEN)
    assert said(command(server, due, "opt-out", under=read_only))[0] == 1
    assert server.requests == []
    assert due.read_text() == before


# What the page says


def block(language, number=0):
    """The page's code in a language."""
    page = docs.markdown("clients")
    return re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)[number]


def here(code, server, **paths):
    """The page's code for this server and these files."""
    for old, new in {"http://127.0.0.1:8000": f"http://{server.address}", **paths}.items():
        assert old in code
        code = code.replace(old, str(new))
    return code


def ran(*line, stdin=None, **environ):
    return subprocess.run(
        line,
        input=stdin,
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


@pytest.fixture
def python(tmp_path):
    """Run code beside a copy of the reporter."""
    (tmp_path / "reporter.py").symlink_to(REPORTER)
    return lambda code: ran(sys.executable, "-c", code, PYTHONPATH=str(tmp_path))


def test_the_python_of_the_page(fresh, due, python):
    code = here(block("python"), fresh, **{"/srv/usage.json": due})
    code += "print(usage.opted_in, usage.preview().decode(), usage.send(), usage.opt_out())\n"
    printed = python(code)
    assert printed.startswith("True {")
    assert printed.endswith(f"{SENT} True\n")


def test_the_trial_of_the_page(fresh, python):
    assert python(here(block("python", 1), fresh)) == f"True {WAITING}\n{SENT} True\n"
    assert fresh.stats()["instances"] == 0


def test_the_deadline_is_the_one_that_the_page_tells():
    assert DEADLINE_AS_SHIPPED == 5
    assert "five seconds" in docs.markdown("clients")


def test_no_code_of_the_page_is_wide():
    for code in re.findall(r"^```.*?^```", docs.markdown("clients"), re.MULTILINE | re.DOTALL):
        assert max(map(len, code.splitlines())) <= 100


def test_the_line_for_cron(fresh, due):
    minute, *rest, line = block("crontab").strip().split(" ", 5)
    assert (minute, rest) == ("17", ["*"] * 4)
    files = {"/opt/reporter.py": shlex.quote(str(REPORTER)), "/srv/usage.json": due}
    assert ran("sh", "-c", here(line, fresh, **files)).strip() == SENT
    assert fresh.stats()["instances"] == 1
    assert said(command(fresh, due, "opt-out"))[0] == 0


@pytest.fixture
def shell(fresh, tmp_path):
    """Run the page's script."""
    needs("curl", "curl")
    script = here(block("sh"), fresh)

    def run(asked, **environ):
        return ran("sh", "-s", asked, stdin=script, HOME=str(tmp_path), **environ)

    return run


def test_the_shell_script_of_the_page(shell, fresh, tmp_path):
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


def test_the_shell_script_fails_at_nothing(shell, hostile, tmp_path):
    shell("opt-in")
    redirects = hostile(LOSES["301"])
    for address in (redirects.address, f"127.0.0.1:{free_port()}"):
        shell("send", USAGE_REPORTING_URL=f"http://{address}/")
    shell("opt-out", USAGE_REPORTING_URL=f"http://{address}/")
    assert redirects.lines == ["POST / HTTP/1.1"]
    assert not (tmp_path / ".usage-id").exists()


def ruby(server, calls, **environ):
    needs("ruby", "ruby")
    return ran("ruby", "-e", here(block("ruby"), server) + calls, **environ)


def test_the_ruby_of_the_page(fresh):
    known = str(uuid.uuid4())
    environ = {"APP_VERSION": "1.2", "DOCKER_TAG": "host:5000/a/b:1.2"}
    ruby(fresh, "report_usage(nil)\n")
    ruby(fresh, f"report_usage('{known}')\n", DO_NOT_TRACK="1", **environ)
    assert fresh.stats()["instances"] == 0
    ruby(fresh, f"report_usage('{known}')\n", **environ)
    stats = fresh.stats()
    assert (stats["versions"], stats["images"]) == ({"1.2": 1}, {"host:5000/a/b": 1})
    ruby(fresh, f"forget_usage('{known}')\n")
    assert fresh.stats()["instances"] == 0


def test_the_ruby_of_the_page_fails_at_nothing(hostile):
    redirects = hostile(LOSES["301"])
    down = SimpleNamespace(address=f"127.0.0.1:{free_port()}")
    for server in (redirects, down):
        ruby(server, f"report_usage('{uuid.uuid4()}')\n")
    assert redirects.lines == ["POST / HTTP/1.1"]
