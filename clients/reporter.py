"""Reports once a day which version an instance runs, if its administrator opted in.

An instance is one installation of an application. This file has no dependencies and needs Python
3.9 or later: copy it into the application and import it, or run it from cron (`python3 reporter.py
--help`). It sends only this:

    {"id": "<a random UUID>", "version": {"app": …, "sha": …, "image": …, "arch": …}}

If the application passes answers to questions, the report also has them: `"answers": {…}`.
The UUID is created when the administrator opts in, and deleted when they opt out. If anything
fails, that day's report is lost. No exception is raised, nothing is retried, and no id is logged.
"""

import argparse
import contextlib
import http.client
import json
import logging
import os
import platform
import random
import re
import socket
import sys
import sysconfig
import threading
import time
import urllib.parse
import urllib.request
import uuid
from functools import partial
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    fcntl = None

DEADLINE = 5  # seconds for a whole request, from the name lookup to the answer
MAX_ANSWER = 4096  # bytes of the answer's body that are read
LOCK_WAIT = 2  # seconds to wait for another process that reads or writes the state
DAY = 86_400
LATEST = 82_800  # seconds after midnight; an hourly job runs once more after this time
MAX_DAYS = 8  # reported days in the state; several, because a clock can jump ahead and back
ID, SLOT, DAYS = "usage_id", "usage_slot", "usage_days"  # the keys of the state; values are text
HEADERS = {"Content-Type": "application/json", "User-Agent": "reporter.py"}
CREATED = 201

# The results of `send`.
SENT = "The report was sent."
LOST = "The report was not accepted, and is lost. The next one is due tomorrow."
WAITING = "Nothing to do: today's report is done, or its time has not come."
OFF = "Nothing to do: not opted in, or DO_NOT_TRACK is set."
BROKEN = "Nothing was sent: the state cannot be read or written."
log = logging.getLogger("usage_reporting")


