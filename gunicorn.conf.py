"""gunicorn's configuration. `gunicorn tracking_site.wsgi` finds this file by itself.

The facts below apply to gunicorn 27 with gevent 26; verify them when a version changes.
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
from gunicorn.http import wsgi
from gunicorn.http.body import LengthReader

from collector.conf import CONNECTIONS
from tracking_site import housekeeping, responses
from tracking_site.logs import RedactingLogger, log_failure

# gevent inspects every live object when it patches the standard library, which makes Django load
# its lazy settings. They need this variable.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tracking_site.settings")

BODY_DEADLINE = 10  # seconds for a whole body to arrive
BODY_ROOM = 16_384  # bytes to read of a refused body: four times the largest report
SEND_DEADLINE = 15  # seconds for a client to accept a response; longer than any other deadline

# A few dozen silent connections stall a threaded worker. gevent handles thousands.
worker_class = "gevent"
# With gevent, this limits how long a request's head may take and how long a connection may idle.
keepalive = 10
# Each connection is an open file. Raise the soft limit to what the system allows, within reason.
_, _hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
_files = 65_536 if _hard_limit == resource.RLIM_INFINITY else min(_hard_limit, 65_536)
resource.setrlimit(resource.RLIMIT_NOFILE, (_files, _hard_limit))
worker_connections = max(min(_files - 100, CONNECTIONS), 1)
backlog = 4096

# Trust no header from a proxy, not even on this machine: nothing here needs the client's address
# or scheme, and a SCRIPT_NAME that does not match the path would cause a 500.
forwarded_allow_ips = ""
forwarder_headers = ""

# A head may be 57 kB long, for which a connection needs CONNECTION_BYTES of memory. A browser
# behind two proxies sends about thirty fields.
limit_request_line = 8190
limit_request_fields = 32
limit_request_field_size = 1536
# gunicorn would use another parser if it is installed, with which no test has run.
http_parser = "python"

# At shutdown, wait only for responses that are being sent.
graceful_timeout = SEND_DEADLINE

# A restarted worker has lost all reports, so no timeout and no number of requests restarts it.
timeout = 0
max_requests = 0
# No log line quotes a request, and no crash writes the memory to disk.
logger_class = "tracking_site.logs.RedactingLogger"
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
# Nothing is on disk: the heartbeat file is in memory, and there is no control socket.
worker_tmp_dir = "/dev/shm"  # noqa: S108  gunicorn generates an unpredictable name
control_socket_disable = True

# The memory ceiling depends on these limits.
LIMITS = {
    "worker_connections": worker_connections,
    "limit_request_line": limit_request_line,
    "limit_request_fields": limit_request_fields,
    "limit_request_field_size": limit_request_field_size,
}
ONE_PROCESS = (
    "The reports are in the memory of one process, and each process would count only its own. Use "
    "one worker, which serves thousands of connections, or set REDIS_URL."
)


def refusal(cfg):
    """Return a sentence that refuses a configuration which breaks a promise, or None."""
    for name, limit in LIMITS.items():
        if not 0 < getattr(cfg, name) <= limit:  # to gunicorn, 0 means no limit
            return f"{name} must be between 1 and {limit}: the memory ceiling depends on it."
    forgetful = cfg.max_requests or cfg.timeout or cfg.reload
    log_targets = cfg.syslog or cfg.logconfig or cfg.logconfig_dict or cfg.logconfig_json
    refusals = [
        (
            cfg.workers < 1 or (cfg.workers > 1 and not has_store()),
            f"{cfg.workers} workers are refused. {ONE_PROCESS}",
        ),
        (
            forgetful and not has_store(),
            "max_requests, timeout and reload are refused: a new worker has lost all reports.",
        ),
        (
            cfg.worker_class_str != "gevent" or cfg.keepalive < 1,
            "Another worker_class and keepalive 0 are refused: slow clients would stall others.",
        ),
        (
            cfg.worker_tmp_dir != "/dev/shm" or cfg.pidfile,  # noqa: S108  see above
            "worker_tmp_dir and pidfile are refused: nothing may be written to disk.",
        ),
        (
            log_targets or {cfg.errorlog, cfg.accesslog} - {"-", None},
            "Log files, log configurations and syslog are refused: lines go to standard output.",
        ),
        (
            not issubclass(cfg.logger_class, RedactingLogger),
            "Another logger_class is refused: its lines would quote requests.",
        ),
    ]
    return next((sentence for is_refused, sentence in refusals if is_refused), None)


def has_store():
    """Return whether the reports are in a store, and not in the memory of the process."""
    from tracking_site.settings import ENV

    return bool(ENV.redis_url)


def on_starting(server):
    """Abort a startup that would break a promise. gunicorn prints the error message and exits."""
    from django.core.exceptions import ImproperlyConfigured

    try:
        from tracking_site import settings  # importing the module validates the environment
    except ImproperlyConfigured as error:
        raise RuntimeError(error) from error
    if settings.STATIC_ROOT and not Path(settings.STATIC_ROOT, "staticfiles.json").exists():
        raise RuntimeError(
            f"STATIC_ROOT is {settings.STATIC_ROOT!r}, but that folder has no collected files. "
            "Run `manage.py collectstatic`, or unset STATIC_ROOT."
        )
    if server.master_pid and not has_store():
        raise RuntimeError(f"A second server beside the first (SIGUSR2) is refused. {ONE_PROCESS}")
    if problem := refusal(server.cfg):
        raise RuntimeError(problem)


def pre_fork(server, worker):
    """Stop the server if its configuration file became invalid before a reload (SIGHUP)."""
    if problem := refusal(server.cfg):
        raise HaltServer(problem, 1)


def nworkers_changed(server, new_value, old_value):
    """Refuse a second worker at run time (SIGTTIN), and continue with the first."""
    if old_value == 1 and new_value > 1 and not has_store():
        server.log.warning("%s workers are refused. %s", new_value, ONE_PROCESS)
        server.num_workers = old_value


def when_ready(server):
    """Log what this server counts, how long a report counts, and where to look."""
    from tracking_site.settings import ENV

    server.log.info(
        "Headcount counts instances of %s. A report counts for %s days after the day on which it "
        "arrives. %s.",
        ENV.project_name,
        ENV.retention_days,
        "A restart loses no reports" if has_store() else "A restart loses all reports",
    )
    url = ENV.public_url.rstrip("/") or str(server.LISTENERS[0])
    server.log.info("The numbers are at %s/dashboard, the docs at %s/docs.", url, url)


def post_fork(server, worker):
    """Redact every line that the worker logs from now on."""
    worker.log.redact()


def post_worker_init(worker):
    """Check the settings, and start counting and housekeeping."""
    from django.core import checks
    from django.urls import get_resolver

    from collector.cache import records

    # The memory check must know the number of workers, also when the command line sets it.
    os.environ["WEB_CONCURRENCY"] = str(worker.cfg.workers)
    messages = checks.run_checks(tags=["collector"])
    if any(message.is_serious() for message in messages):
        raise AppImportError("\n".join(map(str, messages)))
    for message in messages:
        logging.getLogger("collector").warning("%s", message)
    records()  # a cache in memory counts from now on, not from the first request
    get_resolver().url_patterns  # noqa: B018  loads the views now, not at the first request
    wsgi.Response = responses.Response  # gunicorn has no setting for it
    # gunicorn reads about thirty settings a request, each through a method and a table. Attributes
    # are found at once, which takes a tenth off the CPU time of a report.
    vars(worker.cfg).update({name: each.get() for name, each in worker.cfg.settings.items()})
    # The objects that exist now stay forever. Without freezing, Python's garbage collector visits
    # all of them again and again, at a cost of 15 to 30 us per report.
    gc.collect()
    gc.freeze()
    gevent.get_hub().print_exception = log_failure
    gevent.spawn(housekeeping.run_forever)
    gevent.spawn(end_idle_connections, worker)


idle_sockets = WeakSet()  # their last request was answered; another one may follow


def pre_request(worker, req):
    """Set one deadline for a body that has not arrived yet, and one for the response."""
    idle_sockets.discard(req.unreader.sock)
    req.unreader.sock.settimeout(SEND_DEADLINE)
    if req.req_number > 1:
        gevent.sleep(0)  # give other connections a turn, however many requests this one has sent
    received = len(req.unreader.buf.getbuffer())
    if not isinstance(req.body.reader, LengthReader) or req.body.reader.length > received:
        req.body.reader = DeadlineReader(req.body.reader)


def post_request(worker, req, environ, resp):
    """Remember that the connection is idle, and forget what was requested."""
    idle_sockets.add(req.unreader.sock)
    urlsplit.cache_clear()  # it holds the last 128 paths that gunicorn parsed


def end_idle_connections(worker):
    """When the worker stops, close the connections that wait for no response."""
    while worker.alive:
        gevent.sleep(0.2)
    for sock in list(idle_sockets):
        with suppress(OSError):  # the client closed it in the meantime
            sock.shutdown(socket.SHUT_RD)


class DeadlineReader:
    """Reads a request body, and limits its time and size.

    If the body takes longer than BODY_DEADLINE seconds, or is larger than about BODY_ROOM bytes,
    `read` raises TimeoutError and gunicorn closes the connection. Without this limit, gunicorn
    would read a refused body to its end, and a fast client could block all others.
    """

    def __init__(self, reader):
        self.reader = reader
        self.deadline = time.monotonic() + BODY_DEADLINE
        self.received = 0

    def read(self, size):
        remaining = self.deadline - time.monotonic()
        if remaining <= 0 or self.received > BODY_ROOM:
            raise TimeoutError
        if self.received:
            gevent.sleep(0)  # give other connections a turn
        with gevent.Timeout(remaining, TimeoutError):
            data = self.reader.read(size)
        self.received += len(data)
        return data
