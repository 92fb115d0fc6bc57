"""The client, without a server: clock, environment, random numbers and sender are arguments."""

import ast
import errno
import json
import logging
import os
import random
import stat
import sys
import threading
import types
import uuid
from pathlib import Path

import pytest

from clients import reporter as module
from clients.reporter import (
    BROKEN,
    DAYS,
    ID,
    LOST,
    OFF,
    SENT,
    SLOT,
    WAITING,
    Reporter,
    StateFile,
    architecture,
    main,
    without_tag,
)
from collector.numbers import folding
from collector.reports.fields import FIELDS
from collector.reports.parsing import parse, parse_forget

DAY, HOUR = 86_400, 3600
TODAY = 20_522  # days since 1970
NOON = TODAY * DAY + DAY // 2
DUE = NOON - HOUR // 2  # when a report is due if the random number is 0.5
URL = "http://count.example/"


class Server:
    """Represents the network: records requests, and returns or raises `response`."""

    def __init__(self):
        self.response, self.requests = 201, []

    def __call__(self, url, body, deadline):
        self.requests.append((url, body))
        if isinstance(self.response, BaseException):
            raise self.response
        return self.response


class FailingMapping(dict):
    """The state of an application whose database is down."""

    def __setitem__(self, key, value):
        raise RuntimeError(f"cannot store {value}")

    def pop(self, key, default):
        raise ZeroDivisionError(self.get(key))


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def clock():
    """A clock at noon; `now` can be set."""
    return types.SimpleNamespace(now=NOON)


@pytest.fixture
def file(tmp_path):
    return StateFile(tmp_path / "usage.json")


@pytest.fixture(params=["file", "mapping"])
def state(request, file):
    return file if request.param == "file" else {}


@pytest.fixture
def make(server, clock):
    """Return a function that makes a client; its keywords are environment variables."""

    def begin(state, draw=0.5, url=URL, given=None, sender=server, **environ):
        fakes = {"clock": lambda: clock.now, "draw": lambda: draw, "sender": sender}
        return Reporter(url, state, **(given or {}), environ=environ, **fakes)

    return begin


@pytest.fixture
def usage(make, state):
    return make(state)


@pytest.fixture
def due(usage, clock):
    """A client that opted in, and whose report is due."""
    assert usage.opt_in()
    clock.now += DAY
    return usage


def preview(usage):
    return json.loads(usage.preview())


def fail(error):
    """Return a function that raises an error, whatever its arguments."""

    def failing(*_, **__):
        raise error

    return failing


# Opting in and out


def test_the_first_report_is_sent_on_the_day_after_opting_in_and_is_the_preview(
    usage, server, clock
):
    assert usage.opt_in() is True
    assert usage.send() == WAITING
    clock.now += DAY
    expected = usage.preview()
    assert usage.send() == SENT
    assert server.requests == [(URL, expected)]


def test_nothing_is_sent_and_no_id_exists_before_opting_in(usage, server, clock):
    clock.now += 3 * DAY
    assert not usage.opted_in
    assert preview(usage)["id"] is None
    assert usage.send() == OFF
    assert server.requests == []


def test_opting_in_creates_a_random_uuid_once(usage, make, state):
    usage.opt_in()
    first = preview(usage)["id"]
    assert uuid.UUID(first).version == 4
    usage.opt_in()
    make(state).opt_in()
    assert preview(make(state))["id"] == first


def test_opting_out_empties_the_state_before_it_asks_the_server_to_erase(make, state):
    def sender(url, body, _):
        requests.append((url, parse_forget(body), [state.get(key) for key in (ID, SLOT, DAYS)]))
        return 204

    requests = []
    usage = make(state, sender=sender)
    usage.opt_in()
    identifier = preview(usage)["id"]
    assert usage.opt_out() is True
    assert not usage.opted_in
    assert requests == [(f"{URL}forget", identifier, [None] * 3)]


def test_opting_out_sends_no_request_if_told_so_or_if_there_is_no_id(usage, server):
    usage.opt_in()
    usage.opt_out(forget=False)
    usage.opt_out()
    assert server.requests == []


@pytest.mark.parametrize("response", [OSError("no"), 500, RuntimeError("no"), None])
def test_opting_out_succeeds_even_if_the_server_does_not_erase(usage, server, response):
    usage.opt_in()
    server.response = response
    assert usage.opt_out() is True
    assert not usage.opted_in


def test_opting_in_again_creates_another_id_and_another_time(make, state):
    make(state, draw=0.1).opt_in()
    before = state.get(ID), state.get(SLOT)
    make(state).opt_out()
    make(state, draw=0.9).opt_in()
    assert state.get(ID) != before[0]
    assert state.get(SLOT) != before[1]


