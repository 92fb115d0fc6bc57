"""The connections of one process to the store: few, and answers come within two seconds.

A server that would write to disk or drop reports is refused on every new connection, because it may
have been restarted with another configuration.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from queue import LifoQueue
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from redis import Connection, ConnectionPool, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from collector.cache.base import InvalidURL, Unavailable
from collector.cache.server_requirements import (
    READABLE_CONFIGURATION,
    REQUIREMENTS,
    ServerRequirement,
)

SCRIPT = Path(__file__).with_name("store.lua").read_text()
SCRIPT_DIGEST = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # for EVALSHA
CONNECTIONS = 32  # the server runs one script at a time, so requests on more would wait there
TIMEOUT = 0.9  # seconds to connect, and to be answered
PAUSE = 1  # seconds for which a store that cannot be reached is not asked again
WRITES = {"put", "probe"}  # the operations that fail on a replica or without memory
URL_OPTIONS = {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
log = logging.getLogger(__name__)
T = TypeVar("T")


class UnmetRequirements(exceptions.RedisError):
    """The server is configured so that it would break a promise."""

    def __init__(self, unmet: list[ServerRequirement]) -> None:
        super().__init__(" ".join(f"{each.problem} {each.remedy}" for each in unmet))
        self.unmet = unmet


class Client:
    """Runs the script of the store, from any thread or greenlet; see `client`."""

    def __init__(self, url: str, unchecked: bool) -> None:
        self.unchecked = unchecked
        self.pool = _pool(url, redis_connect_func=self._prepare)
        self.away_until = 0.0
        self.logged = ""  # why the store takes no reports, if the log says so
        self._renew_connections()

    def run(self, *arguments: Any) -> Any:
        """Run an operation: a prefix, a name, and what else store.lua has in ARGV."""
        try:
            try:
                answer = self._use(_command("EVALSHA", SCRIPT_DIGEST, 1, *arguments))
            except exceptions.NoScriptError:
                answer = self._use(_command("EVAL", SCRIPT, 1, *arguments))
        except UnmetRequirements as error:
            raise self._unavailable(error) from error
        if self.logged and arguments[1] in WRITES:
            log.warning("The store takes reports again.")
            self.logged = ""
        return answer

    def check_server(self) -> None:
        """Raise Unavailable if the server has been configured to break a promise."""
        if unmet := self.unmet_requirements():
            raise self._unavailable(UnmetRequirements(unmet))

    def unmet_requirements(self) -> list[ServerRequirement]:
        """Return what the server is configured to do wrong. Raises Unavailable."""
        try:
            return self._use(self._unmet)
        except UnmetRequirements as error:  # the connection was a new one
            return error.unmet

    def _use(self, use: Callable[[Connection], T]) -> T:
        """Wait for a free connection and use it; once more, if the server closed it.

        Raises UnmetRequirements, NoScriptError and Unavailable.
        """
        connections = self.connections
        connection = connections.get()
        try:
            if time.monotonic() < self.away_until:
                raise Unavailable("it could not be reached a moment ago")
            return connection.retry.call_with_retry(lambda: use(connection), connection.disconnect)
        except (UnmetRequirements, exceptions.NoScriptError):
            raise
        except (exceptions.RedisError, OSError) as error:
            raise self._unavailable(error) from error
        finally:
            connections.put(connection)

    def _renew_connections(self) -> None:
        """Replace all connections by new ones, which connect when they are used.

        They stay here and not in a pool of redis-py, which polls the socket before each use (under
        gevent that takes longer than the command) and limits how long a request may wait, even if
        the store is only busy.
        """
        self.connections: LifoQueue[Connection] = LifoQueue()
        for _ in range(CONNECTIONS):
            self.connections.put(self.pool.connection_class(**self.pool.connection_kwargs))

    def _prepare(self, connection: Connection) -> None:
        """Log in on a new connection, and refuse a server that would break a promise."""
        connection.on_connect()  # type: ignore[no-untyped-call]  # redis-py has no type here
        if unmet := self._unmet(connection):
            raise UnmetRequirements(unmet)

    def _unmet(self, connection: Connection) -> list[ServerRequirement]:
        _command("PING")(connection)  # also if nothing is checked
        try:
            return [
                each
                for each in ([] if self.unchecked else REQUIREMENTS)
                if _command("CONFIG", "GET", each.option)(connection)[1:] != [each.value.encode()]
            ]
        except exceptions.ResponseError as error:
            unknown = str(error).lower().startswith("unknown command")
            if not unknown and not isinstance(error, exceptions.NoPermissionError):
                raise
            return [READABLE_CONFIGURATION]

    def _unavailable(self, error: Exception) -> Unavailable:
        """Return the exception to raise, and log the reason unless the log says so already."""
        if isinstance(error, (UnmetRequirements, exceptions.ReadOnlyError)):
            self._renew_connections()  # after a failover, they must lead to another server
        if not isinstance(error, exceptions.ResponseError):
            self.away_until = time.monotonic() + PAUSE
        reason = _reason(error)
        if reason != self.logged:
            log.warning("The store takes no reports: %s", reason)
            self.logged = reason
        return Unavailable(reason)


def _pool(url: str, **options: Any) -> ConnectionPool:
    """Return what makes connections to a URL. Raises InvalidURL."""
    try:
        parts = urlsplit(url)
        unknown = parse_qs(parts.query).keys() - URL_OPTIONS  # they would win over these here
        number = parts.path.lstrip("/") if parts.scheme != "unix" else ""
        if unknown or (number and not number.isdecimal()):
            raise ValueError
        return ConnectionPool.from_url(
            url,
            socket_connect_timeout=TIMEOUT,
            socket_timeout=TIMEOUT,
            # The server may have closed a connection; a second timeout would take too long.
            retry=Retry(NoBackoff(), 1, (exceptions.ConnectionError,)),
            protocol=2,
            **options,
        )
    except ValueError:
        raise InvalidURL("The URL of the store cannot be used.") from None


def _command(*command: Any) -> Callable[[Connection], Any]:
    """Return a function that sends a command on a connection and returns the answer."""

    def ask(connection: Connection) -> Any:
        connection.send_command(*command)  # type: ignore[no-untyped-call]  # nor here
        return connection.read_response()

    return ask


def _reason(error: Exception) -> str:
    """Return what is wrong, without the server's message, which may quote what was sent."""
    if isinstance(error, UnmetRequirements):
        return str(error)
    if type(error) in (exceptions.ConnectionError, exceptions.TimeoutError):
        return "it cannot be reached"
    code = str(error).partition(" ")[0][:20]  # such as MISCONF
    return f"{type(error).__name__} {code if code.isupper() else ''}".rstrip()


@cache
def client(url: str, unchecked: bool) -> Client:
    """Return the client of this process for a server; `unchecked` accepts any configuration."""
    return Client(url, unchecked)


# A forked process must not use the connections of its parent.
os.register_at_fork(after_in_child=client.cache_clear)
