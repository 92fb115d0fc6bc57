"""How the server is run: `gunicorn tracking_site.wsgi` finds this file itself.

Facts here are of gunicorn 27 with gevent 26; check them again when a version changes.
"""

import gc
import logging
import os
import resource
import socket
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from weakref import WeakSet

import gevent
from gunicorn.errors import AppImportError, HaltServer

from collector.conf import CONNECTIONS
from tracking_site.logs import DiscreetLogger, note_failure, tell_untold

# gevent inspects every live object when it patches the standard library, and so makes Django's lazy
# settings load, which need this.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tracking_site.settings")

BODY_DEADLINE = 10  # seconds for a whole body
BODY_ROOM = 16_384  # bytes read of a body that is refused; four times the largest report
SEND_DEADLINE = 15  # seconds for a client to take what it is sent; more than any other deadline
HOUSEKEEPING = 60  # seconds between two looks for what has expired, or was not told

# Threads are stalled by a few dozen silent connections; gevent does not notice thousands.
worker_class = "gevent"
# With gevent this is the time a request's head may take, and how long an idle connection stays.
keepalive = 10
# Each connection is a file; use what the system allows, within reason.
_, _hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
_files = 65_536 if _hard_limit == resource.RLIM_INFINITY else min(_hard_limit, 65_536)
resource.setrlimit(resource.RLIMIT_NOFILE, (_files, _hard_limit))
worker_connections = max(min(_files - 100, CONNECTIONS), 1)
backlog = 4096

# No header of a proxy is believed, not even from this machine: nothing here needs the client's
# address or scheme, and a SCRIPT_NAME that does not fit the path would be answered with a 500.
forwarded_allow_ips = ""
forwarder_headers = ""

# What a head may take: 48 kB, which become CONNECTION_BYTES. A browser behind two proxies sends
# some thirty fields.
limit_request_line = 8190
limit_request_fields = 32
limit_request_field_size = 1536

# Asked to end, wait for those who are being answered and no longer.
graceful_timeout = SEND_DEADLINE

# A restarted worker has forgotten everything: no timeout ends it and no count recycles it.
timeout = 0
max_requests = 0
# No line quotes a request; no crash leaves the memory on disk.
logger_class = "tracking_site.logs.DiscreetLogger"
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
# Nothing on disk: the heartbeat's file is in memory, and there is no control socket.
worker_tmp_dir = "/dev/shm"  # noqa: S108  gunicorn makes the name unguessable
control_socket_disable = True


def refusal(cfg):
    """The sentence that refuses a configuration which would break a promise; None: it is fine."""
    if cfg.workers < 1 or (cfg.workers > 1 and not shared()):
        return f"{cfg.workers} workers are refused: {ONE_PROCESS}"
    if (cfg.max_requests or cfg.timeout or cfg.reload) and not shared():
        return (
            "max_requests, timeout and reload are refused: a new worker has forgotten everything."
        )
    if cfg.worker_class_str != worker_class or cfg.keepalive < 1:
        return (
            "Any worker_class but gevent, and keepalive 0, are refused: slow clients would stall."
        )
    if cfg.worker_tmp_dir != worker_tmp_dir or cfg.pidfile:
        return "worker_tmp_dir and pidfile are refused: nothing is written to disk."
    if {cfg.errorlog, cfg.accesslog} - {"-", None}:
        return "Log files are refused: nothing is written to disk. Lines go to standard output."
    if not issubclass(cfg.logger_class, DiscreetLogger):
        return "Any other logger_class is refused: it would print who asked, and for what."
    return None


def shared():
    """Whether a store keeps the reports, and not the process."""
    from tracking_site.settings import ENV

    return bool(ENV.redis_url)


ONE_PROCESS = (
    "reports are kept in the memory of one process, and each process would count its own. "
    "Use one worker, which serves thousands of connections, or set REDIS_URL."
)


