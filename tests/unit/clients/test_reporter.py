"""The reporter without a server: the tests pass the clock, the environment and the sender."""

import ast
import contextlib
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
from collector.reports.fields import FIELDS

SOURCE = Path(module.__file__)
DAY, HOUR = 86_400, 3600
TODAY = 20_522  # days since 1970
NOON = TODAY * DAY + DAY // 2
LATE_MORNING = NOON - HOUR // 2  # what a draw of 0.5 gives
URL = "http://count.example/"
FORGET = "http://count.example/forget"


class Network:
    """A sender that records the requests, and returns or raises the answer."""

    def __init__(self, answer=201):
        self.answer, self.requests = answer, []

    def __call__(self, url, body, deadline):
        self.requests.append((url, body))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now

    def forward(self, seconds=DAY):
        self.now += seconds


class ReadOnly(dict):
    """The state of an application whose database refuses writes."""

    def __setitem__(self, key, value):
        raise RuntimeError(f"cannot write {value}")


@pytest.fixture
def network():
    return Network()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def file(tmp_path):
    return StateFile(tmp_path / "usage.json")


@pytest.fixture(params=["file", "mapping"])
def state(request, file):
    return file if request.param == "file" else {}


@pytest.fixture
def make(network, clock):
    """Make a reporter whose time is in the late morning; its environment is given as keywords."""

    def begin(state, draw=0.5, url=URL, given=None, **environ):
        options = {"environ": environ, "clock": clock, "draw": lambda: draw, "sender": network}
        return Reporter(url, state, **(given or {}), **options)

    return begin


@pytest.fixture
def usage(make, state):
    return make(state)


@pytest.fixture
def due(usage, clock):
    """A reporter that is opted in and whose report is due."""
    assert usage.opt_in() is True
    assert usage.send() == WAITING
    clock.forward()
    return usage


def sent_id(body):
    return json.loads(body)["id"]


def copied(state):
    return {name: state.get(name) for name in (ID, SLOT, DAYS)}


# Opting in and out


def test_nothing_is_sent_and_no_id_exists_before_opting_in(usage, network, clock):
    assert not usage.opted_in
    assert sent_id(usage.preview()) is None
    clock.forward(3 * DAY)
    assert usage.send() == OFF
    assert network.requests == []


def test_answers_are_previewed_and_sent_without_those_that_are_none(make, clock, network):
    answers = {"database": "postgresql", "users": 12, "sso": None}
    usage = make({}, given={"answers": answers})
    usage.opt_in()
    clock.forward()
    assert json.loads(usage.preview())["answers"] == {"database": "postgresql", "users": 12}
    assert usage.send() == SENT
    assert json.loads(network.requests[0][1])["answers"] == {"database": "postgresql", "users": 12}


def test_a_function_is_asked_for_answers_for_each_report(make):
    numbers = iter([12, 13])
    usage = make({}, given={"answers": lambda: {"users": next(numbers)}})
    assert [json.loads(usage.preview())["answers"]["users"] for _ in range(2)] == [12, 13]


@pytest.mark.parametrize("answers", [lambda: 1 / 0, lambda: ["sso"], {"sso": object()}, 7])
def test_answers_that_cannot_be_had_are_left_out_and_logged_without_them(make, lines, answers):
    preview = make({}, given={"answers": answers}).preview()
    assert preview == make({}).preview()
    (line,) = lines
    assert line.startswith("The report has no answers: ")
    assert line.endswith("Error")


@pytest.mark.parametrize("answers", [None, {}, {"sso": None}, dict])
def test_a_report_without_answers_is_as_it_was_before_there_were_any(make, answers):
    preview = json.loads(make({}, given={"answers": answers}).preview())
    assert [*preview] == ["id", "version"]


def test_send_sends_the_preview(due, network):
    preview = due.preview()
    assert due.send() == SENT
    assert network.requests == [(URL, preview)]


