"""The reporter, without a server: clock, environment, chance and sender are arguments."""

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
from collector.reports import parsing as reports

SOURCE = Path(module.__file__)
DAY, HOUR = 86_400, 3600
TODAY = 20_522  # days since 1970
NOON = TODAY * DAY + DAY // 2
LATE_MORNING = NOON - HOUR // 2  # the middle of the times that are drawn
URL = "http://count.example/"
FORGET = "http://count.example/forget"


class Server:
    """Stands for the network: what was sent, and what is answered or raised."""

    def __init__(self, answer=201):
        self.answer, self.requests = answer, []

    def __call__(self, url, body, deadline):
        self.requests.append((url, body))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    @property
    def bodies(self):
        return [body for _, body in self.requests]


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now

    def forward(self, seconds=DAY):
        self.now += seconds


class Unkept(dict):
    """State of a host whose database went away."""

    def __setitem__(self, key, value):
        raise RuntimeError(f"cannot keep {value}")


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["file", "mapping"])
def state(request, tmp_path):
    return StateFile(tmp_path / "usage.json") if request.param == "file" else {}


@pytest.fixture
def file(tmp_path):
    return StateFile(tmp_path / "usage.json")


@pytest.fixture
def make(server, clock):
    """An installation that reports in the late morning, its environment given as keywords."""

    def begin(state, draw=0.5, url=URL, given=None, **environ):
        return Reporter(
            url,
            state,
            **(given or {}),
            environ=environ,
            clock=clock,
            draw=lambda: draw,
            sender=server,
        )

    return begin


@pytest.fixture
def usage(make, state):
    return make(state)


def sent_id(body):
    return json.loads(body)["id"]


def test_it_works(usage, server, clock):
    assert usage.opt_in() is True
    assert usage.send() == WAITING
    clock.forward()
    preview = usage.preview()
    assert usage.send() == SENT
    assert server.requests == [(URL, preview)]


# The life cycle


def test_there_is_no_id_before_opting_in(usage, server, clock):
    assert not usage.opted_in
    assert json.loads(usage.preview())["id"] is None
    clock.forward(3 * DAY)
    assert usage.send() == OFF
    assert server.requests == []


def test_opting_in_makes_a_random_uuid_and_keeps_it(usage, make, state):
    usage.opt_in()
    first = uuid.UUID(sent_id(usage.preview()))
    assert first.version == 4
    usage.opt_in()
    make(state).opt_in()
    assert uuid.UUID(sent_id(make(state).preview())) == first


def test_opting_out_deletes_the_id_and_all_else(usage, state):
    usage.opt_in()
    assert usage.opt_out() is True
    assert not usage.opted_in
    assert [state.get(key) for key in (ID, SLOT, DAYS)] == [None] * 3


def test_opting_out_asks_the_server_to_forget(usage, server):
    usage.opt_in()
    known = sent_id(usage.preview())
    usage.opt_out()
    assert server.requests == [(FORGET, json.dumps({"id": known}).encode())]
    assert reports.parse_forget(server.bodies[0]) == known


def test_it_need_not(usage, server):
    usage.opt_in()
    usage.opt_out(forget=False)
    assert server.requests == []
    usage.opt_out()  # nobody is there who could be forgotten
    assert server.requests == []


def test_the_id_is_gone_before_the_server_is_asked(state, clock):
    seen = []
    usage = Reporter(URL, state, clock=clock, sender=lambda *_: seen.append(state.get(ID)) or 204)
    usage.opt_in()
    assert usage.opt_out()
    assert seen == [None]


@pytest.mark.parametrize("answer", [OSError("no"), 500, RuntimeError("no"), None])
def test_a_server_that_does_not_forget_changes_nothing(usage, server, answer):
    usage.opt_in()
    server.answer = answer
    assert usage.opt_out() is True
    assert not usage.opted_in


def test_opting_in_again_makes_another_id_and_another_time(make, state):
    make(state, draw=0.1).opt_in()
    before = (state.get(ID), state.get(SLOT))
    make(state).opt_out()
    make(state, draw=0.9).opt_in()
    assert state.get(ID) != before[0]
    assert state.get(SLOT) != before[1]