def test_opting_out_and_in_again_does_not_report_twice_a_day(due, server):
    due.send()
    due.opt_out(forget=False)
    due.opt_in()
    assert due.send() == WAITING
    assert len(server.requests) == 1


def test_opting_out_while_a_report_is_being_sent_succeeds(make, state, clock):
    def sender(url, *_):
        if url == URL:
            assert usage.opt_out() is True
        return 201

    usage = make(state, sender=sender)
    usage.opt_in()
    clock.now += 2 * DAY
    assert usage.send() == SENT
    assert state.get(ID) is None
    clock.now += DAY
    assert usage.send() == OFF


# What is sent


def test_the_server_accepts_the_report(make):
    state = {ID: str(uuid.uuid4())}
    given = {"version": "0.91.0", "sha": "0a1b"}
    body = make(state, given=given, DOCKER_TAG="x/y:1").preview()
    assert list(json.loads(body)["version"]) == [field.name for field in FIELDS]
    report = parse(body)
    assert report.id == state[ID]
    assert report.version == {"app": "0.91.0", "image": "x/y", "arch": architecture()}


@pytest.mark.parametrize(
    ("given", "environ", "version"),
    [
        ({}, {}, ("unknown", "unknown", None)),
        (
            {},
            {"APP_VERSION": "1.2", "GIT_SHA": "abc", "DOCKER_TAG": "a/b:1.2"},
            ("1.2", "abc", "a/b"),
        ),
        ({"version": "2", "sha": "d", "image": "c"}, {"APP_VERSION": "1.2"}, ("2", "d", "c")),
    ],
)
def test_arguments_come_before_the_environment_and_both_before_unknown(
    make, given, environ, version
):
    report = preview(make({}, given=given, **environ))["version"]
    assert tuple(report.values()) == (*version, architecture())


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        (None, None),
        ("", None),
        ("manyfold", "manyfold"),
        ("manyfold:latest", "manyfold"),
        ("ghcr.io/manyfold3d/manyfold:0.91.0", "ghcr.io/manyfold3d/manyfold"),
        ("host:5000/a/b:tag", "host:5000/a/b"),
        ("host:5000/a/b", "host:5000/a/b"),
        ("a/b:1@sha256:0123", "a/b"),
        ("a/b@sha256:0123", "a/b"),
        (":latest", None),
    ],
)
def test_an_image_is_sent_without_its_tag_and_digest(reference, name):
    assert without_tag(reference) == name


@pytest.mark.parametrize(
    ("built_for", "arch", "family"),
    [
        ("x86_64-pc-linux-gnu", "x86_64-linux", "64-bit x86"),
        ("x86_64-linux-musl", "x86_64-linux-musl", "64-bit x86"),
        ("aarch64-unknown-linux-gnu", "aarch64-linux", "64-bit ARM"),
        ("armv7l-unknown-linux-gnueabihf", "armv7l-linux-eabihf", "32-bit ARM"),
        ("arm-linux-musleabihf", "arm-linux-musleabihf", "32-bit ARM"),
    ],
)
def test_an_architecture_has_the_name_that_the_server_folds(built_for, arch, family):
    assert architecture("linux", built_for) == arch
    assert folding.family(arch) == family


