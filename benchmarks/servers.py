"""The servers that the benchmarks measure, started for a run and stopped after it."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import django
import psutil
from django.core.management import call_command

from tests import servers

servers.START_TIMEOUT = 300  # seconds; some servers make up a million reports before they listen
SETTINGS = """
DEBUG = False
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "benchmarks.plain"
"""


class Server(servers.Server):
    """A server whose processes are measured."""

    beside: list[psutil.Process] = []  # other processes whose CPU time counts too

    @property
    def master(self) -> int:
        """The id of the process that was started; the only one, if it is not gunicorn."""
        return self.process.pid

    def cpu(self) -> float:
        """Return the CPU time of the server's processes in seconds, user plus system."""
        master = psutil.Process(self.master)
        processes = [master, *master.children(recursive=True), *self.beside]
        # This clock counts nanoseconds, see clock_getcpuclockid(3). `cpu_times` rounds to 10 ms.
        return sum(time.clock_gettime(~process.pid << 3 | 2) for process in processes)

    def wait_for_response(self, path: str) -> "Server":
        """Wait for the response to a request, however long the server is being filled."""
        while True:
            with suppress(TimeoutError):
                return super().wait_for_response(path)

    def resident(self) -> int:
        """Return the resident memory of the worker in bytes; without a worker, of the master."""
        process = (self.workers() or [self.master])[0]
        return psutil.Process(process).memory_info().rss


@contextmanager
def running(server: Server, ready: str = "/readyz") -> Iterator[Server]:
    """Wait until a server responds at a path, and stop it at the end."""
    try:
        yield server.wait_for_response(ready)
    finally:
        server.stop()


def headcount(wsgi: str = "tracking_site.wsgi", **environ: str):
    """Run Headcount as it is deployed; `environ` holds its settings."""
    return running(Server(wsgi=wsgi, **environ))


def filled(config_file: str = "", **reports: int):
    """Run Headcount with reports in its memory; `benchmarks.filled.fill` says which."""
    return headcount(
        wsgi="benchmarks.filled",
        MAX_INSTANCES="2000000",
        CONFIG_FILE=config_file,
        REPORTS=json.dumps(reports),
    )


@contextmanager
def fresh_project() -> Iterator[Server]:
    """Run `benchmarks.plain` in a new Django project, with gunicorn's gevent worker.

    Only DEBUG, ALLOWED_HOSTS and the URLs are not as `startproject` made them, and gunicorn has no
    configuration file.
    """
    with TemporaryDirectory() as folder:
        call_command("startproject", "project", folder)
        with Path(folder, "project", "settings.py").open("a") as settings:
            settings.write(SETTINGS)
        port = servers.free_port()
        options = ("-k", "gevent", "-b", f"127.0.0.1:{port}")
        server = Server(
            *options, wsgi="project.wsgi", port=port, cwd=folder, PYTHONPATH=str(servers.ROOT)
        )
        with running(server, "/stats"):
            yield server


def use_django(**environ: str) -> None:
    """Set up Django in this process, with the settings of the deployment."""
    os.environ.update(environ, DJANGO_SETTINGS_MODULE="tracking_site.settings")
    django.setup()