def test_opt_in_creates_a_random_uuid_once(usage, make, state):
    usage.opt_in()
    first = uuid.UUID(sent_id(usage.preview()))
    assert first.version == 4
    usage.opt_in()
    make(state).opt_in()
    assert uuid.UUID(sent_id(make(state).preview())) == first


def test_opt_out_deletes_the_state_and_asks_the_server_to_forget(usage, state, network):
    usage.opt_in()
    known = sent_id(usage.preview())
    assert usage.opt_out() is True
    assert not usage.opted_in
    assert set(copied(state).values()) == {None}
    ((url, body),) = network.requests
    assert url == FORGET
    assert reports.parse_forget(body) == known


def test_opt_out_sends_nothing_if_told_so_or_if_there_is_no_id(usage, network):
    usage.opt_in()
    usage.opt_out(forget=False)
    usage.opt_out()
    assert network.requests == []


@pytest.mark.parametrize("answer", [204, 500, None, OSError("no"), RuntimeError("no")])
def test_opt_out_deletes_the_id_before_it_asks_the_server_whatever_that_answers(
    state, clock, answer
):
    seen, network = [], Network(answer)

    def sender(*request):
        seen.append(state.get(ID))
        return network(*request)

    usage = Reporter(URL, state, environ={}, clock=clock, sender=sender)
    usage.opt_in()
    assert usage.opt_out() is True
    assert not usage.opted_in
    assert seen == [None]


def test_opting_in_again_creates_another_id_and_time_and_no_second_report(make, state, clock):
    first = make(state, draw=0.1)
    first.opt_in()
    clock.forward()
    assert first.send() == SENT
    before = copied(state)
    first.opt_out(forget=False)
    again = make(state, draw=0.9)
    again.opt_in()
    assert state.get(ID) != before[ID]
    assert state.get(SLOT) != before[SLOT]
    assert again.send() == WAITING


def test_opt_out_works_while_a_report_is_being_sent(state, clock):
    outcomes = []

    def sender(url, *_):
        if url == URL:
            outcomes.append(usage.opt_out())
        return 201

    usage = Reporter(URL, state, environ={}, clock=clock, sender=sender)
    usage.opt_in()
    clock.forward(2 * DAY)
    assert usage.send() == SENT
    assert outcomes == [True]
    assert state.get(ID) is None
    clock.forward()
    assert usage.send() == OFF


# What is sent, and where


def test_the_server_parses_the_report(make):
    state = {ID: str(uuid.uuid4())}
    body = make(state, given={"version": "0.91.0", "sha": "0a1b"}, DOCKER_TAG="x/y:1").preview()
    assert list(json.loads(body)["version"]) == [field.name for field in FIELDS]
    report = reports.parse(body)
    assert report.id == state[ID]
    assert report.version == {"app": "0.91.0", "image": "x/y", "arch": architecture()}


ENVIRON = {"APP_VERSION": "1.2", "GIT_SHA": "abc", "DOCKER_TAG": "a/b:1.2"}


@pytest.mark.parametrize(
    ("given", "environ", "sent"),
    [
        ({}, {}, ("unknown", "unknown", None)),
        ({}, ENVIRON, ("1.2", "abc", "a/b")),
        ({"version": "2"}, ENVIRON, ("2", "abc", "a/b")),
    ],
)
def test_the_environment_fills_in_what_the_application_omits(make, given, environ, sent):
    version = json.loads(make({}, given=given, **environ).preview())["version"]
    assert (version["app"], version["sha"], version["image"]) == sent
    assert version["arch"] == architecture()


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
def test_an_image_loses_its_tag_and_digest(reference, name):
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
def test_the_server_knows_the_family_of_a_platform(built_for, arch, family):
    assert architecture("linux", built_for) == arch
    assert folding.family(arch) == family


def test_a_platform_without_a_triplet_is_named_after_the_machine(monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "AMD64")
    assert architecture("win32") == "amd64-win32"


