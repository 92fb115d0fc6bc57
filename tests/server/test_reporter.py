"""reporter.py as a command and as a class, against the real server and one that misbehaves."""

import ast
import errno
import http.client
import inspect
import itertools
import json
import logging
import os
import re
import signal
import stat
import sys
import threading
import time

import pytest

from clients import reporter as r
from clients.reporter import DAY, Reporter, StateFile
from collector.docs import rendering
from collector.reports.fields import FIELDS
from tests.server.misbehaving import REDIRECT, SWITCHED_OFF, printed, program, response, trickle
from tests.servers import free_port, needs

ROWS = set()  # of the failure table on the page, each of which has a test
TODAY = 20_785  # days since 1970: 2026-11-28
LATEST = "2027-12-01"  # the expiry of a report on TODAY + 2, if no receipt says when
KNOWN = "fdb45536-cba8-4204-b352-71fc1062fd95"
RELEASE_0_2 = {"usage_id": KNOWN, "usage_slot": "0", "usage_days": f"{TODAY - 2} {TODAY - 1}"}
RELEASE_0_3 = {"id": KNOWN, "slot": 0, "day": TODAY, "url": None, "kept": 8}
DAMAGED = [{"id": 7}, {"last": 7}, {"questions": 7}, {"slot": "x"}, {"day": None}]
DAMAGED += [{"servers": {"http://x/": 7}}, {"aside": [7]}]


def state_of(content):
    """Return the content of a state file."""
    return json.dumps({"usage": json.dumps(content)})


def row(situation):
    """Mark a test of a row in the failure table."""
    ROWS.add(situation)
    return lambda test: test


class Instance:
    """One instance with a state file, whose clock the test moves and whose log it reads."""

    def __init__(self, path, capsys):
        self.path, self._capsys, self.now, self.environ = path, capsys, TODAY * DAY + DAY // 2, {}
        self.lines = []

    def use(self, server):
        """Report to a server."""
        self.server = server
        self.environ["USAGE_REPORTING_URL"] = f"http://{server.address}/"

    def command(self, *arguments):
        """Run the command; return its exit code and what it prints."""
        environ = {"USAGE_REPORTING_STATE": str(self.path)} | self.environ
        code = r.main(arguments, environ, lambda: self.now)
        return code, self._capsys.readouterr().out.strip()

    def status(self):
        return json.loads(self.command("status")[1])

    def reporter(self, state=None, **options):
        state = StateFile(self.path) if state is None else state
        return Reporter("", state, environ=self.environ, clock=lambda: self.now, **options)

    @property
    def state(self):
        return json.loads(json.loads(self.path.read_text())["usage"])


@pytest.fixture
def new_instance(tmp_path, capsys, monkeypatch, misbehaving):
    """An instance that has not opted in, with a server that behaves until a test changes it."""
    monkeypatch.setattr(r, "DEADLINE", 30)  # never reached, unless a test lowers it
    instance, handler = Instance(tmp_path / "usage.json", capsys), logging.Handler()
    instance.use(misbehaving())
    handler.emit = lambda record: instance.lines.append(handler.format(record))
    r.log.addHandler(handler)
    r.log.setLevel(logging.DEBUG)
    yield instance
    r.log.removeHandler(handler)
    r.log.setLevel(logging.NOTSET)


@pytest.fixture
def instance(new_instance):
    """An instance that has opted in and whose report is due."""
    assert new_instance.command("opt-in") == (0, r.OPTED_IN)
    new_instance.now += 2 * DAY
    return new_instance


# Consent


@row("the state is missing or empty")
@row("the state of a container is not on a volume")
@pytest.mark.parametrize("content", [None, "", "{}", '{"theme": "dark"}'])
def test_nothing_is_sent_before_opting_in(new_instance, content):
    path = new_instance.path
    if content is not None:
        path.write_text(content)
    assert json.loads(new_instance.command("preview", "--version", "1.2")[1]) == {
        "id": None,
        "version": {"app": "1.2", "sha": "unknown", "image": None, "arch": r.architecture()},
    }
    assert new_instance.command("send", "--now") == (0, r.OFF)
    assert new_instance.command("opt-out") == (0, r.OFF)
    assert new_instance.server.requests == []
    assert (path.read_text() if path.exists() else None) == content
    assert [*path.parent.iterdir()] == [path] * path.exists()  # no lock that may be another user's


