"""Reports, once a day and only if the administrator opted in, which version an installation runs.

One file without dependencies, for Python 3.9 and later: copy it into an application and import it,
or run it from cron (`python3 reporter.py --help`). This is all that it sends:

    {"id": "<a random UUID>", "version": {"app": …, "sha": …, "image": …, "arch": …}}

The UUID is made when the administrator opts in, and deleted when they opt out. Whatever goes wrong,
the report of that day is lost and nothing else: no exception, no second try, no id in a log.
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

DEADLINE = 5  # seconds for a whole request, from the look-up of the name to the answer
ANSWER = 4096  # bytes of an answer's body that are read at most
LOCK_WAIT = 2  # seconds to wait for another process that reads or writes the state
DAY = 86_400
LATEST = 82_800  # the last time of the day at which one is due: an hourly job still comes by
REMEMBERED = 8  # days reported on; more than one only because a clock can jump ahead and back
ID, SLOT, DAYS = "usage_id", "usage_slot", "usage_days"  # what is kept in the state, as text
HEADERS = {"Content-Type": "application/json", "User-Agent": "reporter.py"}
CREATED = 201

# What came of `send`.
SENT = "The report was sent."
LOST = "The report was not accepted, and is lost. The next one is due tomorrow."
WAITING = "Nothing to do: today's report is done, or its time has not come."
OFF = "Nothing to do: not opted in, or DO_NOT_TRACK is set."
BROKEN = "Nothing was sent: the state cannot be read or written."
log = logging.getLogger("usage_reporting")


class Reporter:
    """An installation's end of the counting. No method raises an exception.

    `url` is where reports go, unless the environment says otherwise. `state` keeps the id and the
    schedule: a StateFile, or any mutable mapping that keeps text. Processes that share another
    mapping give a `lock`: called, it makes a context manager that one of them holds at a time.
    """

    # One parameter a line would be twice as long as the rest of the class's first screen.
    def __init__(
        self, url, state, version=None, *, sha=None, image=None, arch=None, lock=None,
        environ=os.environ, clock=time.time, draw=random.random, new_id=uuid.uuid4,
        sender=None, deadline=DEADLINE,
    ):  # fmt: skip
        self._url, self._state, self._environ = url, state, environ
        self._given = {"app": version, "sha": sha, "image": image, "arch": arch}
        self._lock = lock or getattr(state, "locked", lambda: _threads)
        self._clock, self._draw, self._new_id = clock, draw, new_id
        self._sender, self._deadline = sender or post, deadline
        self._last = None

    @property
    def url(self):
        """Where reports go."""
        environ = self._environ
        return environ.get("USAGE_REPORTING_URL") or environ.get("USAGE_TRACKING_URL") or self._url

    @property
    def opted_in(self):
        """Whether there is an id; a state that cannot be read counts as none."""
        return self._known() is not None

    def opt_in(self):
        """Make an id, unless there is one. True if it is kept, False if nothing will be sent."""
        if self._do_not_track():
            return False
        try:
            with self._lock():
                if not self._id():
                    self._plan()
                    self._state[ID] = str(self._new_id())
                return self._id() is not None
        except Exception as error:  # noqa: BLE001  the host wrote the state: what it raises is open
            # An application shows a page of settings here; a full disk must not turn it into a 500.
            self._say("Opting in failed: %s", error)
            return False

    def opt_out(self, forget=True):
        """Delete the id, then ask the server to forget it. True if it is deleted here."""
        try:
            known = self._delete()
        except Exception as error:  # noqa: BLE001  the host wrote the state: what it raises is open
            # False tells the page that the id is still there, so that it does not say otherwise.
            self._say("The id for usage reports could not be deleted: %s", error)
            return False
        if forget and _uuid(known):
            self._post("/forget", {"id": _uuid(known)})
        return True

    def preview(self):
        """The bytes that `send` sends; the id is null before opting in."""
        return self._body(self._known())

    def send(self):
        """Send the report if it is time: call it as often as you like. Returns what came of it."""
        try:
            outcome, body = (OFF, None) if self._do_not_track() else self._claim()
        except Exception as error:  # noqa: BLE001  the host wrote the state: what it raises is open
            # This runs between the application's own jobs; a lost report must not end them.
            outcome, body = BROKEN, None
            if self._last != BROKEN:
                self._say("No usage report: its state cannot be read or written: %s", error)
        if body:
            outcome = SENT if self._post("", body) == CREATED else LOST
        self._last = outcome
        return outcome

    def start(self, every=60):
        """Call `send` every so many seconds from a thread of its own; returns what stops it."""
        stopped = threading.Event()

        def run():
            while not stopped.wait(every):
                self.send()

        try:
            threading.Thread(target=run, name="usage-reporting", daemon=True).start()
        except RuntimeError as error:
            self._say("No usage reports: %s", error)
        return stopped.set

    def _do_not_track(self):
        value = self._environ.get("DO_NOT_TRACK", "").strip().lower()
        return value not in ("", "0", "false")

    def _id(self):
        return _uuid(self._state.get(ID))

    def _known(self):
        with contextlib.suppress(Exception):
            return self._id()
        return None

    def _delete(self):
        """Take the id out of the state before all else, then the rest; returns it."""
        with contextlib.ExitStack() as held:
            with contextlib.suppress(Exception):  # no one's lock keeps an id alive
                held.enter_context(self._lock())
            known = self._state.pop(ID, None)
            for name in (SLOT, DAYS):
                with contextlib.suppress(Exception):
                    self._state.pop(name, None)
        return known

    def _plan(self):
        """Draw the time of the day to report at. Today counts as done: it begins tomorrow."""
        self._state[SLOT] = str(int(self._draw() * LATEST))
        self._state[DAYS] = str(int(self._clock()) // DAY)

    def _claim(self):
        """What to send, if it is time. Then today is done, whatever comes of it."""
        day, second = divmod(int(self._clock()), DAY)
        with self._lock():
            known = self._id()
            if not known:
                return OFF, None
            days, slot = (_numbers(self._state.get(name)) for name in (DAYS, SLOT))
            if not days or not slot:  # damaged: today may have been done
                self._plan()
                return WAITING, None
            if day in days or (second < slot[0] and day - 1 in days):
                return WAITING, None
            if second < slot[0]:  # it does not run at its time; draw another, which it had today
                self._state[SLOT] = str(int(self._draw() * second))
            self._state[DAYS] = " ".join(map(str, [*days, day][-REMEMBERED:]))
        return WAITING, self._body(known)

    def _body(self, known):
        environ, given = self._environ, self._given
        version = {
            "app": given["app"] or environ.get("APP_VERSION") or "unknown",
            "sha": given["sha"] or environ.get("GIT_SHA") or "unknown",
            "image": given["image"] or without_tag(environ.get("DOCKER_TAG")),
            "arch": given["arch"] or architecture(),
        }
        return json.dumps({"id": known, "version": version}, default=str).encode()

    def _post(self, path, content):
        """The status of the server's answer; None if there is none."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        try:
            parts = urllib.parse.urlsplit(self.url)
            where = parts.path.rstrip("/") + path if path else parts.path or "/"
            status = self._sender(parts._replace(path=where).geturl(), body, self._deadline)
        except Exception as error:  # noqa: BLE001  the host may bring a sender: what it raises is open
            # Whatever kept the request from its answer, only this report is lost.
            self._say("The server for usage reports was not reached: %s", error)
            return None
        log.info("The server for usage reports answered %s.", status)
        return status

    def _say(self, sentence, error):
        """Log the kind of an error only: its text may quote the state, and so the id."""
        reason = getattr(error, "reason", None)  # why urllib's URLError
        log.warning(sentence, type(reason if isinstance(reason, Exception) else error).__name__)