def test_opting_out_and_in_again_does_not_report_twice_a_day(usage, server, clock):
    usage.opt_in()
    clock.forward()
    usage.send()
    usage.opt_out(forget=False)
    usage.opt_in()
    assert usage.send() == WAITING
    assert len(server.requests) == 1


def test_a_lock_that_is_not_to_be_had_keeps_no_id_alive(make, file, tmp_path):
    make(file).opt_in()
    (tmp_path / "usage.json.lock").unlink()
    (tmp_path / "usage.json.lock").mkdir()
    assert make(file).opt_out() is True
    assert file.get(ID) is None


def test_it_can_be_opted_out_of_while_a_report_is_under_way(state, clock):
    outcomes = []

    def sending(url, *_):
        if url == URL:
            outcomes.append(usage.opt_out())
        return 201

    usage = Reporter(URL, state, environ={}, clock=clock, sender=sending)
    usage.opt_in()
    clock.forward(2 * DAY)
    assert usage.send() == SENT
    assert outcomes == [True]
    assert state.get(ID) is None
    clock.forward()
    assert usage.send() == OFF


# What is sent


def test_it_is_what_the_server_reads(make):
    state = {ID: str(uuid.uuid4())}
    body = make(state, given={"version": "0.91.0", "sha": "0a1b"}, DOCKER_TAG="x/y:1").preview()
    assert list(json.loads(body)["version"]) == [field.name for field in reports.FIELDS]
    report = reports.parse(body)
    assert report.id == state[ID]
    assert report.version == {"app": "0.91.0", "image": "x/y", "arch": architecture()}


def test_what_is_not_set_is_unknown_or_null(make):
    version = json.loads(make({}).preview())["version"]
    assert version == {"app": "unknown", "sha": "unknown", "image": None, "arch": architecture()}


def test_the_environment_tells_what_the_application_does_not(make):
    told = {"APP_VERSION": "1.2", "GIT_SHA": "abc", "DOCKER_TAG": "a/b:1.2"}
    version = json.loads(make({}, **told).preview())["version"]
    assert (version["app"], version["sha"], version["image"]) == ("1.2", "abc", "a/b")
    assert json.loads(make({}, given={"version": "2"}, **told).preview())["version"]["app"] == "2"


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
def test_an_image_is_without_its_tag(reference, name):
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
def test_a_platform_is_named_as_others_name_it(built_for, arch, family):
    assert architecture("linux", built_for) == arch
    assert folding.family(arch) == family


def test_a_platform_without_a_triplet_is_the_machine_s(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    assert architecture("win32") == "amd64-win32"


@pytest.mark.parametrize(
    ("environ", "url"),
    [
        ({}, URL),
        ({"USAGE_TRACKING_URL": "http://second.example"}, "http://second.example/"),
        (
            {"USAGE_REPORTING_URL": "http://a.example", "USAGE_TRACKING_URL": "http://b.example"},
            "http://a.example/",
        ),
        ({"USAGE_REPORTING_URL": ""}, URL),
    ],
)
def test_the_environment_says_where(make, server, clock, environ, url):
    usage = make({}, **environ)
    usage.opt_in()
    clock.forward()
    usage.send()
    usage.opt_out()
    assert [where for where, _ in server.requests] == [url, f"{url}forget"]


@pytest.mark.parametrize("url", ["http://count.example/tracker", "http://count.example/tracker/"])
def test_forgetting_is_asked_for_under_the_same_prefix(make, server, url):
    usage = make({}, url=url)
    usage.opt_in()
    usage.opt_out()
    assert server.requests[0][0] == "http://count.example/tracker/forget"


@pytest.mark.parametrize(
    ("value", "outcome"),
    [("1", OFF), ("true", OFF), ("no", OFF), ("", SENT), ("0", SENT), ("false", SENT)],
)
def test_do_not_track_is_honoured(make, state, clock, server, value, outcome):
    make(state).opt_in()
    clock.forward()
    assert make(state, DO_NOT_TRACK=value).send() == outcome
    assert len(server.requests) == (outcome == SENT)


def test_do_not_track_makes_no_id_and_keeps_nobody_from_opting_out(make, state):
    assert make(state, DO_NOT_TRACK="1").opt_in() is False
    assert state.get(ID) is None
    make(state).opt_in()
    assert make(state, DO_NOT_TRACK="1").opt_out() is True
    assert state.get(ID) is None


# When it is sent


def test_once_a_day_at_its_time(usage, server, clock):
    usage.opt_in()
    clock.now = (TODAY + 1) * DAY
    moments = []
    for _ in range(3 * 24 * 6):
        if usage.send() == SENT:
            moments.append(clock.now)
        clock.forward(600)
    assert moments == [LATE_MORNING + n * DAY for n in (1, 2, 3)]


def test_a_fleet_that_opts_in_at_once_is_spread_over_the_day(clock, server):
    chance = random.Random(9)
    fleet = [Reporter(URL, {}, clock=clock, draw=chance.random, sender=server) for _ in range(2300)]
    assert all(usage.opt_in() for usage in fleet)
    hours = []
    for hour in range(24):
        clock.now = (TODAY + 1) * DAY + hour * HOUR + 17 * 60  # as an hourly cron job
        hours.append(sum(usage.send() == SENT for usage in fleet))
    assert sum(hours) == 2300
    assert max(hours) < 150


def test_a_restart_does_not_report_twice(make, state, server, clock):
    make(state).opt_in()
    clock.forward()
    assert [make(state).send() for _ in range(3)] == [SENT, WAITING, WAITING]
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [OSError("down"), 301, 500, 200, None])
def test_a_failed_report_is_lost_and_the_next_one_is_not(usage, server, clock, answer):
    usage.opt_in()
    clock.forward()
    server.answer = answer
    assert [usage.send() for _ in range(5)] == [LOST] + [WAITING] * 4
    server.answer = 201
    clock.forward()
    assert usage.send() == SENT
    assert len(server.requests) == 2