@row("the application asks a new question")
def test_a_question_that_an_upgrade_adds_is_sent_only_after_opting_in_again(instance):
    instance.command("opt-in", "--answers", '{"users": 3, "mail": null}')
    upgraded = ("send", "--now", "--answers", '{"users": 3, "mail": true, "sso": true}')
    assert instance.reporter(answers={"users": 3, "sso": True}).needs_consent == ["sso"]
    assert instance.command(*upgraded) == (0, r.SENT)
    assert instance.status()["needs_consent"] == ["sso"]  # the state knows it, too
    instance.command("opt-in")
    assert instance.status()["needs_consent"] == []
    assert instance.command(*upgraded) == (0, r.SENT)
    agreed = {"users": 3, "mail": True}
    assert instance.server.answers == [agreed, agreed | {"sso": True}]


def test_an_administrator_may_agree_to_some_questions_or_none(instance):
    numbers, both = itertools.count(1), ["users", "sso"]
    usage = instance.reporter(answers=lambda: {"users": 3, "sso": next(numbers), "mail": None})
    for choice in ({"questions": ["users"]}, {}, {"questions": iter([])}, {"questions": both}):
        assert usage.opt_in(**choice)
        assert usage.needs_consent == []  # a question that was declined is not asked again
        assert usage.send(now=True) == r.SENT
    (*others, last) = instance.server.answers
    assert others == [{"users": 3}, {"users": 3}, {}]
    assert last == {"users": 3, "sso": next(numbers) - 1}  # the function is asked for each report
    for names, agreed in (("users", ["users"]), (" users, sso,new", [*both, "new"]), ("", [])):
        assert instance.command("opt-in", "--questions", names) == (0, r.OPTED_IN)
        assert instance.status()["agreed_to"] == agreed


@pytest.mark.parametrize(
    ("asked", "unknown"), [(["sso", "user"], "user"), ("sso", "sso"), ([["sso"]], "TypeError")]
)
def test_a_question_that_is_not_known_is_refused(instance, asked, unknown):
    usage, before = instance.reporter(answers={"sso": True}), instance.path.read_text()
    assert not usage.opt_in(questions=asked)
    assert instance.lines[-1].endswith(f": {unknown}")
    arguments = ("--questions", "databse", "--answers", '{"database": "sqlite"}')
    assert instance.command("opt-in", *arguments) == (1, r.NOT_OPTED_IN)
    assert instance.lines[-1].endswith(": databse")
    assert instance.path.read_text() == before


def test_only_true_is_consent(instance):
    instance.path.write_text(state_of({"questions": {"sso": "no"}}))
    assert instance.status()["agreed_to"] == []


def test_a_state_from_before_agreed_to_the_four_fields_and_to_no_question(new_instance):
    new_instance.path.write_text(json.dumps({"theme": "dark", **RELEASE_0_2}))
    usage = new_instance.reporter(answers={"sso": True})
    assert usage.opted_in
    assert usage.needs_consent == ["sso"]
    assert [usage.send(), usage.send()] == [r.SENT, r.WAITING]
    _, content, _ = new_instance.server.requests[0]
    assert content == {"id": KNOWN, "version": json.loads(usage.preview())["version"]}
    assert json.loads(new_instance.path.read_text()).keys() == {"theme", "usage"}
    assert usage.opt_out() == r.ERASED


@row("the application cannot say its answers")
@pytest.mark.parametrize("answers", [lambda: 1 / 0, lambda: ["x"], {"x": {1}}, {"x": 1e999}, 7])
def test_answers_that_cannot_be_had_are_left_out(instance, answers):
    assert instance.reporter(answers=answers).send() == r.SENT
    assert instance.server.answers == [{}]
    assert instance.lines[0].startswith("The report has no answers: ")


@pytest.mark.parametrize("environ", SWITCHED_OFF)
def test_a_switch_prevents_reports_and_opting_in_and_deletes_at_once(instance, environ):
    instance.command("send")
    instance.environ |= environ
    assert instance.command("send", "--now") == (0, r.SILENT)
    assert instance.command("opt-in") == (1, r.NOT_OPTED_IN)
    assert instance.status()["switched_off"]
    assert instance.command("opt-out") == (0, r.NOT_ASKED.format(LATEST))
    assert instance.path.read_text() == "{}"
    assert len(instance.server.requests) == 1


