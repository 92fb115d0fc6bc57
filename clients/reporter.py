"""Reports once a day which version an instance runs, if its administrator opted in.

An instance is one installation of an application. This file has no dependencies and needs Python
3.9 or later: copy it into the application and import it, or run it from cron (`python3 reporter.py
--help`). It sends only this, with `"answers": {…}` if the administrator agreed to questions:

    {"id": "<a random UUID>", "version": {"app": …, "sha": …, "image": …, "arch": …}}

Opting in creates the UUID, and after opting out no report is sent with it. If anything fails, that
day's report is lost. No exception is raised, nothing is retried, and no id is logged.
"""

import argparse
import contextlib
import http.client
import json
import logging
import os
import platform
import re
import secrets
import sys
import sysconfig
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    import msvcrt

    fcntl = None

DEADLINE = 5  # seconds for a whole request, from the name lookup to the response
LOCK_WAIT = 2  # seconds to wait for another process that changes the state
DAY = 86_400  # seconds
RETENTION = 366  # days after which a report has expired, if no receipt says when
TIME, DATE = "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d"
KEY, OLD_KEYS = "usage", ("usage_id", "usage_slot", "usage_days")  # in the application's state
RELEASE = re.compile(r"(?!.{33})\d+(\.\d+)*", re.ASCII)  # of at most 32 characters
IMAGE = re.compile("(.*/)?[^:@]*")  # an image's name without its tag and digest
EMPTY = {  # the state of an instance that has not opted in
    "id": None,
    "slot": 0,  # second of the day at which the report is due
    "day": 0,  # the last day that is done, counted from 1970
    "questions": {},  # whether the administrator agreed to each; null if it is new
    "last": None,  # the last report, its time and its outcome
    "servers": {},  # URLs of the servers that may have a report, each with the date of its expiry
    "aside": [],  # what is not confirmed to be erased: each expiry, URL (or "" if unknown) and id
    "update": None,  # the newer release that the last receipt named
}

