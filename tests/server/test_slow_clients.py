"""Two thousand slow clients, silent or never finishing, stall no one and leave nothing behind."""

import contextlib
import json
import resource
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.servers import report
from tracking_site.limits import CONNECTION_BYTES, ROOM

pytestmark = pytest.mark.timed

SILENT = HALF_SENT = 1000
GONE_WITHIN = 30  # seconds after the last connection
HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
HALF_HEADS = (b"PO", HEAD + b"Content-Le")
HALF_BODIES = (
    HEAD + b"Content-Length: 100\r\n\r\n",
    HEAD + b'Content-Length: 100\r\n\r\n{"id":"fdb',
)
# Requests many pages, and reads none of them.
NEVER_READS = b"GET /docs HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
NEVER_READING = 20
# gunicorn reads the beginning of this head together with the request before it, and may then read
# ROOM bytes more. The head has many fields, and ends; its body does not.
LARGEST = (
    b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    + HEAD
    + b"".join(b"X%d: %s\r\n" % (number, b"y" * 331) for number in range(95))
    + b"Content-Length: 100\r\n\r\n{"
)
AT_ONCE, PACKET = 8192, 1205  # bytes
HALVES = HALF_HEADS + HALF_BODIES
TRICKLING = 48  # of the half-sent ones continue with a byte per second


@pytest.fixture(autouse=True)
def _room_for_connections():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Client:
    """A connection, with what was sent and received on it."""

    def __init__(self, server, sent):
        self.connection = server.connect()
        self.connection.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.connection.send(sent)
        self.sent, self.received = sent, b""

    def is_gone(self):
        """Return whether the server has closed the connection."""
        try:
            while received := self.connection.recv(4096):
                self.received += received
        except BlockingIOError:
            return False
        except ConnectionError:
            pass
        return True


def wave(server):
    """Connect a thousand silent clients, and a thousand that stop halfway."""
    sent = [b""] * SILENT + [HALVES[number % len(HALVES)] for number in range(HALF_SENT)]
    return [Client(server, half) for half in sent]


def trickle(clients, stop):
    """Send a byte per second."""
    while not stop.wait(1):
        for client in clients:
            with contextlib.suppress(OSError):
                client.connection.send(b"x")


def test_slow_clients_stall_no_one_and_leave_nothing_behind(start):
    low = ("sh", "-c", 'ulimit -Sn 256 && exec "$@"', "sh")  # a common limit, which is too low
    server = start(under=low).wait_until_ready()
    (worker,) = map(psutil.Process, server.workers())
    idle_files = worker.num_fds()
    # Python reuses the memory of the first wave, so only the second one shows growth.
    first = wave(server)
    server.wait_until(lambda: server.stats() and worker.num_fds() >= idle_files + len(first))
    for client in first:
        client.connection.close()
    server.wait_until(lambda: worker.num_fds() <= idle_files)
    memory = worker.memory_info().rss

    clients = wave(server)
    never_reading = [Client(server, NEVER_READS) for _ in range(NEVER_READING)]
    stop = threading.Event()
    threading.Thread(target=trickle, args=(clients[-TRICKLING:], stop)).start()
    deadline = time.monotonic() + GONE_WITHIN
    waiting, most_files = clients, worker.num_fds()
    while waiting and time.monotonic() < deadline:
        assert server.request("GET", "/stats").status == 200
        most_files = max(most_files, worker.num_fds())
        waiting = [client for client in waiting if not client.is_gone()]
    # Those that never read, and the last request's connection, are still open.
    while worker.num_fds() > idle_files:
        assert time.monotonic() < deadline
    stop.set()
    for client in clients + never_reading:
        client.connection.close()

    assert waiting == []
    assert most_files >= idle_files + SILENT + HALF_SENT
    assert all(b" 408 " in client.received for client in clients if client.sent in HALF_BODIES)
    assert server.request("GET", "/healthz").status == 200
    assert worker.memory_info().rss < memory + 8e6  # 4 kB a connection
    assert "Traceback" not in server.output


def test_a_client_that_sends_thousands_of_requests_at_once_stalls_no_one(server):
    requests, received = 4000, 0
    body = json.dumps(report()).encode()
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d"
    pipelined = (head % len(body) + b"\r\n\r\n" + body) * requests
    with server.connect() as greedy, ThreadPoolExecutor() as threads:
        sending = threads.submit(greedy.sendall, pipelined)
        while received < 100:
            received += greedy.recv(65_536).count(b"201 Created")
        probe = threads.submit(server.request, "GET", "/healthz")
        while not probe.done():
            received += greedy.recv(65_536).count(b"201 Created")
        greedy.shutdown(socket.SHUT_RDWR)
        assert probe.result().status == 200
        assert received < requests * 0.9
        assert sending.exception() is None or isinstance(sending.exception(), OSError)


def unread(port):
    """Return how many bytes the server has received on a port and not read yet, see proc(5)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4].split(":")[1], 16) for row in rows if row[1].endswith(f":{port:04X}"))


def test_a_connection_with_the_largest_head_needs_no_more_memory_than_documented(start):
    """A thousand of them, whose packets arrive in turn."""
    server = start().wait_until_ready()
    (worker,) = map(psutil.Process, server.workers())
    before = worker.memory_info().rss
    clients = [Client(server, LARGEST[:AT_ONCE]) for _ in range(SILENT)]
    server.wait_until(lambda: all(not client.is_gone() and client.received for client in clients))
    rest = LARGEST[AT_ONCE:]
    for begin in range(0, len(rest), PACKET):
        for client in clients:
            client.connection.send(rest[begin : begin + PACKET])
    server.wait_until(lambda: not unread(server.port))
    each = (worker.memory_info().rss - before) / len(clients)
    received = [client.is_gone() or client.received.count(b"HTTP/1.1") for client in clients]
    for client in clients:
        client.connection.close()
    assert received == [1] * SILENT  # the server waits for all bodies
    assert 0.97 * ROOM < len(rest) < ROOM
    assert each < CONNECTION_BYTES
