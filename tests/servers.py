"""The real server, started as the README starts it, on a port of its own."""

import contextlib
import http.client
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

ROOT = Path(__file__).parents[1]
START_TIMEOUT = 30  # seconds; a bound on waiting, not an expectation
INSTRUMENTED = "tests.server.instrumented"
ID = "fdb45536-cba8-4204-b352-71fc1062fd95"
# A shell makes its background jobs ignore this signal, and the servers would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


def report(id=None, **version):
    """Return the report of an instance: a new one, unless its id is given."""
    defaults = {"app": "1", "sha": "x", "image": None, "arch": "arm"}
    return {"id": id or str(uuid4()), "version": defaults | version}


class Server:
    """A gunicorn process; `output` is what it printed so far.

    `under` is a command that runs gunicorn, and `command` is one that runs in its place.
    """

    def __init__(
        self,
        *arguments,
        wsgi="tracking_site.wsgi",
        command=(),
        under=(),
        cwd=ROOT,
        port=None,
        pass_fds=(),
        **environ,
    ):
        self.port = port or free_port()
        gunicorn = [Path(sys.executable).with_name("gunicorn"), wsgi, *arguments]
        self.process = subprocess.Popen(
            [*under, *(command or gunicorn)],
            cwd=cwd,
            pass_fds=pass_fds,
            env={"PATH": os.environ["PATH"], "PORT": str(self.port)} | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.output += line

    def wait_for(self, text):
        """Wait until a text was printed."""
        return self.wait_until(lambda: text in self.output)

    def wait_until(self, condition):
        """Wait until a condition is true."""
        wait_until(condition, self)
        return self

    def assert_refuses_to_start(self, sentence):
        """Wait until the process ended by itself, and expect a reason and no traceback."""
        assert self.wait_until_ended() > 0
        assert sentence in self.output
        assert "Traceback" not in self.output

    def wait_until_ended(self):
        """Wait until the process ended by itself; return its exit code."""
        code = self.process.wait(timeout=START_TIMEOUT)
        self._reader.join()
        return code

    def wait_until_ready(self):
        """Wait until the server accepts reports."""
        return self.wait_for("Booting worker").wait_for_response("/readyz")

    def wait_for_response(self, path):
        """Wait for the response to a request for a path."""
        deadline = time.monotonic() + START_TIMEOUT
        while self.process.poll() is None and time.monotonic() < deadline:
            try:
                assert self.request("GET", path).status == 200
                return self
            except ConnectionError:
                time.sleep(0.01)  # between two attempts, while it starts
        raise AssertionError(self.output)

    def request(self, method, path, body=None, headers=None):
        """Send a request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            content = response.read()
        return SimpleNamespace(status=response.status, headers=response.headers, content=content)

    def post(self, body, path="/"):
        """Send a body as JSON."""
        headers = {"Content-Type": "application/json"}
        return self.request("POST", path, json.dumps(body), headers)

    def stats(self):
        return json.loads(self.request("GET", "/stats").content)

    def instrument(self, name, argument=""):
        """Ask the instrumented application."""
        return json.loads(self.request("POST", f"/instrument/{name}", str(argument)).content)

    def connect(self, source="127.0.0.1"):
        """Open a connection from an address of this machine."""
        host = "::1" if ":" in source else "127.0.0.1"
        return socket.create_connection((host, self.port), timeout=60, source_address=(source, 0))

    def exchange(self, *parts, source="127.0.0.1"):
        """Send bytes on one connection; return what came back until either side closed it."""
        response = b""
        with self.connect(source) as connection:
            # The server may refuse the first bytes and reset the connection at any of these steps;
            # `shutdown` then raises ENOTCONN, for which Python has no class of its own.
            with contextlib.suppress(OSError):
                for part in parts:
                    connection.sendall(part)
                connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionError):
                while received := connection.recv(65536):
                    response += received
        return response

    @property
    def address(self):
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @property
    def master(self):
        """The process id of gunicorn's master, or of the program that runs in its place."""
        started = re.search(r"\[(\d+)\] \[INFO\] Starting gunicorn", self.output)
        return int(started[1]) if started else self.process.pid

    def workers(self):
        """Return the process ids of the workers."""
        children = Path(f"/proc/{self.master}/task/{self.master}/children")
        return [int(pid) for pid in children.read_text().split()]

    def stop(self, sig=signal.SIGINT):
        """Stop the server, at once by default; return its exit code and the seconds it took."""
        began = time.monotonic()
        if self.process.poll() is None:
            os.kill(self.master, sig)
        code = self.process.wait(timeout=60)
        took = time.monotonic() - began
        self._reader.join()
        self.process.stdout.close()
        return code, took


def wait_until(condition, server=None):
    """Wait until a condition is true; if it never is, show what a server printed."""
    deadline = time.monotonic() + START_TIMEOUT
    while not condition():
        assert time.monotonic() < deadline, server and server.output
        time.sleep(0.01)  # between two checks, not instead of one


def free_port():
    """Return a port on which nobody listens, and which no client's connection gets."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def needs(program, package):
    """Skip the test if a program is missing, and say how to install it.

    `.ci/run` installs all of them, so there a missing program is a failure.
    """
    if shutil.which(program) is None:
        message = f"{program} is missing: apt-get install {package}"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
