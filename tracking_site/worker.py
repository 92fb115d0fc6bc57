"""gunicorn's gevent worker, with a limit on what each connection sends and on how long it takes.

gunicorn limits the lines of a head but not its length, and limits no body. This module depends on
gunicorn's internals: on the methods that `Worker` overrides, and on how they use a socket.
"""

import time
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import gevent
from gevent import socket
from gunicorn.http.errors import LimitRequestHeaders
from gunicorn.workers.ggevent import GeventWorker

from tracking_site.limits import BODY_DEADLINE, ROOM, SEND_DEADLINE

SHORT = 4096  # bytes; a longer body is not copied to join it to its head


class Connection:
    """A client's socket, which limits the bytes and the time of each request and response."""

    def __init__(self, sock: Any) -> None:
        self.sock = sock
        self.room = ROOM  # bytes that may still arrive
        self.deadline = 0.0  # for a body, by the monotonic clock; `keepalive` is that of a head
        self.responding = self.idle = False  # idle: its last request got a response
        self.held = b""  # the head of a response, which waits for a short body

    def __getattr__(self, name: str) -> Any:
        return getattr(self.sock, name)

    def begin_response(self) -> None:
        """Treat what arrives from now on as the body of a request."""
        self.room, self.deadline = ROOM, time.monotonic() + BODY_DEADLINE
        self.responding, self.idle = True, False

    def end_response(self) -> None:
        """Treat what arrives from now on as the head of the next request."""
        self.room, self.deadline = ROOM, 0.0
        self.responding, self.idle = False, True
        self.sendall(b"")

    def recv(self, size: int) -> bytes:
        """Return what arrives next. Raises LimitRequestHeaders and, for a body, TimeoutError."""
        if self.room <= 0:
            raise LimitRequestHeaders("The request is too large.")
        if self.deadline:
            self.sock.settimeout(max(self.deadline - time.monotonic(), 0.001))
        data: bytes = self.sock.recv(min(size, self.room))
        self.room -= len(data)
        self.idle = False
        return data

    def sendall(self, data: bytes) -> None:
        """Send data, a head together with a short body. Raises TimeoutError after SEND_DEADLINE."""
        if self.responding:  # gunicorn sends the head first, and by itself
            self.held, self.responding = data, False
            return
        pieces = [self.held + data] if len(data) <= SHORT else [self.held, data]
        self.held = b""
        self.sock.settimeout(SEND_DEADLINE)
        for piece in filter(None, pieces):
            self.sock.sendall(piece)


class Worker(GeventWorker):  # type: ignore[misc]  # gunicorn is not typed
    """Serves connections of limited requests, and keeps nothing of a request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connections: set[Connection] = set()

    def load_wsgi(self) -> None:
        super().load_wsgi()
        disconnect_receivers()
        # gunicorn reads about thirty settings a request, each through a method and a table.
        # Attributes are found at once, which takes a tenth off the CPU time of a report.
        self.cfg.__dict__.update({name: each.get() for name, each in self.cfg.settings.items()})

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        connection = Connection(client)
        self.connections.add(connection)
        try:
            super().handle(listener, connection, addr)
        finally:
            self.connections.discard(connection)

    def handle_request(self, listener_name: Any, req: Any, sock: Connection, addr: Any) -> None:
        # It holds the last 128 paths that gunicorn parsed.
        urlsplit.cache_clear()  # type: ignore[attr-defined]  # not in the stubs
        if req.req_number > 1:
            gevent.sleep(0)  # gives others a turn, however many requests this client has sent
        sock.begin_response()
        try:
            super().handle_request(listener_name, req, sock, addr)
        finally:
            sock.end_response()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, without waiting for connections whose last request got a response."""
        super().handle_exit(sig, frame)
        gevent.spawn(self.end_idle_connections)

    def end_idle_connections(self) -> None:
        """Close the connections whose clients may send another request."""
        for each in [each for each in self.connections if each.idle]:
            each.sock.shutdown(socket.SHUT_RD)


def disconnect_receivers() -> None:
    """Disconnect what Django calls before and after each request, an eighth of a report's CPU time.

    It has nothing to do here: there are no databases, the cache of the reports stays open, and all
    requests have the same URLs.
    """
    # Imported here because gevent has patched the standard library only now.
    from django.core import signals
    from django.core.cache import close_caches
    from django.core.handlers.base import reset_urlconf
    from django.db import close_old_connections, reset_queries

    for signal in (signals.request_started, signals.request_finished):
        for receiver in (reset_queries, close_old_connections, close_caches, reset_urlconf):
            signal.disconnect(receiver)
