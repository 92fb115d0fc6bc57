"""Reports once a day which version this instance runs, if its administrator opted in.

This file has no dependencies and runs on Python 3.9 and later. Copy it into an application and
import it, or run it from cron (see `python3 reporter.py --help`). It sends nothing but this:

    {"id": "<a random UUID>", "version": {"app": …, "sha": …, "image": …, "arch": …}}

The UUID is created when the administrator opts in, and deleted when they opt out. If anything goes
wrong, only that day's report is lost: no exception is raised, the report is not sent again, and no
log contains the id.
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

DEADLINE = 5  # seconds for a whole request, from the DNS lookup to the response
MAX_READ = 4096  # bytes to read of the body of a response
LOCK_WAIT = 2  # seconds to wait for another process that reads or writes the state
DAY = 86_400
LATEST = 82_800  # the last second of the day for a report to be due; an hourly job still sends it
MAX_DAYS = 8  # past days in the state; several, because a clock can jump forward and back
ID, SLOT, DAYS = "usage_id", "usage_slot", "usage_days"  # the keys of the state
HEADERS = {"Content-Type": "application/json", "User-Agent": "reporter.py"}
CREATED = 201

# The results of `send`.
SENT = "The report was sent."
LOST = "The report was not accepted and is lost. The next report is due tomorrow."
WAITING = "Nothing to do: today's report was sent already, or is not due yet."
OFF = "Nothing to do: the administrator has not opted in, or DO_NOT_TRACK is set."
BROKEN = "Nothing was sent: the state cannot be read or written."
log = logging.getLogger("usage_reporting")


class Reporter:
    """The instance that reports. No method raises an exception.

    Reports go to `url`, unless the environment names another one. `state` stores the id and the
    schedule: it is a StateFile, or any mutable mapping that stores text. If several processes share
    such a mapping, pass a `lock`: a function that returns a context manager, which only one process
    can enter at a time.
    """

    # With one parameter per line, the signature would fill the screen.
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
        """The URL to which reports are sent."""
        environ = self._environ
        return environ.get("USAGE_REPORTING_URL") or environ.get("USAGE_TRACKING_URL") or self._url

    @property
    def opted_in(self):
        """Whether the state contains an id. False if the state cannot be read."""
        return self._id_if_readable() is not None

    def opt_in(self):
        """Create an id, unless there is one. Return True if reports will be sent."""
        if self._do_not_track():
            return False
        try:
            with self._lock():
                if not self._id():
                    self._schedule()
                    self._state[ID] = str(self._new_id())
                return self._id() is not None
        except Exception as error:  # noqa: BLE001  the application's own state may raise anything
            # The application shows a settings page here, and a full disk must not break it.
            self._warn("Opting in failed: %s", error)
            return False

    def opt_out(self, forget=True):
        """Delete the id, and ask the server to erase the report. Return True if the id is gone."""
        try:
            identifier = self._delete()
        except Exception as error:  # noqa: BLE001  the application's own state may raise anything
            # The settings page needs to know that the id is still there.
            self._warn("The id of the usage reports cannot be deleted: %s", error)
            return False
        if forget and identifier:
            self._post("/forget", json.dumps({"id": identifier}).encode())
        return True

    def preview(self):
        """Return the bytes that `send` would send. Before opting in, the id is null."""
        return self._body(self._id_if_readable())

    def send(self):
        """Send the report if it is due, and return the result. Call this as often as you like."""
        try:
            result, body = (OFF, None) if self._do_not_track() else self._claim()
        except Exception as error:  # noqa: BLE001  the application's own state may raise anything
            # This runs among the application's own jobs, and a lost report must not end them.
            result, body = BROKEN, None
            if self._last != BROKEN:
                self._warn("No usage report: the state cannot be read or written: %s", error)
        if body:
            result = SENT if self._post("", body) == CREATED else LOST
        self._last = result
        return result

    def start(self, every=60):
        """Start a thread that calls `send` every `every` seconds; return what stops it."""
        stopped = threading.Event()

        def run():
            while not stopped.wait(every):
                self.send()

        try:
            threading.Thread(target=run, name="usage-reporting", daemon=True).start()
        except RuntimeError as error:
            self._warn("No usage reports: the thread cannot be started: %s", error)
        return stopped.set

    def _do_not_track(self):
        value = self._environ.get("DO_NOT_TRACK", "").strip().lower()
        return value not in ("", "0", "false")

    def _id(self):
        return _uuid(self._state.get(ID))

    def _id_if_readable(self):
        with contextlib.suppress(Exception):
            return self._id()
        return None

    def _delete(self):
        """Delete the id from the state, then the schedule. Return the id."""
        with contextlib.ExitStack() as stack:
            # If another process holds the lock for too long, delete the id without the lock.
            with contextlib.suppress(Exception):
                stack.enter_context(self._lock())
            identifier = self._state.pop(ID, None)
            for name in (SLOT, DAYS):
                with contextlib.suppress(Exception):
                    self._state.pop(name, None)
        return _uuid(identifier)

    def _schedule(self):
        """Choose a random time of day, and mark today as done: the first report is due tomorrow."""
        self._state[SLOT] = str(int(self._draw() * LATEST))
        self._state[DAYS] = str(int(self._clock()) // DAY)

    def _claim(self):
        """Return a result and, after marking today as done, the body of a report that is due."""
        day, second = divmod(int(self._clock()), DAY)
        with self._lock():
            identifier = self._id()
            if not identifier:
                return OFF, None
            days, slot = (_numbers(self._state.get(name)) for name in (DAYS, SLOT))
            if not days or not slot:  # the state is damaged, and today may have been done
                self._schedule()
                return WAITING, None
            if day in days or (second < slot[0] and day - 1 in days):
                return WAITING, None
            if second < slot[0]:
                # It did not run at its time yesterday. Choose an earlier time of day.
                self._state[SLOT] = str(int(self._draw() * second))
            self._state[DAYS] = " ".join(map(str, [*days, day][-MAX_DAYS:]))
        return WAITING, self._body(identifier)

    def _body(self, identifier):
        environ, given = self._environ, self._given
        version = {
            "app": given["app"] or environ.get("APP_VERSION") or "unknown",
            "sha": given["sha"] or environ.get("GIT_SHA") or "unknown",
            "image": given["image"] or without_tag(environ.get("DOCKER_TAG")),
            "arch": given["arch"] or architecture(),
        }
        return json.dumps({"id": identifier, "version": version}, default=str).encode()

    def _post(self, path, body):
        """Send a request; return the status of the response, or None if there is no response."""
        try:
            parts = urllib.parse.urlsplit(self.url)
            where = parts.path.rstrip("/") + path if path else parts.path or "/"
            status = self._sender(parts._replace(path=where).geturl(), body, self._deadline)
        except Exception as error:  # noqa: BLE001  a sender from outside may raise anything
            # Whatever went wrong, only this report is lost.
            self._warn("The server for usage reports did not respond: %s", error)
            return None
        log.info("The server for usage reports responded with status %s.", status)
        return status

    def _warn(self, message, error):
        """Log only the type of an error: its text may quote the state, and with it the id."""
        reason = getattr(error, "reason", None)  # the cause of a URLError
        log.warning(message, type(reason if isinstance(reason, Exception) else error).__name__)


class StateFile:
    """A state in a JSON file, with the methods of a mapping that a Reporter calls.

    Other data in the file's object does not change. Each change replaces the whole file, so its
    folder must be writable. A lock file with the suffix `.lock` is created beside it.
    """

    def __init__(self, path):
        self.path = Path(os.path.realpath(path))

    @contextlib.contextmanager
    def locked(self):
        """Exclude other threads and processes. A process that is killed releases the lock."""
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
            raise ValueError("not a JSON object")  # this is not our file, so do not replace it
        return content

    def _write(self, content):
        # The name never changes, so the next write deletes a file that a crash left with the id.
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
            # The system's own waiting has no deadline, and another process may never release the
            # lock. So try again and again until LOCK_WAIT is over.
            time.sleep(0.01)


def _uuid(value):
    try:
        return str(uuid.UUID(value))
    except (AttributeError, TypeError, ValueError):
        return None


def _numbers(value):
    return [int(number) for number in re.findall(r"\d+", str(value))]


def without_tag(reference):
    """Return the name of an image without tag and digest. The port of a registry is kept."""
    registry, slash, name = (reference or "").partition("@")[0].rpartition("/")
    return registry + slash + name.partition(":")[0] or None


def architecture(system=sys.platform, built_for=None):
    """Return the platform of this Python, such as `x86_64-linux` or `arm-linux-musleabihf`."""
    parts = (built_for or sysconfig.get_config_var("HOST_GNU_TYPE") or "").split("-")
    if system != "linux" or len(parts) < 3:
        return f"{platform.machine().lower()}-{system}"
    library = re.sub("^gnu", "", parts[-1])  # glibc is not part of the name
    return f"{parts[0]}-{system}" + (f"-{library}" if library else "")


def post(url, body, deadline):
    """Send JSON by POST, through the proxy that the environment names; return the status.

    This takes `deadline` seconds at most, even if the server sends one byte a second.
    """
    # S310 warns of URLs such as file:///etc/passwd. The application sets this URL, and `_Exchange`
    # opens no scheme but http and https.
    request = urllib.request.Request(url, body, HEADERS)  # noqa: S310  only http and https open
    exchange = _Exchange(request, deadline)
    worker = threading.Thread(target=exchange.run, name="usage-report", daemon=True)
    worker.start()
    worker.join(deadline)
    status = exchange.status
    exchange.abort()
    if status is None:
        raise exchange.error or TimeoutError("the deadline has passed")
    return status


class _Exchange(urllib.request.AbstractHTTPHandler):
    """One request, which another thread can abort. It follows no redirect."""

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def __init__(self, request, timeout):
        super().__init__(debuglevel=0)  # print nothing, even if the application prints its requests
        self._request, self._timeout = request, timeout
        self._connection, self._aborted = None, False
        self.status = self.error = None

    def run(self):
        opener = urllib.request.OpenerDirector()
        for handler in (urllib.request.ProxyHandler(), urllib.request.UnknownHandler(), self):
            opener.add_handler(handler)
        try:
            with opener.open(self._request, timeout=self._timeout) as response:
                self.status = response.status
                response.read1(MAX_READ)
        except Exception as error:  # noqa: BLE001  `post` raises it, in the thread of the caller
            self.error = error

    def abort(self):
        self._aborted = True
        with contextlib.suppress(AttributeError, OSError):  # there is no open connection
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
                if exchange._aborted:  # the DNS lookup took too long: send nothing
                    self.close()
                    raise TimeoutError("the deadline has passed")

        self._connection = Connection(*arguments, **options)
        return self._connection


def main(arguments=None, environ=os.environ, **for_reporter):
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("command", choices=["preview", "send", "opt-in", "opt-out"])
    parser.add_argument("--url", default="", help="the server; default: USAGE_REPORTING_URL")
    parser.add_argument("--state", help="the file of the id; default: USAGE_REPORTING_STATE")
    parser.add_argument("--version", help="of the application; default: APP_VERSION")
    parser.add_argument("--no-forget", action="store_true", help="opt out without a request")
    options = parser.parse_args(arguments)
    state = options.state or environ.get("USAGE_REPORTING_STATE")
    if not state:
        parser.error("add --state, or set USAGE_REPORTING_STATE")
    state = StateFile(state)
    reporter = Reporter(options.url, state, options.version, environ=environ, **for_reporter)
    if not reporter.url and options.command == "send":
        parser.error("add --url, or set USAGE_REPORTING_URL")
    message, succeeded = _run(reporter, options)
    print(message)
    return 0 if succeeded else 1


def _run(reporter, options):
    if options.command == "preview":
        return reporter.preview().decode(), True
    if options.command == "send":
        result = reporter.send()
        return result, result in (SENT, WAITING, OFF)
    if options.command == "opt-in":
        if reporter.opt_in():
            return "Opted in. The first report is due tomorrow. `preview` shows it.", True
        return "Not opted in: DO_NOT_TRACK is set, or the state cannot be read or written.", False
    if reporter.opt_out(forget=not options.no_forget):
        return "Opted out. The id is deleted.", True
    return "The id cannot be deleted. Delete the state file yourself.", False


if __name__ == "__main__":
    sys.exit(main())