@pytest.mark.parametrize("command", ["send", "preview", "status", "opt-in", "opt-out"])
def test_every_command_under_a_switch_deletes_what_is_kept_aside(instance, command):
    instance.server.forget = response(500)
    instance.command("send")
    instance.command("opt-out")
    instance.environ["CI"] = "true"
    instance.command(command)
    assert instance.path.read_text() == "{}"
    assert instance.server.paths == ["/", "/forget"]


@pytest.mark.parametrize("value", ["", "0", "false", "False", "fAlse"])
def test_a_switch_that_is_off_prevents_nothing(instance, value):
    instance.environ |= {"DO_NOT_TRACK": value, "CI": value}
    assert instance.command("send", "--now") == (0, r.SENT)


# Opting out


@row("the server does not confirm an erasure")
def test_opting_out_while_the_server_is_down_can_be_repeated_when_it_is_up(instance, start):
    server = start().wait_until_ready()
    instance.use(server)
    instance.now = time.time()
    instance.command("send", "--now")
    report = {"id": instance.state["id"], "version": {"app": "1", "sha": ""}}
    expiry = json.loads(server.post(report).content)["forgotten_at"][:10]
    server.stop()
    for _ in range(2):
        assert instance.command("opt-out") == (1, r.NOT_CONFIRMED.format(expiry))
        assert instance.status()["erasure_not_confirmed"] == expiry
        assert instance.command("send", "--now") == (0, r.OFF)
    server = start(port=server.port).wait_until_ready()
    server.post(report)  # a store has kept it
    assert server.stats()["instances"] == 1
    assert instance.command("opt-out") == (0, r.ERASED)
    assert server.stats()["instances"] == 0
    assert instance.command("opt-out") == (0, r.OFF)


@row("the URL changes after a report")
def test_each_server_that_may_have_a_report_is_asked_until_it_confirms(instance, misbehaving):
    first, second = instance.server, misbehaving(response(502), None)
    down = f"http://127.0.0.1:{free_port()}"
    instance.command("send")
    instance.use(second)
    instance.command("send", "--now")  # it may have the report, although a proxy has failed
    instance.environ["USAGE_REPORTING_URL"] = down
    instance.command("send", "--now")
    first.forget = response(500)
    assert instance.command("opt-out") == (1, r.NOT_CONFIRMED.format(LATEST))
    first.forget = response(204)
    assert instance.command("opt-out") == (0, r.ERASED)
    assert first.paths == ["/", "/forget", "/forget"]
    assert second.paths == ["/", "/forget"]


@pytest.mark.parametrize(
    "older",
    [
        json.dumps(RELEASE_0_2),
        state_of(RELEASE_0_3),
        state_of(RELEASE_0_3 | {"id": None, "aside": {KNOWN: ["2026-12-06", ""]}}),
    ],
    ids=["0.2", "0.3", "0.3, opted out"],
)
def test_a_report_whose_server_is_unknown_is_erased_where_the_url_then_says(new_instance, older):
    new_instance.path.write_text(older)
    new_instance.environ.clear()
    for _ in range(2):
        assert new_instance.command("opt-out")[0] == 1
    url = f"http://{new_instance.server.address}"
    assert new_instance.command("opt-out", "--url", url) == (0, r.ERASED)
    assert [content for _, content, _ in new_instance.server.requests] == [{"id": KNOWN}]
    assert new_instance.path.read_text() == "{}"


def test_an_id_kept_aside_is_never_used_for_a_report_and_goes_when_its_report_expires(instance):
    server, ids = instance.server, []
    server.forget = response(500)
    for _ in range(2):
        ids.append(instance.state["id"])
        assert instance.command("send", "--now") == (0, r.SENT)
        assert instance.command("opt-out")[0] == 1
        instance.command("opt-in")
    assert [content["id"] for path, content, _ in server.requests if path == "/"] == ids
    server.forget, before = response(204), instance.path.read_text()
    assert instance.command("opt-out") == (0, r.ERASED)  # of both
    assert [content["id"] for _, content, _ in server.requests[-2:]] == ids
    instance.path.write_text(before)
    instance.now += 366 * DAY
    assert instance.command("send") == (0, r.SENT)
    assert instance.state["aside"] == []