class Reporter:
    """Sends the reports of one instance. No method raises an exception.

    `url` is the server's URL, unless the environment sets another one. `state` stores the id and
    the schedule: it is a StateFile, or any mutable mapping of text to text. If several processes
    share such a mapping, pass `lock`: a function that returns a context manager that only one of
    them can hold at a time. `answers` is a mapping of questions to answers, or a function that
    returns one and is called for each report. An answer that is None is left out.
    """

    # With one parameter per line, the signature would push the methods off the first screen.
    def __init__(
        self, url, state, version=None, *, sha=None, image=None, arch=None, answers=None,
        lock=None, environ=os.environ, clock=time.time, draw=random.random, new_id=uuid.uuid4,
        sender=None, deadline=DEADLINE,
    ):  # fmt: skip
        self._url, self._state, self._environ = url, state, environ
        self._given = {"app": version, "sha": sha, "image": image, "arch": arch}
        self._answers = answers
        self._lock = lock or getattr(state, "locked", lambda: _threads)
        self._clock, self._draw, self._new_id = clock, draw, new_id
        self._sender, self._deadline = sender or post, deadline
        self._last = None

    @property
    def url(self):
        """The URL to which reports are sent."""
        environ = self._environ
        return environ.get("USAGE_REPORTING_URL") or environ.get("USAGE_TRACKING_URL") or self._url

    @property
    def opted_in(self):
        """Whether the state has an id. False if the state cannot be read."""
        return self._id_or_none() is not None

    def opt_in(self):
        """Create an id unless there is one. Return whether reports will be sent from now on."""
        if self._do_not_track():
            return False
        try:
            with self._lock():
                if not self._id():
                    self._schedule()
                    self._state[ID] = str(self._new_id())
                return self._id() is not None
        except Exception as error:  # noqa: BLE001  the application may bring a state that raises anything
            # A settings page calls this, and a full disk must not make it answer 500.
            self._warn("Opting in failed: %s", error)
            return False

    def opt_out(self, forget=True):
        """Delete the id, then ask the server to forget it. Return whether the id is deleted."""
        try:
            deleted = self._delete()
        except Exception as error:  # noqa: BLE001  the application may bring a state that raises anything
            # The settings page needs to know that the id is still there.
            self._warn("The id for usage reports could not be deleted: %s", error)
            return False
        if forget and deleted:
            self._post("/forget", json.dumps({"id": deleted}).encode())
        return True

    def preview(self):
        """Return the body that `send` sends. The id is null before opting in."""
        return self._body(self._id_or_none())

    def send(self):
        """Send the report if it is due, and return the result. Call this as often as you like."""
        try:
            outcome, body = (OFF, None) if self._do_not_track() else self._claim()
        except Exception as error:  # noqa: BLE001  the application may bring a state that raises anything
            # The application runs this between jobs of its own, which a lost report must not stop.
            outcome, body = BROKEN, None
            if self._last != BROKEN:  # log it once, not every minute
                self._warn("No usage report: its state cannot be read or written: %s", error)
        if body:
            outcome = SENT if self._post("", body) == CREATED else LOST
        self._last = outcome
        return outcome

    def start(self, every=60):
        """Start a thread that calls `send` every so many seconds. Return a function to stop it."""
        stopped = threading.Event()

        def run():
            while not stopped.wait(every):
                self.send()

        try:
            threading.Thread(target=run, name="usage-reporting", daemon=True).start()
        except RuntimeError as error:
            self._warn("No usage reports: %s", error)
        return stopped.set

    def _do_not_track(self):
        value = self._environ.get("DO_NOT_TRACK", "").strip().lower()
        return value not in ("", "0", "false")

    def _id(self):
        return _uuid(self._state.get(ID))

    def _id_or_none(self):
        with contextlib.suppress(Exception):
            return self._id()
        return None

    def _delete(self):
        """Delete the id first and then the rest of the state. Return the id."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(Exception):  # without the lock, delete the id all the same
                stack.enter_context(self._lock())
            deleted = self._state.pop(ID, None)
            for name in (SLOT, DAYS):
                with contextlib.suppress(Exception):
                    self._state.pop(name, None)
        return _uuid(deleted)

    def _schedule(self):
        """Draw the time of day of the reports. The first one is due tomorrow."""
        self._state[SLOT] = str(int(self._draw() * LATEST))
        self._state[DAYS] = str(int(self._clock()) // DAY)

    def _claim(self):
        """Return WAITING and the body to send if a report is due, after marking today as done.

        If none is due, return the reason and None.
        """
        day, second = divmod(int(self._clock()), DAY)
        with self._lock():
            usage_id = self._id()
            if not usage_id:
                return OFF, None
            days, slot = (_numbers(self._state.get(name)) for name in (DAYS, SLOT))
            if not days or not slot:  # damaged; today's report may have been sent
                self._schedule()
                return WAITING, None
            if day in days or (second < slot[0] and day - 1 in days):
                return WAITING, None
            if second < slot[0]:  # it never runs at its time: draw an earlier one
                self._state[SLOT] = str(int(self._draw() * second))
            self._state[DAYS] = " ".join(map(str, [*days, day][-MAX_DAYS:]))
        return WAITING, self._body(usage_id)

    def _body(self, usage_id):
        environ, given = self._environ, self._given
        version = {
            "app": given["app"] or environ.get("APP_VERSION") or "unknown",
            "sha": given["sha"] or environ.get("GIT_SHA") or "unknown",
            "image": given["image"] or without_tag(environ.get("DOCKER_TAG")),
            "arch": given["arch"] or architecture(),
        }
        report = {"id": usage_id, "version": version, **self._given_answers()}
        return json.dumps(report, default=str).encode()

    def _given_answers(self):
        """Return the `answers` of a report; nothing if there are none, or if they cannot be had."""
        try:
            given = self._answers() if callable(self._answers) else self._answers or {}
            answers = {name: answer for name, answer in given.items() if answer is not None}
            json.dumps(answers)
        except Exception as error:  # noqa: BLE001  the application may bring a function that raises anything
            self._warn("The report has no answers: %s", error)
            return {}
        return {"answers": answers} if answers else {}

    def _post(self, path, body):
        """Return the status of the server's answer, or None if there is none."""
        try:
            parts = urllib.parse.urlsplit(self.url)
            path = parts.path.rstrip("/") + path if path else parts.path or "/"
            status = self._sender(parts._replace(path=path).geturl(), body, self._deadline)
        except Exception as error:  # noqa: BLE001  a sender may raise anything, and only this report is lost
            self._warn("The server for usage reports was not reached: %s", error)
            return None
        log.info("The server for usage reports answered %s.", status)
        return status

    def _warn(self, message, error):
        """Log only the type of an error: its text may quote the state, and with it the id."""
        reason = getattr(error, "reason", None)  # the cause of a URLError
        log.warning(message, type(reason if isinstance(reason, Exception) else error).__name__)