A, B = "http://a.example", "http://b.example"


@pytest.mark.parametrize(
    ("url", "environ", "sent_to", "forget"),
    [
        (URL, {}, URL, FORGET),
        (URL, {"USAGE_REPORTING_URL": ""}, URL, FORGET),
        (URL, {"USAGE_TRACKING_URL": B}, f"{B}/", f"{B}/forget"),
        (URL, {"USAGE_REPORTING_URL": A, "USAGE_TRACKING_URL": B}, f"{A}/", f"{A}/forget"),
        (f"{A}/tracker", {}, f"{A}/tracker", f"{A}/tracker/forget"),
        (f"{A}/tracker/", {}, f"{A}/tracker/", f"{A}/tracker/forget"),
    ],
)
def test_requests_go_to_the_url_of_the_environment_or_the_application(
    make, network, clock, url, environ, sent_to, forget
):
    usage = make({}, url=url, **environ)
    usage.opt_in()
    clock.forward()
    usage.send()
    usage.opt_out()
    assert [where for where, _ in network.requests] == [sent_to, forget]


@pytest.mark.parametrize(
    ("value", "outcome"),
    [("1", OFF), ("true", OFF), ("no", OFF), ("", SENT), ("0", SENT), ("false", SENT)],
)
def test_do_not_track_prevents_reports(due, make, state, network, value, outcome):
    assert make(state, DO_NOT_TRACK=value).send() == outcome
    assert len(network.requests) == (outcome == SENT)


def test_do_not_track_prevents_opting_in_but_not_opting_out(make, state):
    assert make(state, DO_NOT_TRACK="1").opt_in() is False
    assert state.get(ID) is None
    make(state).opt_in()
    assert make(state, DO_NOT_TRACK="1").opt_out() is True
    assert state.get(ID) is None


# When a report is sent


def test_a_report_is_sent_once_a_day_at_the_time_drawn(usage, clock):
    usage.opt_in()
    clock.now = (TODAY + 1) * DAY
    moments = []
    for _ in range(3 * 24 * 6):
        if usage.send() == SENT:
            moments.append(clock.now)
        clock.forward(600)
    assert moments == [LATE_MORNING + n * DAY for n in (1, 2, 3)]


def test_instances_that_opt_in_at_once_report_spread_over_the_day(clock, network):
    draw = random.Random(9).random
    fleet = [Reporter(URL, {}, clock=clock, draw=draw, sender=network) for _ in range(460)]
    assert all(usage.opt_in() for usage in fleet)
    hours = []
    for hour in range(24):
        clock.now = (TODAY + 1) * DAY + hour * HOUR + 17 * 60  # an hourly cron job
        hours.append(sum(usage.send() == SENT for usage in fleet))
    assert sum(hours) == 460
    assert max(hours) < 50


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(201, SENT), (200, LOST), (301, LOST), (500, LOST), (None, LOST), (OSError("down"), LOST)],
)
def test_a_report_is_not_repeated_by_a_restart_or_a_failure_and_the_next_one_is_sent(
    due, make, state, network, clock, answer, outcome
):
    network.answer = answer
    assert [due.send(), due.send()] == [outcome, WAITING]
    assert [make(state).send(), make(state).send()] == [WAITING, WAITING]
    network.answer = 201
    clock.forward()
    assert due.send() == SENT
    assert len(network.requests) == 2


def test_a_crash_during_a_report_does_not_repeat_it(due, make, state, network):
    network.answer = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        due.send()
    assert make(state).send() == WAITING


def test_two_threads_that_share_a_state_report_once(due, make, state, network):
    both = [make(StateFile(state.path) if isinstance(state, StateFile) else state) for _ in "12"]
    for usage in both * 20:
        threads = [threading.Thread(target=each.send) for each in both]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        usage.send()
    assert len(network.requests) == 1