@pytest.mark.parametrize(
    ("dates", "expiry"),
    [
        (["2026-12-31"], "2026-12-31"),
        (["2026-12-31", "2026-12-10"], "2026-12-31"),
        (["9999-12-31"], "9999-12-31"),
        (["2026-01-01"], LATEST),  # not to be believed
        (["2026-12-31", None], LATEST),
        (["2026-12-31", "refused"], "2026-12-31"),
    ],
)
def test_the_receipts_say_when_a_report_expires(instance, dates, expiry):
    for date in dates:
        receipt = json.dumps({"forgotten_at": date and f"{date}T00:00:00Z"})
        instance.server.respond = response(400 if date == "refused" else 201, receipt.encode())
        instance.command("send", "--now")
    instance.server.forget = response(500)
    assert instance.command("opt-out") == (1, r.NOT_CONFIRMED.format(expiry))


@row("the administrator opts out while a report is being sent")
def test_opting_out_while_a_report_is_being_sent_leaves_no_trace_of_it(instance):
    outcomes, usage, known = [], instance.reporter(), instance.state["id"]

    def respond(server, send):
        server.respond = response(500)
        outcomes.extend([usage.opt_out(), usage.opt_in(), usage.send(now=True)])
        response(201)(server, send)

    instance.server.respond = respond
    assert instance.command("send") == (0, r.SENT)
    assert outcomes == [r.ERASED, True, r.LOST]
    assert instance.status()["last_report"]["outcome"] == "not accepted: 500"  # of the new id
    assert known not in instance.path.read_text()


# What was sent, and when


def test_the_state_keeps_the_last_report_and_its_outcome(instance):
    preview = json.loads(instance.command("preview")[1])
    for status, content, outcome in (
        (201, {}, "accepted"),
        (500, [], "not accepted: 500"),
        (400, {"error": "no \x1b" + "x" * 300}, "not accepted: 400: no " + "x" * 197),
    ):
        instance.server.respond = response(status, json.dumps(content).encode())
        instance.command("send", "--now")
        expected = {"at": "2026-11-30T12:00:00Z", "outcome": outcome, "report": preview}
        assert instance.status()["last_report"] == expected


@pytest.mark.parametrize(
    ("update", "read"),
    [
        ({"release": "0.91.2", "security": True}, {"release": "0.91.2", "security": True}),
        ({"release": "2026", "security": "yes"}, {"release": "2026", "security": False}),
        *[({"release": "1." * 15 + "10", "security": False},) * 2],
        *(
            ({"release": release, "security": True}, None)
            for release in ("", "1.", "v1.0", "1.0\n", "1..0", "٣", "x.example", 7, "1." * 16 + "1")
        ),
        *((update, None) for update in ({"release": "1.0"}, {"security": True}, "1.0", None)),
    ],
)
def test_a_newer_release_that_the_receipt_names_is_shown(instance, update, read):
    content = json.dumps({"update": update}).encode()
    instance.server.respond = response(201, content)
    assert instance.command("send", "--version", "0.90.0") == (0, r.SENT)
    assert instance.reporter().update == instance.status()["update"] == read
    assert instance.reporter(version="0.90.0").update == read
    assert instance.reporter(version="0.91.2").update is None  # it was upgraded since
    for status, body in ((503, content), (201, b"{}")):  # no receipt, and one without a release
        instance.server.respond = response(status, body)
        instance.command("send", "--now")
        assert instance.status()["update"] is None


def test_reports_are_sent_once_a_day_and_spread_over_it(new_instance):
    fleet, hours = [new_instance.reporter({}) for _ in range(120)], []
    assert all(usage.opt_in() for usage in fleet)
    for hour in range(12, 48):  # an hourly job
        new_instance.now = TODAY * DAY + hour * 3600 + 17 * 60
        hours.append(sum(usage.send() == r.SENT for usage in fleet))
    assert sum(hours[:12]) == 0  # none on the day of opting in
    assert sum(hours) == 120
    assert sum(count > 0 for count in hours) > 12


