"""gunicorn's configuration. `gunicorn tracking_site.wsgi` finds this file by itself.

The facts below apply to gunicorn 27 with gevent 26; verify them when a version changes.
`tracking_site/options.py` lists the settings that an operator may change.
"""

import gc
import logging
import os
import resource
import signal
from pathlib import Path

from gunicorn.errors import AppImportError

from collector.config import InvalidConfig, source
from tracking_site.environment import ONE_PROCESS
from tracking_site.limits import CONNECTIONS, LOOK_INTERVAL, SEND_DEADLINE
from tracking_site.options import expected, has_store, refusal

# gevent inspects every live object when it patches the standard library, which makes Django load
# its lazy settings. They need this variable.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tracking_site.settings")

# A few dozen silent connections stall a threaded worker. gevent handles thousands.
worker_class = "tracking_site.worker.Worker"
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

# Three values of each filter fit into a line, and the cookies of other programs on the same host
# into a field. `worker.py` limits the length of the whole head.
limit_request_line = 8190
limit_request_field_size = 8190
limit_request_fields = 100
# gunicorn prefers its C parser if it is installed; the tests use only the Python one.
http_parser = "python"
sendfile = False  # `worker.py` sees all that is sent

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


def on_starting(server):
    """Abort a startup that would break a promise. gunicorn prints the error message and exits."""
    from django.core.exceptions import ImproperlyConfigured

    try:
        from tracking_site import settings  # importing the module validates the environment

        source.in_force  # noqa: B018  reads the file; each worker inherits what this process read
    except ImproperlyConfigured as error:
        raise RuntimeError(error) from error
    except InvalidConfig as error:
        raise RuntimeError(f"CONFIG_FILE is {settings.ENV.config_file!r}. {error}") from error
    if settings.STATIC_ROOT and not Path(settings.STATIC_ROOT, "staticfiles.json").exists():
        raise RuntimeError(
            f"STATIC_ROOT is {settings.STATIC_ROOT!r}, but that folder has no collected files. "
            "Run `manage.py collectstatic`, or unset STATIC_ROOT."
        )
    if server.master_pid and not has_store(server.cfg):
        raise RuntimeError(f"A second server beside the first (SIGUSR2) is refused. {ONE_PROCESS}")
    if problem := refusal(server.cfg):  # another logger_class; ours refuses all others
        raise RuntimeError(problem)


def nworkers_changed(server, new_value, old_value):
    """Refuse a second worker at run time (SIGTTIN), and continue with the first."""
    if old_value == 1 and new_value > 1 and not has_store(server.cfg):
        server.log.warning("%s workers are refused. %s", new_value, ONE_PROCESS)
        server.num_workers = old_value


def when_ready(server):
    """Log the settings that matter most, and the addresses of the dashboard and the docs.

    Then look for changes of the configuration file at regular intervals. Workers that start later
    inherit its latest valid content.
    """
    from collector.conf import UNNAMED
    from tracking_site.settings import ENV

    signal.signal(signal.SIGALRM, lambda *_: follow_file(server))
    signal.setitimer(signal.ITIMER_REAL, LOOK_INTERVAL, LOOK_INTERVAL)  # workers inherit no timer
    server.log.info(
        "Headcount counts instances of %s. A report counts for %s days after the day on which it "
        "arrives. %s.",
        ENV.project_name or UNNAMED,
        ENV.retention_days,
        "A restart loses no reports" if has_store(server.cfg) else "A restart loses all reports",
    )
    url = ENV.public_url.rstrip("/") or str(server.LISTENERS[0])
    server.log.info("The numbers are at %s/dashboard, the docs at %s/docs.", url, url)


def follow_file(server):
    """Use a configuration file that has changed. Workers say why if it is invalid."""
    try:
        source.look()
    except Exception as error:  # noqa: BLE001  of any kind: it would end the server
        # Its message may quote the file.
        server.log.error("The last valid configuration stays in force: %s.", type(error).__name__)


def on_exit(server):
    """Stop looking at the file: a signal that arrives after Python's end would kill the process."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def post_fork(server, worker):
    """Redact every line that the worker logs from now on."""
    worker.log.redact()


def post_worker_init(worker):
    """Check the settings, and start counting and housekeeping."""
    # Imported here because gevent has patched the standard library only now.
    import gevent
    from django.core import checks
    from django.urls import get_resolver

    from collector.cache import records
    from collector.checks import START_TAG, check_store
    from collector.numbers import archive
    from tracking_site import housekeeping
    from tracking_site.logs import log_failure

    is_first = worker.age <= worker.cfg.workers  # and does not replace another worker
    tags = ["collector", *([START_TAG] if is_first else [])]
    messages = [*checks.run_checks(tags=tags), *check_store()]
    if any(message.is_serious() for message in messages):
        raise AppImportError("\n".join(map(str, messages)))
    for message in messages:
        logging.getLogger("collector").warning("%s", message)
    records()  # a cache in memory counts from now on, not from the first request
    archive.current()
    get_resolver().url_patterns  # noqa: B018  loads the views now, not at the first request
    # The objects that exist now stay forever. Without freezing, Python's garbage collector visits
    # all of them again and again, at a cost of 15 to 30 us per report.
    gc.collect()
    gc.freeze()
    gevent.get_hub().print_exception = log_failure
    gevent.spawn(housekeeping.run_forever)


expected.update(globals())  # whatever another file or option sets is compared with this