def on_starting(server):
    """Refuse a start that would break a promise; gunicorn prints the sentence and exits."""
    from django.core.exceptions import ImproperlyConfigured

    try:
        from tracking_site import settings  # reading the environment validates it
    except ImproperlyConfigured as error:
        raise RuntimeError(error) from error
    if settings.STATIC_ROOT and not Path(settings.STATIC_ROOT, "staticfiles.json").exists():
        raise RuntimeError(
            f"STATIC_ROOT is {settings.STATIC_ROOT!r}, where nothing was collected: "
            "run `manage.py collectstatic`, or unset it."
        )
    if server.master_pid and not shared():
        raise RuntimeError(f"A second server beside the first (SIGUSR2) is refused: {ONE_PROCESS}")
    if problem := refusal(server.cfg):
        raise RuntimeError(problem)


def pre_fork(server, worker):
    """Refuse also what was changed in a file before a reload (SIGHUP): the server ends."""
    if problem := refusal(server.cfg):
        raise HaltServer(problem, 1)


def nworkers_changed(server, new_value, old_value):
    """Refuse a second worker while running (SIGTTIN), and go on with the first."""
    if old_value == 1 and new_value > 1 and not shared():
        server.log.warning("%s workers are refused: %s", new_value, ONE_PROCESS)
        server.num_workers = old_value


def when_ready(server):
    """Say what is served, where, and for how long it remembers."""
    from tracking_site.settings import ENV

    server.log.info(
        "Headcount counts installations of %s at %s. A report counts for %s days after its own; "
        "a restart forgets %s.",
        ENV.project_name,
        ", ".join(map(str, server.LISTENERS)),
        ENV.retention_days,
        "nothing" if shared() else "everything",
    )


def post_fork(server, worker):
    """Print nothing from here on that may quote a request."""
    worker.log.hush()


def post_worker_init(worker):
    """Check the settings, and begin to free what expires."""
    from django.core import checks

    from collector.cache import records

    problems = checks.run_checks(tags=["collector"])
    if any(found.is_serious() for found in problems):
        raise AppImportError("\n".join(map(str, problems)))
    for found in problems:
        logging.getLogger("collector").warning("%s", found)
    # What was loaded by now stays for good. Unfrozen, Python's collector would walk all of it again
    # and again, which takes 15 to 30 us of a report.
    gc.collect()
    gc.freeze()
    gevent.get_hub().print_exception = note_failure
    gevent.spawn(keep_house, records())
    gevent.spawn(end_idle_connections, worker)


def keep_house(cache):
    """Give memory back also on a server that nobody visits, and tell what was not told yet."""
    from collector.cache import Unavailable
    from collector.numbers import snapshot

    while True:
        gevent.sleep(HOUSEKEEPING)
        with suppress(Unavailable):
            cache.free_expired()
            snapshot.drop_stale()
        tell_untold()


idle = WeakSet()  # sockets that were answered, and may bring another request or none


def pre_request(worker, req):
    """Give the whole body one deadline, however it trickles in, and each answer one too."""
    idle.discard(req.unreader.sock)
    req.unreader.sock.settimeout(SEND_DEADLINE)
    req.body.reader = DeadlineReader(req.body.reader)


def post_request(worker, req, environ, resp):
    """Remember that a connection waits for a request, and nothing of what it asked for."""
    idle.add(req.unreader.sock)
    urlsplit.cache_clear()  # it keeps the last 128 paths that gunicorn parsed


def end_idle_connections(worker):
    """When the server is to end, wait for no one who may ask again; what was sent is answered."""
    while worker.alive:
        gevent.sleep(0.2)
    for sock in list(idle):
        with suppress(OSError):  # it was closed meanwhile
            sock.shutdown(socket.SHUT_RD)


class DeadlineReader:
    """Reads a body until BODY_DEADLINE seconds after its head, and BODY_ROOM bytes of it.

    After that, TimeoutError: gunicorn then closes the connection. It would otherwise read all of a
    body that was refused, and one that comes fast enough would leave nobody else a turn.
    """

    def __init__(self, reader):
        self.reader = reader
        self.deadline = time.monotonic() + BODY_DEADLINE
        self.taken = 0

    def read(self, size):
        left = self.deadline - time.monotonic()
        if left <= 0 or self.taken > BODY_ROOM:
            raise TimeoutError
        if self.taken:
            gevent.sleep(0)
        with gevent.Timeout(left, TimeoutError):
            data = self.reader.read(size)
        self.taken += len(data)
        return data