def test_an_instance_that_never_runs_at_its_time_still_reports_daily(make, state, clock):
    usage = make(state, draw=0.9)
    usage.opt_in()
    outcomes = []
    for _ in range(6):
        clock.now = (clock.now // DAY + 1) * DAY + 4 * HOUR
        outcomes.append(usage.send())
    assert outcomes == [WAITING, SENT, SENT, SENT, SENT, SENT]


def test_an_instance_that_was_off_for_days_reports_once_at_once(usage, clock):
    usage.opt_in()
    clock.forward(9 * DAY - 11 * HOUR)
    assert [usage.send(), usage.send()] == [SENT, WAITING]


def test_a_clock_that_jumps_far_ahead_and_back_causes_no_repetition_and_no_silence(due, clock):
    outcomes = [due.send()]
    for jump in (1000 * DAY, -1000 * DAY, 1000 * DAY, -1000 * DAY, DAY, DAY):
        clock.forward(jump)
        outcomes.append(due.send())
    assert outcomes == [SENT, SENT, WAITING, WAITING, WAITING, SENT, SENT]


def test_a_clock_that_goes_back_over_midnight_causes_no_repetition(make, state, clock):
    usage = make(state, draw=0)
    usage.opt_in()
    clock.now = (TODAY + 1) * DAY
    outcomes = []
    for step in (-HOUR, HOUR, -HOUR, HOUR):
        outcomes.append(usage.send())
        clock.forward(step)
    assert outcomes == [SENT, WAITING, WAITING, WAITING]


def test_start_sends_from_a_thread(clock):
    arrived = threading.Event()
    usage = Reporter(URL, {}, environ={}, clock=clock, sender=lambda *_: arrived.set() or 201)
    usage.opt_in()
    clock.forward(2 * DAY)
    stop = usage.start(every=0.001)
    assert arrived.wait(30)
    stop()


def test_start_raises_nothing_if_no_thread_can_start(make, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    make({}).start()()


# The state


def test_the_state_file_is_private_and_leaves_nothing_but_its_lock_beside_it(make, file, tmp_path):
    make(file).opt_in()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {"usage.json", "usage.json.lock"}


@pytest.mark.parametrize(("before", "after"), [("", {}), ('{"theme": "dark"}', {"theme": "dark"})])
def test_other_data_in_the_state_file_stays(make, file, clock, before, after):
    file.path.write_text(before)
    usage = make(file)
    assert usage.opt_in() is True
    clock.forward()
    assert usage.send() == SENT
    assert usage.opt_out() is True
    assert json.loads(file.path.read_text()) == after


UNREADABLE = {
    "half written": b'{"usage_id": "fdb45536-cba8-4204-b352-71fc1062fd95", "usa',
    "not JSON": b"theme = dark\n",
    "not an object": b"[1, 2]",
    "not text": b"\xff\xfe\x00",
    "deeper than the stack": b"[" * 200_000,
    "no permission": b"{}",
}


@pytest.mark.parametrize("problem", UNREADABLE)
def test_a_state_file_that_cannot_be_read_stays_as_it_is_and_nothing_is_sent(
    make, file, network, clock, monkeypatch, problem
):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "no")

    content = UNREADABLE[problem]
    file.path.write_bytes(content)
    if problem == "no permission":
        monkeypatch.setattr("pathlib.Path.read_text", refuse)
    usage = make(file)
    clock.forward()
    assert not usage.opted_in
    assert sent_id(usage.preview()) is None
    assert usage.send() == BROKEN
    assert usage.opt_in() is False
    assert usage.opt_out() is False
    assert file.path.read_bytes() == content
    assert network.requests == []


def test_the_rest_of_an_interrupted_write_is_ignored_and_removed(make, file, tmp_path):
    make(file).opt_in()
    rest = tmp_path / "usage.json.new"
    rest.write_text('{"usage_id": "fdb4')
    usage = make(StateFile(file.path))
    assert usage.opted_in
    usage.opt_out()
    assert not rest.exists()
    assert not usage.opted_in


@pytest.mark.parametrize("error", [errno.EACCES, errno.EROFS, errno.ENOSPC, errno.EBUSY])
@pytest.mark.parametrize("call", ["os.open", "os.fsync", "pathlib.Path.replace"])
def test_a_state_file_that_cannot_be_written_prevents_reports_until_it_can(
    make, file, network, clock, monkeypatch, error, call
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
    assert network.requests == []
    assert usage.send() == SENT


def test_a_missing_folder_is_not_created(make, tmp_path):
    usage = make(StateFile(tmp_path / "missing" / "usage.json"))
    assert usage.opt_in() is False
    assert usage.send() == BROKEN
    assert usage.opt_out() is True  # there is no id
    assert not list(tmp_path.iterdir())


def test_a_mapping_that_cannot_be_written_prevents_reports(due, make, network, state):
    assert make(ReadOnly(copied(state))).send() == BROKEN
    assert make(ReadOnly()).opt_in() is False
    assert network.requests == []


@pytest.mark.parametrize("damage", [{DAYS: ""}, {DAYS: None}, {SLOT: "x"}, {SLOT: None, DAYS: 0}])
def test_a_damaged_schedule_waits_until_tomorrow(make, clock, damage):
    state = {}
    make(state).opt_in()
    clock.forward()
    state.update(damage)
    assert [make(state).send(), make(state).send()] == [WAITING, WAITING]
    clock.forward()
    assert make(state).send() == SENT


@pytest.mark.parametrize("damage", ["", "my-server", 7, None, ["x"]])
def test_opt_in_replaces_an_id_that_is_not_a_uuid(make, damage):
    usage = make({ID: damage})
    assert not usage.opted_in
    assert usage.send() == OFF
    usage.opt_in()
    assert uuid.UUID(sent_id(usage.preview())).version == 4


def test_a_mapping_is_changed_only_under_the_lock_that_the_application_passes(clock, network):
    lock = threading.Lock()

    class Locked(dict):
        def __setitem__(self, key, value):
            assert lock.locked()
            super().__setitem__(key, value)

    usage = Reporter(URL, Locked(), lock=lambda: lock, environ={}, clock=clock, sender=network)
    assert usage.opt_in()
    clock.forward(2 * DAY)
    assert usage.send() == SENT


@pytest.mark.parametrize("problem", ["held", "broken"])
def test_a_lock_that_cannot_be_had_prevents_reports_but_not_opting_out(
    make, file, tmp_path, monkeypatch, problem
):
    monkeypatch.setattr(module, "LOCK_WAIT", 0.05)
    make(file).opt_in()
    if problem == "broken":
        (tmp_path / "usage.json.lock").unlink()
        (tmp_path / "usage.json.lock").mkdir()
    with StateFile(file.path).locked() if problem == "held" else contextlib.nullcontext():
        assert make(file).send() == BROKEN
        assert make(file).opt_out() is True
    assert file.get(ID) is None


def test_the_state_file_is_locked_on_windows_too(make, file, monkeypatch):
    calls = []
    windows = types.SimpleNamespace(LK_NBLCK=2, locking=lambda *call: calls.append(call[1:]))
    monkeypatch.setattr(module, "fcntl", None)
    monkeypatch.setattr(module, "msvcrt", windows, raising=False)
    assert make(file).opt_in()
    assert calls == [(2, 1)]


# The logs


@pytest.fixture
def lines():
    """What is logged, as a handler of the application gets it."""
    logged = []
    handler = logging.Handler()
    handler.emit = lambda record: logged.append(handler.format(record))
    module.log.addHandler(handler)
    module.log.setLevel(logging.DEBUG)
    yield logged
    module.log.removeHandler(handler)
    module.log.setLevel(logging.NOTSET)


def test_no_log_line_holds_the_id(due, make, state, network, clock, lines):
    class Undeletable(ReadOnly):
        def pop(self, *_):
            return 1 / 0

    known = sent_id(due.preview())
    for answer in (201, 500, OSError(known), RuntimeError(known)):
        network.answer = answer
        due.send()
        clock.forward()
    broken = Undeletable(copied(state))
    make(broken).send()
    make(broken).opt_out()
    make(ReadOnly()).opt_in()
    due.opt_out()
    assert [line.rpartition(" ")[2] for line in lines] == [
        *("201.", "500.", "OSError", "RuntimeError"),
        *("RuntimeError", "ZeroDivisionError", "RuntimeError", "RuntimeError"),
    ]
    assert known not in str(lines)


def test_a_broken_state_is_logged_once(make, file, lines):
    file.path.write_text("{")
    usage = make(file)
    for _ in range(5):
        usage.send()
    assert lines == ["No usage report: its state cannot be read or written: JSONDecodeError"]


# The command


@pytest.fixture
def command(tmp_path, capsys, network, clock):
    """Run the command; return its exit code and what it prints."""

    def run(*arguments, **environ):
        environ = {"USAGE_REPORTING_STATE": str(tmp_path / "usage.json")} | environ
        code = main(arguments, environ, clock=clock, draw=lambda: 0.5, sender=network)
        return code, capsys.readouterr().out.strip()

    return run


def test_the_command_previews_answers(command):
    code, preview = command("preview", "--url", URL, "--answers", '{"sso": true}')
    assert (code, json.loads(preview)["answers"]) == (0, {"sso": True})


@pytest.mark.parametrize("answers", ["sso", "[]", "{"])
def test_the_command_refuses_answers_that_are_no_json_object(command, capsys, answers):
    with pytest.raises(SystemExit) as exit_:
        command("preview", "--url", URL, "--answers", answers)
    assert exit_.value.code == 2
    assert f"argument --answers: {answers!r} is no JSON object" in capsys.readouterr().err


def test_the_command_opts_in_previews_sends_and_opts_out(command, clock, network):
    url = ("--url", URL, "--version", "1.2")
    assert sent_id(command("preview", *url)[1]) is None
    assert command("send", *url) == (0, OFF)
    assert command("opt-in", *url)[0] == 0
    code, preview = command("preview", *url)
    assert code == 0
    assert command("send", *url) == (0, WAITING)
    clock.forward()
    assert command("send", *url) == (0, SENT)
    assert command("send", *url) == (0, WAITING)
    assert command("opt-out", *url) == (0, "Opted out: the id is deleted.")
    assert network.requests[0] == (URL, preview.encode())
    assert command("opt-in", *url)[0] == 0
    assert command("opt-out", "--no-forget", *url)[0] == 0
    assert [url for url, _ in network.requests] == [URL, FORGET]


def test_the_command_exits_with_1_if_it_fails(command, clock, network, tmp_path):
    url = ("--url", URL)
    assert command("opt-in", DO_NOT_TRACK="1")[0] == 1
    command("opt-in")
    clock.forward()
    network.answer = 500
    assert command("send", *url) == (1, LOST)
    (tmp_path / "usage.json").write_text("{")
    assert command("send", *url) == (1, BROKEN)
    assert command("opt-out", *url)[0] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["send"], "USAGE_REPORTING_STATE"),
        (["send", "--state", "unused.json"], "USAGE_REPORTING_URL"),
        (["report"], "invalid choice"),
    ],
)
def test_the_command_names_a_missing_argument(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        main(arguments, {})
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_the_file_is_python_3_9_and_has_no_dependencies():
    tree = ast.parse(SOURCE.read_text(), feature_version=(3, 9))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        name
        for node in imports
        for name in (
            [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
        )
    }
    assert {name.partition(".")[0] for name in names} - {"msvcrt"} <= sys.stdlib_module_names