def test_an_architecture_without_a_triplet_is_the_name_of_the_machine(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    assert architecture("win32") == "amd64-win32"


@pytest.mark.parametrize(
    ("url", "environ", "base"),
    [
        (URL, {}, URL),
        (URL, {"USAGE_REPORTING_URL": ""}, URL),
        (URL, {"USAGE_TRACKING_URL": "http://b.example"}, "http://b.example/"),
        (
            URL,
            {"USAGE_REPORTING_URL": "http://a.example", "USAGE_TRACKING_URL": "http://b.example"},
            "http://a.example/",
        ),
        ("http://count.example/tracker/", {}, "http://count.example/tracker/"),
    ],
)
def test_requests_go_to_the_url_of_the_environment_or_else_to_the_argument(
    make, server, clock, url, environ, base
):
    usage = make({}, url=url, **environ)
    usage.opt_in()
    clock.now += DAY
    usage.send()
    usage.opt_out()
    assert [url for url, _ in server.requests] == [base, f"{base}forget"]


@pytest.mark.parametrize(
    ("value", "result"),
    [("1", OFF), ("true", OFF), ("no", OFF), ("", SENT), ("0", SENT), ("false", SENT)],
)
def test_do_not_track_prevents_reports(due, make, state, server, value, result):
    assert make(state, DO_NOT_TRACK=value).send() == result
    assert len(server.requests) == (result == SENT)


def test_do_not_track_prevents_opting_in_and_not_opting_out(make, state):
    assert make(state, DO_NOT_TRACK="1").opt_in() is False
    assert state.get(ID) is None
    make(state).opt_in()
    assert make(state, DO_NOT_TRACK="1").opt_out() is True
    assert state.get(ID) is None


# When it is sent


def test_a_report_is_sent_every_day_at_the_same_time(usage, clock):
    usage.opt_in()
    sent = []
    for clock.now in range((TODAY + 1) * DAY, (TODAY + 4) * DAY, 600):
        if usage.send() == SENT:
            sent.append(clock.now)
    assert sent == [DUE + day * DAY for day in (1, 2, 3)]


def test_the_reports_of_a_fleet_that_opts_in_at_once_are_spread_over_the_day(make, clock):
    source = random.Random(9)
    fleet = [make({}, draw=source.random()) for _ in range(2300)]
    assert all(usage.opt_in() for usage in fleet)
    hours = []
    for hour in range(24):
        clock.now = (TODAY + 1) * DAY + hour * HOUR + 17 * 60  # as in an hourly cron job
        hours.append(sum(usage.send() == SENT for usage in fleet))
    assert sum(hours) == 2300
    assert max(hours) < 150


def test_a_restart_does_not_report_twice(due, make, state, server):
    assert [make(state).send() for _ in range(3)] == [SENT, WAITING, WAITING]
    assert len(server.requests) == 1


@pytest.mark.parametrize("response", [OSError("down"), 301, 500, 200, None])
def test_a_failed_report_is_lost_and_the_next_day_is_not(due, server, clock, response):
    server.response = response
    assert [due.send() for _ in range(5)] == [LOST] + [WAITING] * 4
    server.response = 201
    clock.now += DAY
    assert due.send() == SENT
    assert len(server.requests) == 2


def test_a_crash_while_sending_does_not_repeat_the_report(due, make, state, server):
    server.response = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        due.send()
    assert make(state).send() == WAITING


def test_two_clients_with_the_same_state_send_one_report(due, make, state, server):
    both = [make(StateFile(state.path) if isinstance(state, StateFile) else state) for _ in "12"]
    for _ in range(40):
        threads = [threading.Thread(target=each.send) for each in both]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert len(server.requests) == 1


def test_a_client_that_never_runs_at_its_time_reports_every_day(make, state, clock):
    usage = make(state, draw=0.9)
    usage.opt_in()
    results = []
    for day in range(1, 7):
        clock.now = (TODAY + day) * DAY + 4 * HOUR
        results.append(usage.send())
    assert results == [WAITING, SENT, SENT, SENT, SENT, SENT]


def test_a_client_that_was_off_for_days_reports_at_once(usage, clock):
    usage.opt_in()
    clock.now += 9 * DAY - 11 * HOUR
    assert [usage.send(), usage.send()] == [SENT, WAITING]


def test_a_clock_that_jumps_forward_and_back_does_not_repeat_or_prevent_reports(due, clock):
    results = [due.send()]
    for jump in (1000 * DAY, -1000 * DAY, 1000 * DAY, -1000 * DAY, DAY, DAY):
        clock.now += jump
        results.append(due.send())
    assert results == [SENT, SENT, WAITING, WAITING, WAITING, SENT, SENT]


def test_a_clock_that_goes_back_over_midnight_does_not_repeat_reports(make, state, clock):
    usage = make(state, draw=0)
    usage.opt_in()
    clock.now = (TODAY + 1) * DAY
    results = []
    for step in (-HOUR, HOUR, -HOUR, HOUR):
        results.append(usage.send())
        clock.now += step
    assert results == [SENT, WAITING, WAITING, WAITING]


def test_start_sends_the_report_from_a_thread_until_it_is_stopped(make, clock):
    arrived = threading.Event()
    usage = make({}, sender=lambda *_: arrived.set() or 201)
    usage.opt_in()
    clock.now += DAY
    stop = usage.start(every=0.001)
    assert arrived.wait(30)
    stop()


def test_start_raises_nothing_if_no_thread_can_be_started(make, monkeypatch):
    monkeypatch.setattr(threading.Thread, "start", fail(RuntimeError("can't start new thread")))
    make({}).start()()


# The state


def test_the_file_is_private_and_only_its_lock_is_beside_it(make, file, tmp_path):
    make(file).opt_in()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"usage.json", "usage.json.lock"}