class StateFile:
    """A JSON file as state: what a Reporter asks of a mapping. What else is in its object stays.

    It is replaced as a whole, so its folder has to be writable, and beside it a `.lock` is made.
    """

    def __init__(self, path):
        self.path = Path(os.path.realpath(path))

    @contextlib.contextmanager
    def locked(self):
        """Keep other threads and processes out; the end of the process frees it too."""
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
            raise ValueError("not a JSON object")  # someone else's, and not to be replaced
        return content

    def _write(self, content):
        # Always the same name: what a crash leaves of it holds an id, and goes with the next write.
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
    until = time.monotonic() + LOCK_WAIT
    while True:
        try:
            if fcntl:
                return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            if time.monotonic() > until:
                raise
            # A lock that waits by itself knows no deadline, and another process may hold it for
            # ever. So it is tried without waiting, again and again until LOCK_WAIT is over.
            time.sleep(0.01)


def _uuid(value):
    try:
        return str(uuid.UUID(value))
    except (AttributeError, TypeError, ValueError):
        return None


def _numbers(value):
    return [int(number) for number in re.findall(r"\d+", str(value))]


def without_tag(reference):
    """An image's name without tag and digest; the colon of a registry's port stays."""
    registry, slash, name = (reference or "").partition("@")[0].rpartition("/")
    return registry + slash + name.partition(":")[0] or None