class StateFile:
    """A state in a JSON file. It implements the mapping methods that a Reporter uses.

    The file's object may have other keys, which stay as they are. Each change replaces the file, so
    its folder must be writable. A `.lock` file is created beside it.
    """

    def __init__(self, path):
        self.path = Path(os.path.realpath(path))

    @contextlib.contextmanager
    def locked(self):
        """Lock out other threads and processes. The system frees the lock if the process ends."""
        descriptor = os.open(f"{self.path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _wait_for_lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def get(self, key):
        return self._read().get(key)

    def __setitem__(self, key, value):
        self._write({**self._read(), key: value})

    def pop(self, key, default):
        content = self._read()
        if key not in content:
            return default
        value = content.pop(key)
        self._write(content)
        return value

    def _read(self):
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = ""
        content = json.loads(text or "{}")
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")  # not ours, so it must not be replaced
        return content

    def _write(self, content):
        # The name is always the same, so that the next write removes a file, and the id in it, that
        # a crash left behind.
        new = Path(f"{self.path}.new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file, indent=2)
            file.flush()
            os.fsync(descriptor)
        new.replace(self.path)


_threads = threading.RLock()


def _wait_for_lock(descriptor):
    deadline = time.monotonic() + LOCK_WAIT
    while True:
        try:
            if fcntl:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)  # between two attempts: a call that blocks would have no timeout


def _uuid(value):
    try:
        return str(uuid.UUID(value))
    except (AttributeError, TypeError, ValueError):
        return None


def _numbers(value):
    return [int(number) for number in re.findall(r"\d+", str(value))]


def without_tag(reference):
    """Return an image's name without its tag and digest, but with the port of its registry."""
    registry, slash, name = (reference or "").partition("@")[0].rpartition("/")
    return registry + slash + name.partition(":")[0] or None


def architecture(system=sys.platform, built_for=None):
    """Return the platform of this Python, such as `x86_64-linux` or `arm-linux-musleabihf`."""
    parts = (built_for or sysconfig.get_config_var("HOST_GNU_TYPE") or "").split("-")
    if system != "linux" or len(parts) < 3:
        return f"{platform.machine().lower()}-{system}"
    library = re.sub("^gnu", "", parts[-1])  # glibc is the usual C library and is not named
    return f"{parts[0]}-{system}" + (f"-{library}" if library else "")


def post(url, body, deadline):
    """POST JSON, through the proxy that the environment names, and return the answer's status.

    It takes at most `deadline` seconds, even if the server sends one byte per second.
    """
    request = urllib.request.Request(url, body, HEADERS)  # noqa: S310  `_Exchange` opens no file URL
    exchange = _Exchange(request, deadline)
    worker = threading.Thread(target=exchange.run, name="usage-report", daemon=True)
    worker.start()
    worker.join(deadline)
    status = exchange.status
    exchange.abort()
    if status is None:
        raise exchange.failure or TimeoutError("the deadline is over")
    return status


class _Exchange(urllib.request.AbstractHTTPHandler):
    """One request, which another thread can abort. It has no handler that follows redirects."""

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def __init__(self, request, timeout):
        super().__init__(debuglevel=0)  # print nothing, even if the application prints its requests
        self._request, self._timeout = request, timeout
        self._connection, self._aborted = None, False
        self.status = self.failure = None

    def run(self):
        opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.ProxyHandler(), urllib.request.UnknownHandler(), self):
            opener.add_handler(handler)
        try:
            with opener.open(self._request, timeout=self._timeout) as response:
                self.status = response.status
                response.read1(MAX_ANSWER)
        except Exception as error:  # noqa: BLE001  `post` raises it in the caller's thread
            self.failure = error

    def abort(self):
        self._aborted = True
        with contextlib.suppress(AttributeError, OSError):  # not connected
            self._connection.sock.shutdown(socket.SHUT_RDWR)

    def http_open(self, request):
        return self.do_open(partial(self._connect, http.client.HTTPConnection), request)

    def https_open(self, request):
        return self.do_open(partial(self._connect, http.client.HTTPSConnection), request)

    def _connect(self, kind, *arguments, **options):
        exchange = self

        class Connection(kind):
            def connect(self):
                super().connect()
                if exchange._aborted:  # the name lookup took too long: send nothing
                    self.close()
                    raise TimeoutError("the deadline is over")

        self._connection = Connection(*arguments, **options)
        return self._connection


def main(arguments=None, environ=os.environ, **options):
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=["preview", "send", "opt-in", "opt-out"])
    parser.add_argument(
        "--url", default="", help="URL of the server (default: USAGE_REPORTING_URL)"
    )
    parser.add_argument(
        "--state", help="path of the file that stores the id (default: USAGE_REPORTING_STATE)"
    )
    parser.add_argument("--version", help="version of the application (default: APP_VERSION)")
    parser.add_argument(
        "--answers", type=_json_object, help="answers to questions, as JSON: '{\"sso\": true}'"
    )
    parser.add_argument(
        "--no-forget", action="store_true", help="opt out without asking the server to forget"
    )
    args = parser.parse_args(arguments)
    state = args.state or environ.get("USAGE_REPORTING_STATE")
    if not state:
        parser.error("give --state, or set USAGE_REPORTING_STATE")
    options |= {"environ": environ, "answers": args.answers}
    reporter = Reporter(args.url, StateFile(state), args.version, **options)
    if not reporter.url and args.command == "send":
        parser.error("give --url, or set USAGE_REPORTING_URL")
    sentence, succeeded = _run(reporter, args)
    print(sentence)
    return 0 if succeeded else 1


def _json_object(text):
    with contextlib.suppress(ValueError):
        if isinstance(answers := json.loads(text), dict):
            return answers
    raise argparse.ArgumentTypeError(f'{text!r} is no JSON object, such as {{"sso": true}}')


def _run(reporter, args):
    if args.command == "preview":
        return reporter.preview().decode(), True
    if args.command == "send":
        outcome = reporter.send()
        return outcome, outcome in (SENT, WAITING, OFF)
    if args.command == "opt-in":
        if reporter.opt_in():
            return "Opted in. The first report is due tomorrow; `preview` shows it.", True
        return "Not opted in: DO_NOT_TRACK is set, or the state cannot be read or written.", False
    if reporter.opt_out(forget=not args.no_forget):
        return "Opted out: the id is deleted.", True
    return "The id could not be deleted. Delete the state file yourself.", False


if __name__ == "__main__":
    sys.exit(main())
