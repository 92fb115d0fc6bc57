"""A server on loopback that misbehaves as a test asks, and the programs that report to it."""

import contextlib
import json
import os
import re
import socketserver
import subprocess
import threading

from tests.servers import ROOT

REPORTER = ROOT / "clients" / "reporter.py"


def program(*line, **environ):
    """Start a program, which can import the client."""
    environ |= {"PATH": os.environ["PATH"], "PYTHONPATH": str(REPORTER.parent)}
    return subprocess.Popen(line, env=environ, stdout=subprocess.PIPE, text=True)


def printed(program, codes=(0,)):
    """Return what a program prints until it ends."""
    output, _ = program.communicate(timeout=60)
    assert program.returncode in codes
    return output


def response(status, body=b"", *headers):
    """Send a complete response."""
    head = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", *headers, "", ""]
    return lambda server, send: send("\r\n".join(head).encode() + body)


def trickle(beginning):
    """Send a byte now and then until the test ends."""

    def respond(server, send):
        send(beginning)
        while not server.stopped.wait(0.01):
            send(b"x")

    return respond


class Misbehaving(socketserver.ThreadingTCPServer):
    """Reads each request, and then does what `respond` does; `forget` responds to /forget."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, respond=None, forget=None):
        self.respond, self.forget = respond or response(201), forget or response(204)
        self.requests, self.sent, self.stopped = [], 0, threading.Event()
        super().__init__(("127.0.0.1", 0), None)
        self.address = "{}:{}".format(*self.server_address)

    def finish_request(self, connection, _):
        stream = connection.makefile("rb")
        head = b"".join(iter(stream.readline, b"\r\n")).decode()
        content = json.loads(stream.read(int(re.search(r"Content-Length: (\d+)", head)[1])))
        self.requests.append((head.split()[1], content, head))

        def send(data):
            connection.sendall(data)
            self.sent += len(data)

        with contextlib.suppress(OSError):
            (self.forget if head.split()[1].endswith("/forget") else self.respond)(self, send)

    @property
    def paths(self):
        return [path for path, _, _ in self.requests]

    @property
    def answers(self):
        """The answers in each report."""
        return [content.get("answers", {}) for _, content, _ in self.requests]


REDIRECT = response(301, b"", "Location: /elsewhere")
# The environment of an instance that must not report.
SWITCHED_OFF = [{"DO_NOT_TRACK": "1"}, {"DO_NOT_TRACK": " "}, {"CI": "0 "}, {"CI": "true"}]
