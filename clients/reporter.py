"""Reports once a day which version an instance runs, if its administrator opted in.

An instance is one installation of an application. This file has no dependencies and needs Python
3.9 or later: copy it into the application and import it, or run it from cron (`python3 reporter.py
--help`). It sends only this, with `"answers": {…}` if the administrator agreed to questions:

    {"id": "<a random UUID>", "version": {"app": …, "sha": …, "image": …, "arch": …}}

Opting in creates the UUID, and after opting out no report is sent with it. If anything fails, that
day's report is lost. No exception is raised, nothing is retried, and no id is logged.
"""

import argparse
import calendar
import contextlib
import json
import logging
import os
import platform
import re
import secrets
import stat
import sys
import sysconfig
import threading
import time
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    fcntl = None

DEADLINE = 5  # seconds for a whole request, from the name lookup to the answer
MAX_ANSWER = 4096  # bytes of the answer's body that are read
LOCK_WAIT = 2  # seconds to wait for another process that changes the state
DAY = 86_400  # seconds
LATEST = 82_800  # seconds after midnight; an hourly job runs once more after this time
TIME, DATE = "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"
HEADERS = {"Content-Type": "application/json", "User-Agent": "reporter.py"}
SWITCHES = ("DO_NOT_TRACK", "CI")  # environment variables that switch the reporter off
KEY, OLD_KEYS = "usage", ("usage_id", "usage_slot", "usage_days")  # in the application's state
RELEASE, MAX_RELEASE = re.compile(r"\d+(\.\d+)*", re.ASCII), 32  # of an update, in characters
KEPT, KEPT_AT_MOST = 8, 366  # days until the server forgets a report: by default, and at most

# The results of `send`.
SENT = "The report was sent."
LOST = "The report was not accepted, and is lost. The next one is due tomorrow."
WAITING = "Nothing to do: today's report is done, or its time has not come."
OFF = "Nothing to do: not opted in."
SILENT = "Nothing was sent: DO_NOT_TRACK or CI is set."
BROKEN = "Nothing was sent: the state cannot be read or written."
# The results of `opt_out`, besides OFF. The braces stand for a date.
ERASED = "Opted out: the server confirmed that the report is erased."
NOT_ASKED = "Opted out. The server was not asked; the report expires on {} at the latest."
NOT_CONFIRMED = (
    "Opted out. The erasure of the report is not confirmed; it expires on {} at the latest; run "
    "opt-out again to try again."
)
STUCK = "The id could not be deleted. Delete the state yourself."
# What the command `opt-in` prints.
OPTED_IN = "Opted in. `preview` shows the report, and `status` the questions that you agreed to."
NOT_OPTED_IN = "Not opted in: DO_NOT_TRACK or CI is set, or the state cannot be read or written."
FAILURES = (LOST, BROKEN, STUCK, NOT_OPTED_IN, NOT_CONFIRMED.partition("{")[0])
log = logging.getLogger("usage_reporting")


