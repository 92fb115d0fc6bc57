"""The servers that the benchmarks measure, started for a run and stopped after it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import django
import psutil

from tests import servers

DEPLOYED = "tracking_site.wsgi"
servers.START_TIMEOUT = (
    300  # seconds; some servers fill themselves with a million reports before they listen
)


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

    def worker(self) -> psutil.Process:
        """Return the only worker, or the master if it has no worker."""
        return psutil.Process((self.workers() or [self.master])[0])

    def resident(self) -> int:
        """Return the size of the worker's resident set in bytes."""
        return self.worker().memory_info().rss


@contextmanager
def running(server: Server, ready: str = "/readyz") -> Iterator[Server]:
    """Wait until a server responds at a path, and stop it at the end."""
    try:
        yield server.wait_for_response(ready)
    finally:
        server.stop()


def headcount(*arguments: str, wsgi: str = DEPLOYED, **environ: str):
    """Run Headcount as it is deployed; `environ` holds its settings."""
    return running(Server(*arguments, wsgi=wsgi, **environ))


def filled(**environ: str):
    """Run Headcount with reports in its memory; `benchmarks.filled` has the settings."""
    return headcount(wsgi="benchmarks.filled", MAX_INSTANCES="2000000", **environ)


@contextmanager
def fresh_project() -> Iterator[Server]:
    """Run `benchmarks.plain` in a new Django project, with gunicorn's gevent worker.

    Only DEBUG, ALLOWED_HOSTS and the URLs are not as `startproject` made them, and gunicorn has no
    configuration file.
    """
    programs = Path(sys.executable).parent
    with TemporaryDirectory() as folder:
        start = (programs / "django-admin", "startproject", "project", folder)
        subprocess.run(start, check=True)
        settings = Path(folder, "project", "settings.py")
        text = settings.read_text().replace("DEBUG = True", "DEBUG = False")
        settings.write_text(text.replace("ALLOWED_HOSTS = []", 'ALLOWED_HOSTS = ["*"]'))
        urls = Path(folder, "project", "urls.py")
        urls.write_text("from benchmarks.plain import urlpatterns\n")
        port = servers.free_port()
        address = f"127.0.0.1:{port}"
        command = (programs / "gunicorn", "-k", "gevent", "-b", address, "project.wsgi")
        server = Server(command=command, port=port, cwd=folder, PYTHONPATH=str(servers.ROOT))
        with running(server):
            yield server


def use_django() -> None:
    """Set up Django in this process, with the settings of the deployment."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tracking_site.settings")
    django.setup()