def test_an_instance_that_never_runs_at_its_time_still_reports_daily(instance, monkeypatch):
    instance.command("opt-out")
    with monkeypatch.context() as patch:
        patch.setattr(r.secrets, "randbelow", lambda limit: limit - 1)
        instance.command("opt-in")
    outcomes = []
    for _ in range(6):
        instance.now = (instance.now // DAY + 1) * DAY + 4 * 3600
        outcomes.append(instance.command("send")[1])
    assert outcomes == [r.WAITING, r.SENT, r.SENT, r.SENT, r.SENT, r.SENT]


@row("the clock jumps forward and back")
def test_a_clock_that_jumps_forward_and_back_causes_no_repetition_and_no_silence(instance):
    outcomes = []
    for jump in (0, 1000 * DAY, -1000 * DAY, 0, 2 * DAY, -DAY, DAY, DAY + DAY // 2):
        instance.now += jump
        outcomes.append(instance.command("send")[1])
    assert outcomes == [r.SENT, r.SENT, r.WAITING, r.WAITING, r.SENT, r.WAITING, r.WAITING, r.SENT]


@row("two processes share the state")
def test_processes_that_share_a_state_report_once(instance):
    processes = [process(instance, "send") for _ in range(6)]
    outcomes = [printed(each).strip() for each in processes]
    assert sorted(outcomes) == sorted([r.SENT] + [r.WAITING] * 5)
    assert instance.server.paths == ["/"]


@row("the process stops while it sends")
def test_a_process_that_is_killed_while_it_sends_does_not_repeat_the_report(instance):
    reached = threading.Event()
    instance.server.respond = lambda server, send: reached.set() or server.stopped.wait()
    killed = process(instance, "send")
    assert reached.wait(30)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert printed(process(instance, "send")).strip() == r.WAITING
    assert instance.server.paths == ["/"]
    outcome = instance.status()["last_report"]["outcome"]
    assert outcome == "not known: the process stopped before there was a response"
    assert list(instance.state["servers"].values()) == [LATEST]  # it may have the report


@row("a machine is cloned with its state")
def test_a_cloned_machine_counts_once_until_it_opts_in_again(instance, fresh, tmp_path):
    instance.use(fresh)
    instance.now = time.time()
    clone = Instance(tmp_path / "clone.json", instance._capsys)
    clone.path.write_bytes(instance.path.read_bytes())
    clone.environ, clone.now = instance.environ, instance.now
    assert [each.command("send", "--now")[1] for each in (clone, instance)] == [r.SENT, r.SENT]
    assert fresh.stats()["instances"] == 1
    clone.command("opt-out")
    assert fresh.stats()["instances"] == 0
    clone.command("opt-in")
    assert [each.command("send", "--now")[1] for each in (clone, instance)] == [r.SENT, r.SENT]
    assert fresh.stats()["instances"] == 2
    assert [each.command("opt-out")[1] for each in (clone, instance)] == [r.ERASED, r.ERASED]


def test_start_sends_from_a_thread_that_survives_anything(instance, monkeypatch):
    reached = threading.Event()
    instance.server.respond = lambda server, send: reached.set()
    usage = instance.reporter()
    stop = usage.start(every=0.001)
    assert reached.wait(30)
    stop()
    monkeypatch.setattr(threading.Thread, "start", lambda _: 1 / 0)
    usage.start()()


# The network


CREATED = b"HTTP/1.1 201 Created\r\n"
REFUSED = {  # the server certainly has no report
    "a redirect": REDIRECT,
    "another redirect": response(308, b"", "Location: /elsewhere"),
    "a refusal": response(400, b"no"),
    "a page": response(200, b"<h1>Log in</h1>", "Content-Type: text/html"),
}
LOST = {
    "an error": response(500, b"no"),
    "nothing": lambda server, send: None,
    "half a head": lambda server, send: send(b"HTTP/1.1 20"),
    "no HTTP": lambda server, send: send(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a head of 10 MB": lambda server, send: send(CREATED + b"X: " + b"x" * 10**7),
    "silence": lambda server, send: server.stopped.wait(),
    "a byte a second": trickle(b""),
    "a byte a second in the head": trickle(CREATED + b"X: "),
}
ACCEPTED = {
    "a byte a second in the body": trickle(CREATED + b"Content-Length: 9999\r\n\r\n"),
    "10 MB": response(201, b"x" * 10**7),
    "an early end": lambda server, send: send(CREATED + b"Content-Length: 9\r\n\r\n{"),
}
RESPONSES = REFUSED | LOST | ACCEPTED


@row("the server is down, slow, or sends one byte a second")
@row("the server responds with anything but 201, such as a redirect, an error or a page")
@row("the server sends 10 MB, or its response ends too early")
@pytest.mark.parametrize("kind", RESPONSES)
def test_a_request_is_tried_once_whatever_the_server_does(instance, monkeypatch, kind):
    server = instance.server
    server.respond = server.forget = RESPONSES[kind]
    if kind in LOST:
        monkeypatch.setattr(r, "DEADLINE", 0.5)
    assert instance.command("send", "--quiet") == ((0, "") if kind in ACCEPTED else (1, r.LOST))
    assert instance.command("send") == (0, r.WAITING)
    assert server.paths == ["/"]  # no redirect is followed
    assert server.sent < 10**7
    assert len(instance.state["servers"]) == (kind not in REFUSED)
    server.respond = response(201)
    instance.command("send", "--now")
    assert instance.command("opt-out") == (1, r.NOT_CONFIRMED.format(LATEST))
    assert server.paths == ["/", "/", "/forget"]


@pytest.mark.parametrize(
    "url", ["down", "https://{}", "file:///etc/passwd", "ftp://{}", "http://[", "http://a b/", "x"]
)
def test_a_url_that_reaches_no_server_loses_the_report(instance, monkeypatch, url):
    url = url.replace("down", f"http://127.0.0.1:{free_port()}").format(instance.server.address)
    instance.environ["USAGE_REPORTING_URL"] = url
    monkeypatch.setattr(r, "DEADLINE", 4)
    assert instance.command("send") == (1, r.LOST)
    assert instance.command("opt-out") == (0, r.NO_REPORT)
    assert instance.server.requests == []


def test_a_missing_url_loses_the_report(instance):
    instance.environ.clear()
    usage = Reporter(None, StateFile(instance.path), environ={})
    assert (usage.send(now=True), usage.opt_out()) == (r.LOST, r.NO_REPORT)


@row("the environment names a SOCKS proxy")
@pytest.mark.parametrize(
    ("variable", "scheme", "reached"),
    [
        ("http_proxy", "http", "proxy"),
        ("all_proxy", "http", "proxy"),
        ("all_proxy", "socks5h", None),
        ("http_proxy", "socks5", None),
        ("no_proxy", "http", "server"),
    ],
)
def test_a_proxy_is_used_or_refused_but_never_bypassed(
    instance, misbehaving, monkeypatch, variable, scheme, reached
):
    proxy, server = misbehaving(), instance.server
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    monkeypatch.setenv(variable, f"{scheme}://{proxy.address}")
    if variable == "no_proxy":
        monkeypatch.setenv(variable, "127.0.0.1")
    assert instance.command("send")[1] == (r.SENT if reached else r.LOST)
    assert proxy.paths == ([f"http://{server.address}/"] if reached == "proxy" else [])
    assert server.paths == (["/"] if reached == "server" else [])
    if not reached:
        assert instance.lines[-1].endswith("UnsupportedProxy")


@pytest.mark.parametrize(
    ("variables", "path"),
    [
        ({"USAGE_REPORTING_URL": "{}", "USAGE_TRACKING_URL": "http://["}, "/"),
        ({"USAGE_REPORTING_URL": "", "USAGE_TRACKING_URL": "{}/"}, "/"),
        ({"USAGE_REPORTING_URL": "{}/tracker"}, "/tracker"),
        ({"USAGE_REPORTING_URL": "{}/tracker/"}, "/tracker/"),
    ],
)
def test_requests_go_where_the_environment_says_and_say_nothing_of_the_machine(
    instance, monkeypatch, capsys, variables, path
):
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    url = f"http://{instance.server.address}"
    instance.environ = {name: value.format(url) for name, value in variables.items()}
    usage = instance.reporter()
    preview = usage.preview()
    assert (usage.send(), usage.opt_out()) == (r.SENT, r.ERASED)
    assert instance.server.paths == [path, path.rstrip("/") + "/forget"]
    _, content, head = instance.server.requests[0]
    assert content == json.loads(preview)
    assert sorted(re.findall(r"^([\w-]+):", head, re.MULTILINE)) == [
        *("Accept-Encoding", "Connection", "Content-Length", "Content-Type", "Host", "User-Agent")
    ]
    assert "User-Agent: reporter.py\r\n" in head
    assert "".join(capsys.readouterr()) == ""  # not even with the application's debuglevel


# The state


def process(instance, *arguments, under=()):
    """Start the command as a program."""
    code = f"import sys, reporter; sys.exit(reporter.main(clock=lambda: {instance.now}))"
    environ = {"USAGE_REPORTING_STATE": str(instance.path)} | instance.environ
    return program(*under, sys.executable, "-B", "-c", code, *arguments, **environ)


@row("the state cannot be read or is damaged")
@pytest.mark.parametrize(
    "content", ['{"usage": "{', "[1]", f'{{"usage_id": "{KNOWN}"}}', *map(state_of, DAMAGED)]
)
def test_a_state_that_cannot_be_read_stays_as_it_is(instance, content):
    instance.path.write_text(content)
    assert json.loads(instance.command("preview")[1])["id"] is None
    assert instance.command("send", "--now") == (1, r.BROKEN)
    assert instance.command("opt-in") == (1, r.NOT_OPTED_IN)
    assert instance.command("opt-out") == (1, r.STUCK)
    assert instance.command("status")[0] == 1
    assert instance.status()["problem"] == r.BROKEN
    assert not instance.status()["opted_in"]
    assert instance.path.read_text() == content
    assert instance.server.requests == []


@row("the state cannot be written, because it is read-only or the disk is full")
@pytest.mark.parametrize("call", ["os.open", "os.fsync", "pathlib.Path.replace"])
def test_a_state_that_cannot_be_written_prevents_reports_until_it_can(instance, monkeypatch, call):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    usage, before = instance.reporter(), instance.path.read_text()
    with monkeypatch.context() as broken:
        broken.setattr(call, refuse)
        assert [usage.send(), usage.send(), usage.opt_out()] == [r.BROKEN, r.BROKEN, r.STUCK]
        assert usage.opted_in
        assert not instance.reporter(StateFile(instance.path.with_name("other"))).opt_in()
    assert len(instance.lines) == 3  # one for each method, however often it is called
    assert instance.path.read_text() == before
    assert {path.name for path in instance.path.parent.iterdir()} <= {
        *("usage.json", "usage.json.lock", "other.lock")
    }
    assert instance.server.requests == []
    assert usage.send() == r.SENT


@row("the state is a file that is mounted by itself into a container")
@pytest.mark.parametrize(
    "mounts",
    [["--ro-bind", "/", "/"], ["--dev-bind", "/", "/", "--bind", "{}", "{}"]],
    ids=["a read-only file system", "a file mounted by itself"],
)
def test_a_mount_that_cannot_be_written_prevents_everything(instance, mounts):
    needs("bwrap", "bubblewrap")
    before = instance.path.read_text()
    under = ["bwrap", *(each.format(instance.path) for each in mounts), "--proc", "/proc"]
    for command, outcome in (("send", r.BROKEN), ("opt-out", r.STUCK)):
        assert printed(process(instance, command, under=under), codes=[1]).strip() == outcome
    assert instance.path.read_text() == before
    instance.path.write_text("")
    assert printed(process(instance, "send", "--quiet", under=under)) == ""
    opting_in = process(instance, "opt-in", under=under)
    assert printed(opting_in, codes=[1]).strip() == r.NOT_OPTED_IN
    assert instance.server.requests == []


@row("another user runs it than the owner of the state file")
@pytest.mark.parametrize("permitted", [True, False])
def test_the_owner_of_the_state_file_is_kept_or_nothing_is_written(
    instance, monkeypatch, permitted
):
    given = []
    before = instance.path.read_text()
    (instance.path.parent / "usage.json.lock").unlink()
    owned = os.stat_result([*instance.path.stat()[:4], 12345, 54321, *instance.path.stat()[6:10]])
    monkeypatch.setattr("pathlib.Path.stat", lambda *_, **__: owned)

    def fchown(descriptor, *owner):
        given.append(owner)
        if not permitted:
            raise PermissionError

    monkeypatch.setattr(os, "fchown", fchown)
    assert instance.command("send")[1] == (r.SENT if permitted else r.BROKEN)
    assert set(given) == {(12345, 54321)}
    if not permitted:
        assert instance.lines[-1].endswith(": BelongsToAnotherUser")
        assert instance.path.read_text() == before
        assert [path.name for path in instance.path.parent.iterdir()] == ["usage.json"]
        assert instance.server.requests == []


@row("the state contains other data of yours")
def test_other_data_and_the_mode_of_the_state_file_stay(instance):
    instance.path.write_text('{"theme": "dark"}')
    instance.path.chmod(0o640)
    rest = instance.path.with_name("usage.json.new")
    rest.write_text("of a crash")
    instance.command("opt-in")
    instance.now += 2 * DAY
    assert instance.command("send") == (0, r.SENT)
    assert instance.command("opt-out") == (0, r.ERASED)
    assert json.loads(instance.path.read_text()) == {"theme": "dark"}
    assert not rest.exists()
    for path in (instance.path, instance.path.with_name("usage.json.lock")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    instance.path.unlink()
    instance.command("opt-in")
    assert stat.S_IMODE(instance.path.stat().st_mode) == 0o600  # a new file is private


def test_a_lock_that_another_process_holds_prevents_reports(instance, monkeypatch):
    monkeypatch.setattr(r, "LOCK_WAIT", 0)
    with StateFile(instance.path).locked():
        assert instance.command("send") == (1, r.BROKEN)


def test_a_mapping_of_the_application_is_changed_only_under_its_lock(new_instance):
    lock = threading.Lock()

    class Locked(dict):
        def __setitem__(self, key, value):
            assert lock.locked()
            assert isinstance(value, str)
            super().__setitem__(key, value)

    state = Locked()
    usage = new_instance.reporter(state, lock=lambda: lock)
    assert usage.opt_in()
    assert usage.opted_in
    assert usage.opt_out() == r.NO_REPORT
    assert usage.opt_in()
    assert usage.send(now=True) == r.SENT
    assert usage.opt_out(forget=False) == r.NOT_ASKED.format("2027-11-29")
    assert state == {}
    assert new_instance.server.paths == ["/"]


def test_no_log_line_holds_the_id(instance):
    class Failing(dict):
        def __setitem__(self, key, value):
            raise OSError(value)

    known = instance.state["id"]
    for respond in (response(201), response(500), RESPONSES["no HTTP"]):
        instance.server.respond = respond
        instance.command("send", "--now")
    broken = instance.reporter(Failing(usage=json.dumps({"id": known, "slot": 0, "day": 1})))
    assert (broken.send(), broken.opt_out(), broken.opt_in([])) == (r.BROKEN, r.STUCK, False)
    assert instance.command("opt-out") == (0, r.ERASED)
    assert [line.rpartition(" ")[2] for line in instance.lines] == [
        *("201", "500", "BadStatusLine", "OSError", "OSError", "OSError", "204")
    ]
    assert known not in str(instance.lines)


# The rest of the command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["send"], "USAGE_REPORTING_STATE"),
        (["send", "--state", "unused.json"], "USAGE_REPORTING_URL"),
        (["preview", "--answers", "sso"], "argument --answers: invalid"),
    ],
)
def test_the_command_names_a_missing_or_invalid_argument(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        r.main(arguments, {})
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("reference", "image"),
    [
        *((None, None), ("", None), (":latest", None), ("app", "app"), ("a/b@sha256:0", "a/b")),
        *(("host:5000/a/b:tag@sha256:0", "host:5000/a/b"), ("host:5000/a/b", "host:5000/a/b")),
    ],
)
def test_the_environment_fills_in_what_the_application_omits(new_instance, reference, image):
    new_instance.environ = {"APP_VERSION": "1.3", "GIT_SHA": "abc", "DOCKER_TAG": reference}
    report = json.loads(new_instance.reporter().preview())["version"]
    assert report == {"app": "1.3", "sha": "abc", "image": image, "arch": r.architecture()}
    assert [*report] == [field.name for field in FIELDS]
    new_instance.environ = {}
    report = json.loads(new_instance.reporter(image=reference).preview())
    assert report["version"]["image"] == image


def test_an_architecture_names_a_library_that_is_not_the_usual_one():
    for built_for, arch in (
        ("x86_64-pc-linux-gnu", "x86_64-linux"),
        ("armv7l-unknown-linux-gnueabihf", "armv7l-linux-eabihf"),
        ("arm-linux-musleabihf", "arm-linux-musleabihf"),
    ):
        assert r.architecture("linux", built_for) == arch
    assert r.architecture("win32").endswith("-win32")


def test_the_file_is_python_3_9_and_has_no_dependencies():
    tree = ast.parse(inspect.getsource(r), feature_version=(3, 9))
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {getattr(node, "module", None) or node.names[0].name for node in nodes}
    assert {name.partition(".")[0] for name in names} - {"msvcrt"} <= sys.stdlib_module_names


def test_the_failure_table_has_a_test_for_each_row():
    table = rendering.markdown("clients").split("\n| situation | behavior |\n|---|---|\n")[1]
    assert {line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()} == ROWS