def test_other_data_in_the_file_does_not_change(make, file, clock):
    file.path.write_text('{"theme": "dark"}')
    usage = make(file)
    usage.opt_in()
    clock.now += DAY
    usage.send()
    usage.opt_out()
    assert json.loads(file.path.read_text()) == {"theme": "dark"}


UNREADABLE = {
    "half written": b'{"usage_id": "fdb45536-cba8-4204-b352-71fc1062fd95", "usa',
    "not JSON": b"theme = dark\n",
    "not an object": b"[1, 2]",
    "not text": b"\xff\xfe\x00",
    "deeper than the stack": b"[" * 200_000,
}


@pytest.mark.parametrize("content", UNREADABLE.values(), ids=UNREADABLE)
def test_an_unreadable_file_does_not_change_and_nothing_is_sent(make, file, server, content):
    file.path.write_bytes(content)
    usage = make(file)
    assert not usage.opted_in
    assert preview(usage)["id"] is None
    assert (usage.send(), usage.opt_in(), usage.opt_out()) == (BROKEN, False, False)
    assert file.path.read_bytes() == content
    assert server.requests == []


def test_an_empty_file_can_be_opted_in_with(make, file):
    file.path.touch()
    assert make(file).opt_in() is True


def test_the_next_write_deletes_what_a_crash_left_of_a_write(make, file, tmp_path):
    make(file).opt_in()
    left = tmp_path / "usage.json.new"
    left.write_text('{"usage_id": "fdb4')
    usage = make(StateFile(file.path))
    assert usage.opted_in
    usage.opt_out()
    assert not left.exists()
    assert not usage.opted_in


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EBUSY])
@pytest.mark.parametrize("call", ["os.open", "os.fsync", "pathlib.Path.replace"])
def test_nothing_is_sent_while_the_file_cannot_be_written(
    make, file, server, clock, monkeypatch, error, call
):
    usage = make(file)
    usage.opt_in()
    clock.now += DAY
    with monkeypatch.context() as broken:
        broken.setattr(call, fail(OSError(error, os.strerror(error))))
        assert [usage.send(), usage.send()] == [BROKEN, BROKEN]
        assert usage.opt_out() is False
        assert make(StateFile(file.path.with_name("other"))).opt_in() is False
    assert usage.opted_in
    assert server.requests == []
    assert usage.send() == SENT


def test_a_file_without_read_permission_counts_as_not_opted_in(make, file, server, monkeypatch):
    make(file).opt_in()
    monkeypatch.setattr("pathlib.Path.read_text", fail(PermissionError(errno.EACCES, "no")))
    assert not make(file).opted_in
    assert make(file).send() == BROKEN
    assert server.requests == []


def test_a_missing_folder_is_not_created(make, tmp_path):
    usage = make(StateFile(tmp_path / "missing" / "usage.json"))
    assert (usage.opt_in(), usage.send()) == (False, BROKEN)
    assert usage.opt_out() is True  # there is no id
    assert not list(tmp_path.iterdir())


def test_a_mapping_that_fails_sends_nothing(due, make, server, state):
    failing = FailingMapping({name: state.get(name) for name in (ID, SLOT, DAYS)})
    assert make(failing).send() == BROKEN
    assert make(failing).opt_out() is False
    assert make(FailingMapping()).opt_in() is False
    assert server.requests == []


@pytest.mark.parametrize("damaged", [{DAYS: ""}, {DAYS: None}, {SLOT: "x"}, {SLOT: None, DAYS: 0}])
def test_a_damaged_schedule_continues_tomorrow(make, clock, damaged):
    state = {}
    make(state).opt_in()
    clock.now += DAY
    state.update(damaged)
    assert [make(state).send(), make(state).send()] == [WAITING, WAITING]
    clock.now += DAY
    assert make(state).send() == SENT


@pytest.mark.parametrize("damaged", ["", "my-server", 7, None, ["x"]])
def test_opting_in_replaces_an_invalid_id(make, damaged):
    usage = make({ID: damaged})
    assert not usage.opted_in
    assert usage.send() == OFF
    usage.opt_in()
    assert uuid.UUID(preview(usage)["id"]).version == 4


def test_a_mapping_is_changed_only_with_the_lock_that_was_passed(make, clock):
    lock = threading.Lock()

    class Locked(dict):
        def __setitem__(self, key, value):
            assert lock.locked()
            super().__setitem__(key, value)

    usage = make(Locked(), given={"lock": lambda: lock})
    assert usage.opt_in()
    clock.now += 2 * DAY
    assert usage.send() == SENT


def test_a_lock_that_is_never_released_prevents_reports_and_not_opting_out(make, file, monkeypatch):
    monkeypatch.setattr(module, "LOCK_WAIT", 0.05)
    make(file).opt_in()
    with StateFile(file.path).locked():
        assert make(file).send() == BROKEN
        assert make(file).opt_out() is True
    assert file.get(ID) is None