# The results of `send`.
SENT = "The report was sent."
LOST = "The report was not accepted, and is lost. The next one is due tomorrow."
WAITING = "Nothing to do: today's report is done, or its time has not come."
OFF = "Nothing to do: not opted in."
SILENT = "Nothing was sent: DO_NOT_TRACK or CI is set."
BROKEN = "Nothing was sent: the state cannot be read or written."
# The results of `opt_out`, besides OFF. The braces stand for a date.
ERASED = "Opted out: the server confirmed that the report is erased."
NO_REPORT = "Opted out. No server has a report, so there is none to erase."
NOT_ASKED = "Opted out. The server was not asked; the report expires on {} at the latest."
NOT_CONFIRMED = (
    "Opted out. The erasure of the report is not confirmed; it expires on {} at the latest; run "
    "opt-out again to try again."
)
STUCK = "The id could not be deleted. Delete the state yourself."
# What the command `opt-in` prints.
OPTED_IN = "Opted in. `preview` shows the report, and `status` the questions that you agreed to."
NOT_OPTED_IN = "Not opted in: DO_NOT_TRACK or CI is set, or the state or a question cannot be used."
NOT_SENT = (urllib.error.URLError, http.client.InvalidURL, ValueError)  # raised before sending
FAILURES = (LOST, BROKEN, STUCK, NOT_OPTED_IN, NOT_CONFIRMED.partition("{")[0])
log = logging.getLogger("usage_reporting")
_threads = threading.RLock()  # of this process, for a mapping that brings no lock


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
        self._url, self._state, self._environ, self._clock = url or "", state, environ, clock
        self._version = lambda: {  # the environment may change until a report is sent
            "app": version or environ.get("APP_VERSION") or "unknown",
            "sha": sha or environ.get("GIT_SHA") or "unknown",
            "image": IMAGE.match(f"{image or environ.get('DOCKER_TAG') or ''}")[0] or None,
            "arch": arch or architecture(),
        }
        self._answers = answers
        self._lock = lock or getattr(state, "locked", lambda: _threads)
        self._problems = {}

    @property
    def url(self):
        """The URL to which reports are sent."""
        names = ("USAGE_REPORTING_URL", "USAGE_TRACKING_URL")
        return next(filter(None, map(self._environ.get, names)), self._url)

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
        """Return the state for a settings page, as JSON values. The names never change."""
        state, problem = self._state_or_nothing()
        agreed, given = state["questions"], self._given_answers()
        new = [name for name in given or agreed if agreed.get(name) is None]
        last, app = state["last"], self._version()["app"]
        upgraded = last and app not in ("unknown", last["report"]["version"]["app"])
        return {
            "opted_in": state["id"] is not None,
            "url": self.url,
            "switched_off": self._switched_off(),
            "agreed_to": [name for name in agreed if agreed[name]],
            "needs_consent": new if state["id"] else [],
            "last_report": last,
            "erasure_not_confirmed": max(state["aside"], default=[None])[0],
            "update": None if upgraded else state["update"],
            "problem": problem,
        }

    def preview(self):
        """Return the body that `send` sends. Before opting in, its id is null."""
        return _encoded(self._report(self._state_or_nothing()[0]))

    def opt_in(self, questions=None):
        """Agree to report, and create an id unless there is one. Return whether it succeeded.

        This agrees to all new questions, or, if `questions` is given, to exactly these. A question
        that is neither in `answers` nor known from before is refused, unless there are no answers.
        """
        if self._switched_off():
            return False
        with self._guarded("Opting in failed"), self._changing(new=True) as state:
            agreed = {**dict.fromkeys(self._given_answers()), **state["questions"]}
            new = [name for name in agreed if agreed[name] is not False]
            names = new if questions is None else [*questions]
            known = names if self._answers is None else agreed
            unknown = questions if isinstance(questions, str) else ", ".join({*names} - {*known})
            if unknown:
                log.warning("Opting in failed: no such question, or no list: %s", unknown)
                return False
            state["questions"] = {name: name in names for name in [*agreed, *names]}
            if not state["id"]:
                state["id"], state["day"] = str(uuid.uuid4()), int(self._clock()) // DAY
                state["slot"] = secrets.randbelow(DAY - 3600)  # an hourly job runs after it
            return True
        return False

    def opt_out(self, forget=True):
        """Delete the id, ask each server once to erase its report, and return what happened.

        Until a server confirms the erasure or the report expires, the id is kept aside for another
        call. Without `forget`, or if the reporter is switched off, it is deleted at once.
        """
        forget = forget and not self._switched_off()
        with self._guarded("Opting out failed"):
            with self._changing() as state:
                known, aside = state["id"], state["aside"]
                aside += [[date, url, known] for url, date in state["servers"].items()]
                state.update(EMPTY, aside=aside if forget else [])
            if not aside:
                return NO_REPORT if known else OFF
            if not forget:
                return NOT_ASKED.format(max(aside)[0])
            for erased in [*aside]:
                _, url, usage_id = erased
                if self._post(url or self.url, "/forget", {"id": usage_id})[0] == 204:
                    aside.remove(erased)
                    with contextlib.suppress(Exception), self._changing() as state:
                        state["aside"].remove(erased)
            return NOT_CONFIRMED.format(max(aside)[0]) if aside else ERASED
        return STUCK

    def send(self, now=False):
        """Send the report if it is due, or `now`. Return the result. Call this at any time."""
        if self._switched_off():
            return SILENT
        with self._guarded("No usage report"):
            with self._changing() as state:
                if not state["id"]:
                    return OFF
                if not (now or self._is_due(state)):
                    return WAITING
                report, url = self._report(state), self.url
                outcome = "not known: the process stopped before there was a response"
                state["last"] = {"at": self._time(TIME), "outcome": outcome, "report": report}
                state["day"], state["update"] = int(self._clock()) // DAY, None
                before = state["servers"].get(url)
                state["servers"][url] = self._time(DATE, RETENTION)
            status, response = self._post(url, "", report)
            with contextlib.suppress(Exception), self._changing() as state:
                if state["id"] == report["id"]:  # the administrator did not opt out meanwhile
                    self._remember(state, url, before, status, response)
            return SENT if status == 201 else LOST
        return BROKEN

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
        """Log an error instead of raising it. Log the same error only once in a row."""
        problem = None
        try:
            yield
        except Exception as error:  # noqa: BLE001  `answers`, a state or a lock may raise any
            problem = _named(error)
            if problem != self._problems.get(message):
                log.warning("%s: %s", message, problem)
        self._problems[message] = problem

    def _switched_off(self):
        """Return whether a variable forbids reports. If so, delete the ids that are kept aside."""
        switches = (self._environ.get(name, "") for name in ("DO_NOT_TRACK", "CI"))
        off = any(value.lower() not in ("", "0", "false") for value in switches)
        with self._guarded("Ids may still be kept aside"):
            if off and json.loads(self._state.get(KEY) or "{}").get("aside"):
                with self._changing() as state:
                    state["aside"] = []
        return off

    def _state_or_nothing(self):
        self._switched_off()
        with contextlib.suppress(Exception):
            return self._load(), None
        return dict(EMPTY), BROKEN

    def _load(self):
        """Return the state, without reports that have expired. A damaged state raises."""
        text, (usage_id, slot, days) = self._state.get(KEY), map(self._state.get, OLD_KEYS)
        loaded = json.loads(text or "{}")
        if usage_id and not text:  # from before there were questions
            loaded = {"id": usage_id, "slot": int(slot), "day": int(days.split()[-1])}
        if loaded.get("id") and "servers" not in loaded:  # from before all servers were noted
            loaded["servers"] = {loaded.get("url") or "": self._time(DATE, RETENTION)}
        state = {key: loaded.get(key, default) for key, default in EMPTY.items()}
        state["id"] = None if state["id"] is None else str(uuid.UUID(state["id"]))
        agreed, servers, aside = state["questions"], state["servers"], state["aside"]
        if isinstance(aside, dict):  # from before all servers were noted
            aside = [[date, url or "", each] for each, (date, url) in aside.items()]
        today = self._time(DATE)
        state["questions"] = {each: agreed[each] and agreed[each] is True for each in agreed}
        state["servers"] = {url: date for url, date in servers.items() if date > today}
        state["aside"] = [[date, str(url), str(each)] for date, url, each in aside if date > today]
        known = not state["last"] or isinstance(state["last"]["report"]["version"]["app"], str)
        if not (known and isinstance(state["slot"], int) and isinstance(state["day"], int)):
            raise ValueError("the state is damaged")
        return state

    @contextlib.contextmanager
    def _changing(self, new=False):
        """Lock and return the state. Afterwards, write it if it was changed."""
        if not (new or self._state.get(KEY) or self._state.get(OLD_KEYS[0])):
            yield {**EMPTY}  # without a lock, which may be root's and lock the application out
            return
        with self._lock():
            state = self._load()
            yield state
            text = "" if state == EMPTY else _encoded(state).decode()
            if text != (self._state.get(KEY) or "") or self._state.get(OLD_KEYS[0]):
                if text:
                    self._state[KEY] = text
                for key in OLD_KEYS if text else (KEY, *OLD_KEYS):
                    self._state.pop(key, None)

    def _time(self, form, days=0):
        return time.strftime(form, time.gmtime(self._clock() + days * DAY))

    def _is_due(self, state):
        """Return whether a report is due, and change the schedule if it cannot be kept."""
        day, second = divmod(int(self._clock()), DAY)
        if state["day"] > day + 1:  # the clock was ahead, so today's may have been sent
            state["day"] = day
        early = second < state["slot"]
        if day <= state["day"] or (day == state["day"] + 1 and early):
            return False
        if early:  # it never runs at its time: draw an earlier one
            state["slot"] = secrets.randbelow(second + 1)
        return True

    def _remember(self, state, url, before, status, response):
        """Note the outcome of a report, and what the receipt says."""
        content, servers = {}, state["servers"]
        with contextlib.suppress(Exception):
            content = dict(json.loads(response))
        if status != 201:
            why = "".join(filter(str.isprintable, str(content.get("error", ""))))[:200]
            state["last"]["outcome"] = f"not accepted: {status or response}{why and ': '}{why}"
            if status is not None and status < 500:  # it has no report but an earlier one
                servers.pop(url, None)
                servers.update({url: before} if before else {})
            return
        state["last"]["outcome"] = "accepted"
        with contextlib.suppress(Exception):
            forgotten = time.strftime(DATE, time.strptime(content["forgotten_at"], TIME))
            if forgotten > self._time(DATE):
                servers[url] = max(forgotten, before or "")
        with contextlib.suppress(Exception):
            release, security = content["update"]["release"], content["update"]["security"] is True
            if RELEASE.fullmatch(release):
                state["update"] = {"release": release, "security": security}

    def _report(self, state):
        """Return the report, with the answers that were agreed to; with all before opting in."""
        given = self._given_answers()
        agreed = {**dict.fromkeys(given), **state["questions"]}
        if state["id"]:
            state["questions"] = agreed  # so that another process can name what needs consent
            given = {name: answer for name, answer in given.items() if agreed[name]}
        answers = {name: answer for name, answer in given.items() if answer is not None}
        report = {"id": state["id"], "version": self._version()}
        return {**report, "answers": answers} if answers else report

    def _given_answers(self):
        """Return the answers of the application; none if they cannot be had."""
        with self._guarded("The report has no answers"):
            given = dict((self._answers() if callable(self._answers) else self._answers) or {})
            json.dumps(given, allow_nan=False)  # the server would refuse the report
            return given
        return {}

    def _post(self, url, path, content):
        """Return the status and the response, or None (0 if nothing was sent) and the error."""
        # urllib has a timeout for each step only; only a thread can leave a server that sends one
        # byte a second.
        responses, request = [], (url, path, _encoded(content))
        worker = threading.Thread(target=lambda: responses.append(_exchange(*request)), daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads
            worker.start()
            worker.join(DEADLINE)
        status, response = responses[0] if responses else (None, "TimeoutError")
        level = logging.INFO if status in (201, 204) else logging.WARNING
        log.log(level, "A request for usage reporting ended with %s", status or response)
        return status, response


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
            return json.loads(self.path.read_text(encoding="utf-8") or "{}")
        except FileNotFoundError:
            return {}

    def _write(self, content):
        # The name is always the same, so that the next write removes a file, and the id in it, that
        # a crash left behind.
        new = Path(f"{self.path}.new")
        try:
            new.unlink(missing_ok=True)
            with self._opened(".new", os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file:
                json.dump(content, file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self.path)
        finally:
            new.unlink(missing_ok=True)

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
                    os.fchmod(file.fileno(), wanted.st_mode & 0o7777)
            yield file


class BelongsToAnotherUser(OSError):
    """The state file belongs to another user, to whom this process cannot give a new file."""


class UnsupportedProxy(urllib.error.URLError):
    """The environment names a proxy that is no HTTP proxy, such as one for SOCKS."""


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
            time.sleep(0.01)  # between two attempts; one call that waits would have no timeout


def _named(error):
    """Return the type of an error: its text may quote the state, and with it the id."""
    reason = getattr(error, "reason", None)  # the cause of a URLError
    return type(reason if isinstance(reason, Exception) else error).__name__


def architecture(system=sys.platform, built_for=None):
    """Return the platform of this Python, such as `x86_64-linux` or `arm-linux-musleabihf`."""
    parts = (built_for or sysconfig.get_config_var("HOST_GNU_TYPE") or "").split("-")
    if system != "linux" or len(parts) < 3:
        return f"{platform.machine().lower()}-{system}"
    library = re.sub("^gnu", "", parts[-1])  # glibc is the usual C library and is not named
    return f"{parts[0]}-{system}" + (f"-{library}" if library else "")


def _exchange(url, path, body):
    """POST to a path below a URL. Return what `_post` returns, at most 4096 bytes of it."""
    try:
        parts = urllib.parse.urlsplit(url)
        path = parts.path.rstrip("/") + path if path else parts.path or "/"
        url = parts._replace(path=path).geturl()
        opener = urllib.request.OpenerDirector()  # it has no handler that follows redirects
        opener.add_handler(urllib.request.ProxyHandler(_proxies(parts)))
        opener.add_handler(urllib.request.UnknownHandler())
        opener.add_handler(urllib.request.HTTPHandler(0))  # 0: print nothing, even if the
        opener.add_handler(urllib.request.HTTPSHandler(0))  # application prints its requests
        headers = {"Content-Type": "application/json", "User-Agent": "reporter.py"}
        request = urllib.request.Request(url, body, headers)  # noqa: S310  no handler opens files
        # Shorter than the deadline, so that a failure to connect is known to be one.
        with opener.open(request, timeout=0.8 * DEADLINE) as response:
            with contextlib.suppress(Exception):  # only the status matters
                return response.status, response.read1(4096)
            return response.status, b""
    except Exception as error:  # noqa: BLE001  no error may reach the application
        return 0 if isinstance(error, NOT_SENT) else None, _named(error)


def _proxies(url):
    """Return the proxy for a URL as the environment names it; urllib does not know `all_proxy`."""
    proxies = {} if urllib.request.proxy_bypass(url.netloc) else urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if re.match("(?!https?:).*://", proxy or "", re.IGNORECASE):
        raise UnsupportedProxy("no HTTP proxy")
    return {url.scheme: proxy} if proxy else {}


def main(arguments=None, environ=os.environ, clock=time.time):
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(description="Report once a day which version runs here.")
    option = parser.add_argument
    option("command", choices=["preview", "status", "send", "opt-in", "opt-out"])
    option("--url", default="", help="URL of the server (default: USAGE_REPORTING_URL)")
    option("--state", help="path of the file with the state (default: USAGE_REPORTING_STATE)")
    option("--version", help="version of the application (default: APP_VERSION)")
    option("--answers", type=json.loads, help="answers to questions, as JSON: '{\"sso\": true}'")
    names = re.compile(r"[^,\s](?:[^,]*[^,\s])?").findall
    option("--questions", type=names, help="opt in to exactly these questions: database,users")
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
    outcome = {
        "preview": lambda: reporter.preview().decode(),
        "status": lambda: json.dumps(reporter.status(), indent=2),
        "send": lambda: reporter.send(args.now),
        "opt-in": lambda: OPTED_IN if reporter.opt_in(args.questions) else NOT_OPTED_IN,
        "opt-out": lambda: reporter.opt_out(not args.no_forget),
    }[args.command]()
    failed = any(failure in outcome for failure in FAILURES)
    if failed or not args.quiet:
        print(outcome)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