def architecture(system=sys.platform, built_for=None):
    """The platform that this Python was built for: `x86_64-linux`, `arm-linux-musleabihf`."""
    parts = (built_for or sysconfig.get_config_var("HOST_GNU_TYPE") or "").split("-")
    if system != "linux" or len(parts) < 3:
        return f"{platform.machine().lower()}-{system}"
    library = re.sub("^gnu", "", parts[-1])  # the usual C library is not named
    return f"{parts[0]}-{system}" + (f"-{library}" if library else "")


def post(url, body, deadline):
    """POST some JSON, by the proxy that the environment names; returns the answer's status.

    Takes `deadline` seconds at most, also if the server sends a byte a second.
    """
    # S310 warns of URLs such as file:///etc/passwd. This one is the host's own setting, and
    # `_Exchange` opens http and https and no other scheme.
    request = urllib.request.Request(url, body, HEADERS)  # noqa: S310  only http and https open
    exchange = _Exchange(request, deadline)
    worker = threading.Thread(target=exchange.run, name="usage-report", daemon=True)
    worker.start()
    worker.join(deadline)
    status = exchange.status
    exchange.cut()
    if status is None:
        raise exchange.failure or TimeoutError("the deadline is over")
    return status


class _Exchange(urllib.request.AbstractHTTPHandler):
    """One request, which another thread can cut short. It follows no redirect, as none asks to."""

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def __init__(self, request, timeout):
        super().__init__(debuglevel=0)  # never printed, even if the host prints its own requests
        self._request, self._timeout = request, timeout
        self._connection, self._late = None, False
        self.status = self.failure = None

    def run(self):
        opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.ProxyHandler(), urllib.request.UnknownHandler(), self):
            opener.add_handler(handler)
        try:
            with opener.open(self._request, timeout=self._timeout) as response:
                self.status = response.status
                response.read1(ANSWER)
        except Exception as error:  # noqa: BLE001  nothing is swallowed: `post` raises it
            # In a thread it would only be printed; `post` raises it where the caller can see it.
            self.failure = error

    def cut(self):
        self._late = True
        with contextlib.suppress(AttributeError, OSError):  # not connected, or not any more
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
                if exchange._late:  # the look-up of the name took too long: send nothing
                    self.close()
                    raise TimeoutError("the deadline is over")

        self._connection = Connection(*arguments, **options)
        return self._connection


def main(arguments=None, environ=os.environ, **options):
    """Run the command; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=["preview", "send", "opt-in", "opt-out"])
    parser.add_argument("--url", default="", help="the server; or USAGE_REPORTING_URL")
    parser.add_argument("--state", help="the file with the id; or USAGE_REPORTING_STATE")
    parser.add_argument("--version", help="of the application; or APP_VERSION")
    parser.add_argument("--no-forget", action="store_true", help="opt out without a request")
    asked = parser.parse_args(arguments)
    state = asked.state or environ.get("USAGE_REPORTING_STATE")
    if not state:
        parser.error("give --state, or set USAGE_REPORTING_STATE")
    reporter = Reporter(asked.url, StateFile(state), asked.version, environ=environ, **options)
    if not reporter.url and asked.command == "send":
        parser.error("give --url, or set USAGE_REPORTING_URL")
    sentence, succeeded = _run(reporter, asked)
    print(sentence)
    return 0 if succeeded else 1


def _run(reporter, asked):
    if asked.command == "preview":
        return reporter.preview().decode(), True
    if asked.command == "send":
        outcome = reporter.send()
        return outcome, outcome in (SENT, WAITING, OFF)
    if asked.command == "opt-in":
        if reporter.opt_in():
            return "Opted in. The first report is due tomorrow; `preview` shows it.", True
        return "Not opted in: DO_NOT_TRACK is set, or the state cannot be read or written.", False
    if reporter.opt_out(forget=not asked.no_forget):
        return "Opted out: the id is deleted.", True
    return "The id could not be deleted. Delete the state file yourself.", False


if __name__ == "__main__":
    sys.exit(main())