def test_a_lock_that_cannot_be_created_does_not_prevent_opting_out(make, file, tmp_path):
    make(file).opt_in()
    (tmp_path / "usage.json.lock").unlink()
    (tmp_path / "usage.json.lock").mkdir()
    assert make(file).opt_out() is True
    assert file.get(ID) is None


def test_the_file_is_locked_on_windows(make, file, monkeypatch):
    calls = []
    windows = types.SimpleNamespace(LK_NBLCK=2, locking=lambda *call: calls.append(call[1:]))
    monkeypatch.setattr(module, "fcntl", None)
    monkeypatch.setattr(module, "msvcrt", windows, raising=False)
    assert make(file).opt_in()
    assert calls == [(2, 1)]


# The logs


@pytest.fixture
def lines():
    """What is logged, as a handler of the application would print it."""
    lines = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(handler.format(record))
    module.log.addHandler(handler)
    module.log.setLevel(logging.DEBUG)
    yield lines
    module.log.removeHandler(handler)
    module.log.setLevel(logging.NOTSET)


def test_no_log_line_contains_the_id(due, make, state, server, clock, lines):
    identifier = preview(due)["id"]
    for server.response in (201, 500, OSError(identifier), RuntimeError(identifier)):
        due.send()
        clock.now += DAY
    failing = FailingMapping({name: state.get(name) for name in (ID, SLOT, DAYS)})
    make(failing).send()
    make(failing).opt_out()
    make(FailingMapping()).opt_in()
    due.opt_out()
    assert [line.rpartition(" ")[2] for line in lines] == [
        *("201.", "500.", "OSError", "RuntimeError"),
        *("RuntimeError", "ZeroDivisionError", "RuntimeError", "RuntimeError"),
    ]
    assert identifier not in str(lines)


def test_an_unreadable_state_is_logged_once(make, file, lines):
    file.path.write_text("{")
    usage = make(file)
    for _ in range(5):
        usage.send()
    assert lines == ["No usage report: the state cannot be read or written: JSONDecodeError"]


# The command


@pytest.fixture
def command(file, capsys, server, clock):
    """Return a function that runs the command; it returns the exit status and the output."""

    def run(*arguments, **environ):
        environ = {"USAGE_REPORTING_STATE": str(file.path)} | environ
        fakes = {"clock": lambda: clock.now, "draw": lambda: 0.5, "sender": server}
        status = main([*arguments, "--url", URL], environ, **fakes)
        return status, capsys.readouterr().out.strip()

    return run


def test_the_command_previews_opts_in_sends_and_opts_out(command, clock, server):
    assert json.loads(command("preview")[1])["id"] is None
    assert command("send") == (0, OFF)
    assert command("opt-in")[0] == 0
    _, preview = command("preview", "--version", "1.2")
    assert command("send") == (0, WAITING)
    clock.now += DAY
    assert command("send", "--version", "1.2") == (0, SENT)
    assert command("send") == (0, WAITING)
    assert command("opt-out") == (0, "Opted out. The id is deleted.")
    assert server.requests[0] == (URL, preview.encode())
    assert [url for url, _ in server.requests] == [URL, f"{URL}forget"]


def test_the_command_opts_out_without_a_request_if_told_so(command, server):
    command("opt-in")
    assert command("opt-out", "--no-forget")[0] == 0
    assert server.requests == []


def test_the_command_exits_with_1_and_a_message_if_it_fails(command, clock, server, file):
    assert command("opt-in", DO_NOT_TRACK="1")[0] == 1
    command("opt-in")
    clock.now += DAY
    server.response = 500
    assert command("send") == (1, LOST)
    file.path.write_text("{")
    assert command("send") == (1, BROKEN)
    assert command("opt-out")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["send"], "USAGE_REPORTING_STATE"),
        (["send", "--state", "unused.json"], "USAGE_REPORTING_URL"),
        (["report"], "invalid choice"),
    ],
)
def test_the_command_exits_with_2_and_says_which_argument_is_wrong(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main(arguments, {})
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


# The file


def test_the_client_is_python_3_9_without_dependencies():
    tree = ast.parse(Path(module.__file__).read_text(), feature_version=(3, 9))
    imports = [node.names for node in ast.walk(tree) if isinstance(node, ast.Import)]
    packages = {name.name.partition(".")[0] for names in imports for name in names}
    froms = {
        node.module.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
    }
    assert (packages | froms) - {"msvcrt"} <= sys.stdlib_module_names
