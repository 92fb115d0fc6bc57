"""Servers to measure: Headcount and its baseline, started for a run and ended with it."""

import http.client
import os
import socket
import sys
import time
from typing import IO, Self

import django
import psutil

READY_WITHIN = 180  # seconds; a benchmark may fill a million reports before it serves
STOP_WITHIN = 15  # seconds, a little more than the server's deadline for a body
LOOK_EVERY = 0.002  # seconds between two looks whether the server answers


class Server:
    """A gunicorn with the project's configuration, on a free port of loopback.

    Used as a context manager: it is ready inside, and no process of it is left after.
    """

    log_level = "warning"
    output: IO[bytes] | None = None  # where it prints; None: where we do

    def __init__(self, app: str, ready: str, environment: dict[str, str]) -> None:
        self.app = app
        self.ready = ready
        self.environment = environment
        self.port = free_port()
        self.beside: list[psutil.Process] = []  # processes whose CPU counts too

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_for("GET", self.ready)
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def start(self) -> None:
        """Run the start command and return at once."""
        self.master = psutil.Popen(
            self.command(),
            env={**os.environ, **self.environment},
            stdout=self.output,
            stderr=self.output,
        )

    def command(self) -> list[str]:
        """The start command."""
        options = ["--bind", f"127.0.0.1:{self.port}", "--log-level", self.log_level]
        return [sys.executable, "-m", "gunicorn", *options, self.app]

    def wait_for(self, method: str, path: str, body: bytes | None = None) -> None:
        """Return once this request succeeds; raises RuntimeError if the server ended or is late."""
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            if self.master.poll() is not None:
                raise RuntimeError(f"{self.app} ended with {self.master.returncode}")
            if self._succeeds(method, path, body):
                return
            # The server starts on the same processors, and its start may be what is measured:
            # to look without a pause would slow it. A server that starts sends no event.
            time.sleep(LOOK_EVERY)
        raise RuntimeError(f"{self.app} did not answer {path} within {READY_WITHIN} s")

    def stop(self) -> None:
        """End the server, kindly first."""
        tree = self._tree()
        if self.master.poll() is None:
            self.master.terminate()
        _, left = psutil.wait_procs(tree, STOP_WITHIN)
        for process in left:
            process.kill()
        psutil.wait_procs(left, STOP_WITHIN)

    def cpu(self) -> float:
        """CPU seconds that all processes of the server have used, in the kernel too."""
        times = [process.cpu_times() for process in self._tree() + self.beside]
        return sum(time.user + time.system for time in times)

    def resident(self) -> int:
        """Bytes of memory that the worker holds."""
        return psutil.Process(self.worker()).memory_info().rss

    def worker(self) -> int:
        """The process id of the one worker."""
        (worker,) = self.master.children()
        return worker.pid

    def _tree(self) -> list[psutil.Process]:
        try:
            return [self.master, *self.master.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _succeeds(self, method: str, path: str, body: bytes | None) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            return connection.getresponse().status < 300
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def headcount(app: str = "tracking_site.wsgi", **environment: str) -> Server:
    """Headcount as it is deployed; `environment` holds its settings."""
    return Server(
        app, "/healthz", {"DJANGO_SETTINGS_MODULE": "tracking_site.settings", **environment}
    )


def baseline() -> Server:
    """The same server and middleware in front of an empty view."""
    return Server(
        "tracking_site.wsgi", "/", {"DJANGO_SETTINGS_MODULE": "benchmarks.baseline_settings"}
    )


def plain() -> Server:
    """The same server and middleware in front of a plain Django application."""
    return Server(
        "tracking_site.wsgi", "/stats", {"DJANGO_SETTINGS_MODULE": "benchmarks.plain_settings"}
    )


def use_django() -> None:
    """Have this process too use Django, with the deployment's settings unless others are named."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tracking_site.settings")
    django.setup()


def free_port() -> int:
    """A port of loopback on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