def test_a_crash_while_sending_does_not_repeat(make, state, server, clock):
    class Crash(BaseException):
        pass

    make(state).opt_in()
    clock.forward()

    def crash(*_):
        raise Crash

    with pytest.raises(Crash):
        Reporter(URL, state, environ={}, clock=clock, sender=crash).send()
    assert make(state).send() == WAITING


def test_two_that_share_a_state_report_once(make, state, server, clock):
    make(state).opt_in()
    clock.forward()
    both = [make(StateFile(state.path) if isinstance(state, StateFile) else state) for _ in "12"]
    for usage in both * 20:
        threads = [threading.Thread(target=each.send) for each in both]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        usage.send()
    assert len(server.requests) == 1


def test_one_that_never_runs_at_its_time_reports_daily_all_the_same(make, state, clock):
    usage = make(state, draw=0.9)
    usage.opt_in()
    outcomes = []
    for _ in range(6):
        clock.now = (clock.now // DAY + 1) * DAY + 4 * HOUR
        outcomes.append(usage.send())
    assert outcomes == [WAITING, SENT, SENT, SENT, SENT, SENT]


def test_one_that_was_off_for_days_reports_at_once(usage, clock):
    usage.opt_in()
    clock.forward(9 * DAY - 11 * HOUR)
    assert [usage.send(), usage.send()] == [SENT, WAITING]


def test_a_clock_that_jumps_far_ahead_and_back_does_not_silence_it(usage, clock, server):
    usage.opt_in()
    clock.forward()
    outcomes = [usage.send()]
    for jump in (1000 * DAY, -1000 * DAY, 1000 * DAY, -1000 * DAY, DAY, DAY):
        clock.forward(jump)
        outcomes.append(usage.send())
    # Never twice on a day by either clock; and on the next day as if nothing had been.
    assert outcomes == [SENT, SENT, WAITING, WAITING, WAITING, SENT, SENT]


def test_a_clock_that_goes_back_an_hour_over_midnight_does_not_repeat(make, state, clock):
    usage = make(state, draw=0)
    usage.opt_in()
    clock.now = (TODAY + 1) * DAY
    outcomes = []
    for step in (-HOUR, HOUR, -HOUR, HOUR):
        outcomes.append(usage.send())
        clock.forward(step)
    assert outcomes == [SENT, WAITING, WAITING, WAITING]


def test_a_thread_looks_whether_it_is_time(make, server, clock):
    usage = make({})
    usage.opt_in()
    clock.forward()
    arrived = threading.Event()
    usage._sender = lambda *_: arrived.set() or 201
    stop = usage.start(every=0.001)
    assert arrived.wait(30)
    stop()


def test_a_host_without_threads_to_spare_goes_on(make, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    make({}).start()()


# The state


def test_the_file_is_private_and_nothing_is_left_beside_it(make, file, tmp_path):
    make(file).opt_in()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"usage.json", "usage.json.lock"}


def test_the_host_s_own_data_stays(make, file, clock):
    file.path.write_text('{"theme": "dark"}')
    usage = make(file)
    usage.opt_in()
    clock.forward()
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
def test_a_file_that_cannot_be_read_is_left_as_it_is_and_nothing_is_sent(
    make, file, server, clock, content
):
    file.path.write_bytes(content)
    usage = make(file)
    clock.forward()
    assert not usage.opted_in
    assert sent_id(usage.preview()) is None
    assert usage.send() == BROKEN
    assert usage.opt_in() is False
    assert usage.opt_out() is False
    assert file.path.read_bytes() == content
    assert server.requests == []


def test_an_empty_file_is_a_new_one(make, file):
    file.path.touch()
    assert make(file).opt_in() is True


def test_what_a_crash_left_of_a_write_is_not_read_and_goes_with_the_next(make, file, tmp_path):
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
def test_a_file_that_cannot_be_written_sends_nothing(
    make, file, server, clock, monkeypatch, error, call
):
    def refuse(*_):
        raise OSError(error, os.strerror(error))

    usage = make(file)
    usage.opt_in()
    clock.forward()
    with monkeypatch.context() as broken:
        broken.setattr(call, refuse)
        assert [usage.send(), usage.send()] == [BROKEN, BROKEN]
        assert usage.opt_out() is False
        assert make(StateFile(file.path.with_name("other"))).opt_in() is False
    assert usage.opted_in
    assert server.requests == []
    assert usage.send() == SENT  # once it can be written again


def test_a_file_that_may_not_be_read_counts_as_not_opted_in(make, file, server, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "no")

    make(file).opt_in()
    monkeypatch.setattr("pathlib.Path.read_text", refuse)
    assert not make(file).opted_in
    assert make(file).send() == BROKEN
    assert server.requests == []


def test_a_folder_that_is_not_there_is_not_made(make, tmp_path):
    usage = make(StateFile(tmp_path / "missing" / "usage.json"))
    assert usage.opt_in() is False
    assert usage.send() == BROKEN
    assert usage.opt_out() is True  # nothing is there
    assert not list(tmp_path.iterdir())


def test_a_mapping_that_fails_sends_nothing(make, clock, server, state):
    make(state).opt_in()
    clock.forward()
    broken = Unkept({name: state.get(name) for name in (ID, SLOT, DAYS)})
    assert make(broken).send() == BROKEN
    assert make(Unkept()).opt_in() is False
    assert server.requests == []


@pytest.mark.parametrize("damaged", [{DAYS: ""}, {DAYS: None}, {SLOT: "x"}, {SLOT: None, DAYS: 0}])
def test_a_damaged_schedule_waits_until_tomorrow(make, clock, server, damaged):
    state = {}
    make(state).opt_in()
    clock.forward()
    state.update(damaged)
    assert [make(state).send(), make(state).send()] == [WAITING, WAITING]
    clock.forward()
    assert make(state).send() == SENT


@pytest.mark.parametrize("damaged", ["", "my-server", 7, None, ["x"]])
def test_an_id_that_is_none_is_replaced_on_opting_in(make, damaged):
    usage = make({ID: damaged})
    assert not usage.opted_in
    assert usage.send() == OFF
    usage.opt_in()
    assert uuid.UUID(sent_id(usage.preview())).version == 4


def test_processes_that_share_a_mapping_bring_a_lock(clock, server):
    lock = threading.Lock()

    class Locked(dict):
        def __setitem__(self, key, value):
            assert lock.locked()
            super().__setitem__(key, value)

    usage = Reporter(URL, Locked(), lock=lambda: lock, environ={}, clock=clock, sender=server)
    assert usage.opt_in()
    clock.forward(2 * DAY)
    assert usage.send() == SENT


def test_a_lock_that_another_holds_is_waited_for_and_then_given_up(make, file, monkeypatch):
    monkeypatch.setattr(module, "LOCK_WAIT", 0.05)
    make(file).opt_in()
    with StateFile(file.path).locked():
        assert make(file).send() == BROKEN
        assert make(file).opt_out() is True  # deleting waits for nobody
    assert file.get(ID) is None


def test_it_locks_where_there_is_no_fcntl_too(make, file, monkeypatch):
    calls = []
    windows = types.SimpleNamespace(LK_NBLCK=2, locking=lambda *call: calls.append(call[1:]))
    monkeypatch.setattr(module, "fcntl", None)
    monkeypatch.setattr(module, "msvcrt", windows, raising=False)
    assert make(file).opt_in()
    assert calls == [(2, 1)]


# The logs


@pytest.fixture
def lines():
    """What is logged, as any handler of the host's would get it."""
    logged = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(handler.format(record))
    module.log.addHandler(handler)
    module.log.setLevel(logging.DEBUG)
    yield logged
    module.log.removeHandler(handler)
    module.log.setLevel(logging.NOTSET)


def test_no_log_line_holds_the_id(make, state, server, clock, lines):
    usage = make(state)
    usage.opt_in()
    known = sent_id(usage.preview())
    for answer in (201, 500, OSError(known), RuntimeError(known)):
        clock.forward()
        server.answer = answer
        usage.send()
    unkept = Unkept({name: state.get(name) for name in (ID, SLOT, DAYS)})
    unkept.__class__.pop = lambda *_: 1 / 0
    clock.forward()
    make(unkept).send()
    make(unkept).opt_out()
    make(Unkept()).opt_in()
    usage.opt_out()
    assert [line.rpartition(" ")[2] for line in lines] == [
        *("201.", "500.", "OSError", "RuntimeError"),
        *("RuntimeError", "ZeroDivisionError", "RuntimeError", "RuntimeError"),
    ]
    assert known not in str(lines)


def test_a_broken_state_is_said_once_and_not_every_minute(make, file, lines):
    file.path.write_text("{")
    usage = make(file)
    for _ in range(5):
        usage.send()
    assert lines == ["No usage report: its state cannot be read or written: JSONDecodeError"]


# The command


@pytest.fixture
def command(tmp_path, capsys, server, clock):
    def run(*arguments, **environ):
        environ = {"USAGE_REPORTING_STATE": str(tmp_path / "usage.json")} | environ
        options = {"clock": clock, "draw": lambda: 0.5, "sender": server}
        code = main(arguments, environ, **options)
        return code, capsys.readouterr().out.strip()

    return run


def test_the_command_does_what_the_class_does(command, clock, server):
    url = ("--url", URL, "--version", "1.2")
    assert json.loads(command("preview", *url)[1])["id"] is None
    assert command("send", *url) == (0, OFF)
    assert command("opt-in", *url)[0] == 0
    code, preview = command("preview", *url)
    assert code == 0
    assert command("send", *url) == (0, WAITING)
    clock.forward()
    assert command("send", *url) == (0, SENT)
    assert command("send", *url) == (0, WAITING)
    assert command("opt-out", *url) == (0, "Opted out: the id is deleted.")
    assert server.requests[0] == (URL, preview.encode())
    assert [url for url, _ in server.requests] == [URL, FORGET]


def test_opting_out_by_command_without_a_request(command, server):
    command("opt-in")
    assert command("opt-out", "--no-forget")[0] == 0
    assert server.requests == []


def test_the_command_fails_with_a_sentence(command, clock, server, tmp_path):
    url = ("--url", URL)
    assert command("opt-in", DO_NOT_TRACK="1")[0] == 1
    command("opt-in")
    clock.forward()
    server.answer = 500
    assert command("send", *url) == (1, LOST)
    (tmp_path / "usage.json").write_text("{")
    assert command("send", *url) == (1, BROKEN)
    assert command("opt-out", *url)[0] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["send"], "USAGE_REPORTING_STATE"),
        (["send", "--state", "unused.json"], "USAGE_REPORTING_URL"),
        (["report"], "invalid choice"),
    ],
)
def test_the_command_says_what_is_missing(capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        main(arguments, {})
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


# The file


def test_it_is_python_3_9_without_dependencies():
    tree = ast.parse(SOURCE.read_text(), feature_version=(3, 9))
    imported = {
        name.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert imported - {"msvcrt"} <= sys.stdlib_module_names


def test_every_function_is_short():
    tree = ast.parse(SOURCE.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert max(node.end_lineno - node.lineno for node in functions) < 25