class Reporter:
    """Sends the reports of one instance. No method raises an exception.

    `url` is the server's URL, unless the environment sets another one. `state` is a StateFile, or
    any mutable mapping of text to text. If several processes share such a mapping, pass `lock`: a
    function that returns a context manager that only one of them can hold at a time. `answers` is
    a mapping of questions to answers, or a function that returns one and is called for each
    report. An answer that is None is left out.
    """

    # With one parameter per line, the signature would push the methods off the first screen.
    def __init__(
        self, url, state, version=None, *, sha=None, image=None, arch=None, answers=None,
        lock=None, environ=os.environ, clock=time.time,
    ):  # fmt: skip
        self._url, self._state, self._environ, self._clock = url, state, environ, clock
        self._given = {"app": version, "sha": sha, "image": image, "arch": arch}
        self._answers = answers
        self._lock = lock or getattr(state, "locked", lambda: _threads)
        self._warning = None

    @property
    def url(self):
        """The URL to which reports are sent."""
        environ = self._environ
        return environ.get("USAGE_REPORTING_URL") or environ.get("USAGE_TRACKING_URL") or self._url

    @property
    def opted_in(self):
        """Whether the state has an id. False if the state cannot be read."""
        return self._state_or_nothing()[0]["id"] is not None

    @property
    def needs_consent(self):
        """The names of the questions that are new since the administrator opted in."""
        return self.status()["needs_consent"]

    @property
    def update(self):
        """The newer release that the latest receipt named, with `security`, or None."""
        return self.status()["update"]

    def status(self):
        """Return what a settings page shows, as JSON values under names that are always there."""
        state, problem = self._state_or_nothing()
        agreed, given = state["questions"], self._given_answers()
        new = [name for name in given or agreed if agreed.get(name) is None]
        app = self._given["app"] or self._environ.get("APP_VERSION")
        outdated = app and state["last"] and app != state["last"]["report"]["version"]["app"]
        return {
            "opted_in": state["id"] is not None,
            "url": self.url,
            "switched_off": self._switched_off(),
            "agreed_to": [name for name in agreed if agreed[name]],
            "needs_consent": new if state["id"] else [],
            "last_report": state["last"],
            "erasure_not_confirmed": max(state["aside"].values(), default=None),
            "update": None if outdated else state["update"],
            "problem": problem,
        }

    def preview(self):
        """Return the body that `send` sends. Before opting in, its id is null."""
        return _encoded(self._report(self._state_or_nothing()[0]))

    def opt_in(self, questions=None):
        """Agree to report, and create an id unless there is one. Return whether it succeeded.

        This agrees to all questions that are new, or, if `questions` is given, to exactly these.
        """
        if self._switched_off():
            return False
        with self._guarded("Opting in failed"), self._changing() as state:
            agreed = state["questions"] if state["id"] else {}
            names = [*self._given_answers(), *agreed, *(questions or ())]
            if questions is None:
                questions = [name for name in names if agreed.get(name) is not False]
            state["questions"] = {name: name in questions for name in names}
            if not state["id"]:
                self._schedule(state)
                state["id"] = str(uuid.uuid4())
            return True
        return False

    def opt_out(self, forget=True):
        """Delete the id, ask the server once to erase the report, and return what happened.

        Until the server confirms the erasure or the report expires, the id is kept aside for
        another call. Without `forget`, or if the reporter is switched off, it is deleted at once.
        """
        forget = forget and not self._switched_off()
        with self._guarded("Opting out failed"):
            with self._changing() as state:
                aside = state["aside"]
                if state["id"]:
                    aside[state["id"]] = self._time(DATE, state["kept"])
                state.update(_state(aside=aside if forget else {}))
            expiry = max(aside.values(), default=None)
            if not expiry:
                return OFF
            if not forget:
                return NOT_ASKED.format(expiry)
            for usage_id in [*aside]:
                if self._post("/forget", {"id": usage_id})[0] != 204:
                    return NOT_CONFIRMED.format(expiry)
                with contextlib.suppress(Exception), self._changing() as state:
                    state["aside"].pop(usage_id, None)
            return ERASED
        return STUCK

    def send(self, now=False):
        """Send the report if it is due, or `now`. Return the result. Call this at any time."""
        if self._switched_off():
            return SILENT
        outcome, report = BROKEN, None
        with self._guarded("No usage report"):
            outcome, report = self._claim(now)
        if report:
            status, answer = self._post("", report)
            outcome = SENT if status == 201 else LOST
            with contextlib.suppress(Exception), self._changing() as state:
                if state["id"] == report["id"]:  # the administrator did not opt out meanwhile
                    state["last"]["outcome"] = (
                        "accepted" if status == 201 else f"not accepted: {status or answer}"
                    )
                    state["kept"] = self._kept(answer) or state["kept"]
                    state["update"] = _update(answer)
        return outcome

    def start(self, every=60):
        """Start a thread that calls `send` every so many seconds. Return a function to stop it."""
        stopped = threading.Event()

        def run():
            while not stopped.wait(every):
                self.send()

        with self._guarded("No usage reports"):
            threading.Thread(target=run, name="usage-reporting", daemon=True).start()
        return stopped.set

    @contextlib.contextmanager
    def _guarded(self, message):
        """Log an error instead of raising it: once, if the next call has the same error.

        The application may bring a state that raises anything, and a settings page calls this.
        """
        warning = None
        try:
            yield
        except Exception as error:  # noqa: BLE001  see above
            warning = f"{message}: {_named(error)}"
            if warning != self._warning:
                log.warning(warning)
        self._warning = warning

    def _switched_off(self):
        values = (self._environ.get(name, "").strip().lower() for name in SWITCHES)
        return any(value not in ("", "0", "false") for value in values)

    def _state_or_nothing(self):
        with contextlib.suppress(Exception):
            return self._load(), None
        return _state(), BROKEN

    def _load(self):
        """Return the state, without ids whose reports have expired. A damaged state raises."""
        text, today = self._state.get(KEY), self._time(DATE)
        usage_id, slot, days = map(self._state.get, OLD_KEYS)
        if text or not usage_id:
            state = _state(**json.loads(text or "{}"))
        else:  # from before there were questions
            state = _state(id=usage_id, slot=int(slot), day=int(days.split()[-1]))
        state["id"] = state["id"] and str(uuid.UUID(state["id"]))
        state["questions"] = dict(state["questions"])
        state["aside"] = {each: day for each, day in state["aside"].items() if day > today}
        return state

    @contextlib.contextmanager
    def _changing(self):
        """Lock and return the state. Afterwards, write it if it was changed."""
        with self._lock():
            state = self._load()
            yield state
            text = "" if state == _state() else _encoded(state).decode()
            if text != (self._state.get(KEY) or "") or self._state.get(OLD_KEYS[0]):
                if text:
                    self._state[KEY] = text
                for key in OLD_KEYS if text else (KEY, *OLD_KEYS):
                    self._state.pop(key, None)

    def _time(self, form, days=0):
        return time.strftime(form, time.gmtime(self._clock() + days * DAY))

    def _schedule(self, state):
        """Draw the time of day of the reports. The first one is due tomorrow."""
        state["slot"], state["day"] = secrets.randbelow(LATEST), int(self._clock()) // DAY

    def _claim(self, now):
        """Return the report and mark today as done, if a report is due. If not, return why."""
        day, second = divmod(int(self._clock()), DAY)
        with self._changing() as state:
            if not state["id"]:
                return OFF, None
            if state["day"] > day + 1:  # the clock was ahead, so today's may have been sent
                self._schedule(state)
            early = second < state["slot"]
            if not now and (day <= state["day"] or (day == state["day"] + 1 and early)):
                return WAITING, None
            if early and not now:  # it never runs at its time: draw an earlier one
                state["slot"] = secrets.randbelow(second + 1)
            outcome = "not known: the process stopped before there was an answer"
            report = self._report(state)
            state["last"] = {"at": self._time(TIME), "outcome": outcome, "report": report}
            state["day"], state["update"] = day, None
        return WAITING, report

    def _kept(self, receipt):
        """Return in how many days the report is forgotten, or None if the receipt has no date."""
        with contextlib.suppress(Exception):
            forgotten = calendar.timegm(time.strptime(json.loads(receipt)["forgotten_at"], TIME))
            return min(max(forgotten // DAY - int(self._clock()) // DAY, 1), KEPT_AT_MOST)
        return None

    def _report(self, state):
        """Return the report, with the answers that were agreed to; with all before opting in."""
        environ, given, answers = self._environ, self._given, self._given_answers()
        agreed = {**dict.fromkeys(answers), **state["questions"]}
        if state["id"]:
            state["questions"] = agreed  # so that another process can name what needs consent
            answers = {name: answer for name, answer in answers.items() if agreed[name]}
        version = {
            "app": given["app"] or environ.get("APP_VERSION") or "unknown",
            "sha": given["sha"] or environ.get("GIT_SHA") or "unknown",
            "image": given["image"] or without_tag(environ.get("DOCKER_TAG")),
            "arch": given["arch"] or architecture(),
        }
        answers = {name: answer for name, answer in answers.items() if answer is not None}
        report = {"id": state["id"], "version": version}
        return {**report, "answers": answers} if answers else report

    def _given_answers(self):
        """Return the answers of the application; none if they cannot be had."""
        try:
            given = dict((self._answers() if callable(self._answers) else self._answers) or {})
            json.dumps(given, allow_nan=False)  # the server would refuse the report
        except Exception as error:  # noqa: BLE001  the application may bring a function that raises anything
            log.warning("The report has no answers: %s", _named(error))
            return {}
        return given

    def _post(self, path, content):
        """Return the status and the beginning of the answer, or None and the type of the error.

        urllib has a timeout for each step only, so a thread waits for a server that sends one byte
        a second. The caller does not.
        """
        answers = []
        arguments = (self.url, path, _encoded(content), answers)
        with contextlib.suppress(RuntimeError):  # no more threads
            worker = threading.Thread(target=_exchange, args=arguments, daemon=True)
            worker.start()
            worker.join(DEADLINE)
        status, answer = answers[0] if answers else (None, "TimeoutError")
        level = logging.INFO if status in (201, 204) else logging.WARNING
        log.log(level, "A request for usage reporting ended with %s", status or answer)
        return status, answer


class StateFile:
    """A state in a JSON file. It implements the mapping methods that a Reporter uses.

    The file's object may have other keys, which stay as they are. Each change replaces the file by
    one with the same owner and mode, so its folder must be writable. A `.lock` file is beside it.
    """

    def __init__(self, path):
        self.path = Path(os.path.realpath(path))

    @contextlib.contextmanager
    def locked(self):
        """Lock out other threads and processes. The system frees the lock if the process ends."""
        with self._opened(".lock", os.O_RDWR | os.O_CREAT) as file:
            _wait_for_lock(file.fileno())
            yield

    def get(self, key):
        return self._read().get(key)

    def __setitem__(self, key, value):
        self._write({**self._read(), key: value})

    def pop(self, key, default):
        content = self._read()
        if key in content:
            default = content.pop(key)
            self._write(content)
        return default

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
        try:
            with self._opened(".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
                json.dump(content, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        except OSError:
            new.unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def _opened(self, suffix, flags):
        """Open a file beside the state file, with the owner and the mode of that, if it exists."""
        path = Path(f"{self.path}{suffix}")
        with os.fdopen(os.open(path, flags, 0o600), "w") as file:
            if fcntl and self.path.exists():
                wanted, mine = self.path.stat(), os.fstat(file.fileno())
                try:
                    if (wanted.st_uid, wanted.st_gid) != (mine.st_uid, mine.st_gid):
                        os.fchown(file.fileno(), wanted.st_uid, wanted.st_gid)
                except OSError:
                    path.unlink()
                    raise BelongsToAnotherUser from None
                if wanted.st_mode != mine.st_mode:
                    os.fchmod(file.fileno(), stat.S_IMODE(wanted.st_mode))
            yield file


class BelongsToAnotherUser(OSError):
    """The state file belongs to another user, to whom this process cannot give a new file."""


class UnsupportedProxy(OSError):
    """The environment names a proxy that is no HTTP proxy, such as one for SOCKS."""


_threads = threading.RLock()


def _state(**known):
    """Return a state, which is that of an instance that never opted in, apart from `known`.

    `slot` is the second of the day at which the report is due, and `day` the last day with a
    report, since 1970. `questions` says whether the administrator agreed to each, null if it is
    new. `last` is the last report. `aside` has the ids whose erasure is not confirmed, each with
    the date on which its report expires, `kept` days after it. `update` is a newer release.
    """
    empty = {"id": None, "slot": 0, "day": 0, "questions": {}, "last": None, "aside": {}}
    return {**empty, "kept": KEPT, "update": None, **known}


def _update(receipt):
    """Return the newer release that a receipt names, or None. Anything but a version is ignored."""
    with contextlib.suppress(Exception):
        update = json.loads(receipt)["update"]
        if len(update["release"]) <= MAX_RELEASE and RELEASE.fullmatch(update["release"]):
            return {"release": update["release"], "security": update["security"] is True}
    return None


def _encoded(content):
    return json.dumps(content, default=str).encode()


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


def _named(error):
    """Return the type of an error: its text may quote the state, and with it the id."""
    reason = getattr(error, "reason", None)  # the cause of a URLError
    return type(reason if isinstance(reason, Exception) else error).__name__


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


def _exchange(url, path, body, answers):
    """POST to a path below a URL, and append the status and the beginning of the answer."""
    try:
        parts = urllib.parse.urlsplit(url)
        path = parts.path.rstrip("/") + path if path else parts.path or "/"
        url = parts._replace(path=path).geturl()
        opener = urllib.request.OpenerDirector()  # it has no handler that follows redirects
        opener.add_handler(urllib.request.ProxyHandler(_proxies(parts)))
        opener.add_handler(urllib.request.UnknownHandler())
        for web in (urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
            opener.add_handler(web(0))  # print nothing, even if the application prints its requests
        request = urllib.request.Request(url, body, HEADERS)  # noqa: S310  no handler opens files
        with opener.open(request, timeout=DEADLINE) as response:
            beginning = b""
            with contextlib.suppress(Exception):  # only the status matters
                beginning = response.read1(MAX_ANSWER)
            answers.append((response.status, beginning))
    except Exception as error:  # noqa: BLE001  whatever it is, only this request is lost
        answers.append((None, _named(error)))


def _proxies(url):
    """Return the proxy for a URL as the environment names it; urllib does not know `all_proxy`."""
    proxies = {} if urllib.request.proxy_bypass(url.netloc) else urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and "://" in proxy and not re.match("https?://", proxy, re.IGNORECASE):
        raise UnsupportedProxy
    return {url.scheme: proxy} if proxy else {}


def main(arguments=None, environ=os.environ, clock=time.time):
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    option = parser.add_argument
    option("command", choices=["preview", "status", "send", "opt-in", "opt-out"])
    option("--url", default="", help="URL of the server (default: USAGE_REPORTING_URL)")
    option("--state", help="path of the file with the state (default: USAGE_REPORTING_STATE)")
    option("--version", help="version of the application (default: APP_VERSION)")
    option("--answers", type=json.loads, help="answers to questions, as JSON: '{\"sso\": true}'")
    option(
        "--questions",
        type=lambda text: [*filter(None, text.split(","))],
        help="opt in to exactly these questions: database,users",
    )
    option("--now", action="store_true", help="send even if no report is due")
    option("--quiet", action="store_true", help="print nothing unless something failed")
    option("--no-forget", action="store_true", help="opt out without asking the server to erase")
    args = parser.parse_args(arguments)
    state = args.state or environ.get("USAGE_REPORTING_STATE")
    if not state:
        parser.error("give --state, or set USAGE_REPORTING_STATE")
    options = {"answers": args.answers, "environ": environ, "clock": clock}
    reporter = Reporter(args.url, StateFile(state), args.version, **options)
    if not reporter.url and args.command == "send":
        parser.error("give --url, or set USAGE_REPORTING_URL")
    if args.command == "opt-in":
        outcome = OPTED_IN if reporter.opt_in(args.questions) else NOT_OPTED_IN
    else:
        outcome = {
            "preview": lambda: reporter.preview().decode(),
            "status": lambda: json.dumps(reporter.status(), indent=2),
            "send": lambda: reporter.send(args.now),
            "opt-out": lambda: reporter.opt_out(not args.no_forget),
        }[args.command]()
    failed = any(failure in outcome for failure in FAILURES)
    if failed or not args.quiet:
        print(outcome)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
