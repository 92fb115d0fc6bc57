"""The connections of one process to the store: few, and each command is answered within two seconds.

A server that would write to disk or drop reports is refused on every new connection, because it may
have been restarted with another configuration.
"""

import logging
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis import BlockingConnectionPool, Connection, Redis, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from collector.cache.base import InvalidURL, Unavailable
from collector.cache.server_requirements import (
    READABLE_CONFIGURATION,
    REQUIREMENTS,
    ServerRequirement,
)

SCRIPT = Path(__file__).with_name("store.lua").read_text()
CONNECTIONS = 32  # the server runs one script at a time, so requests on more would wait there
# Seconds to wait for a free connection, to connect, and for an answer: less than two in all.
POOL_TIMEOUT, CONNECT_TIMEOUT, TIMEOUT = 0.5, 0.5, 0.9
WRITES = {"put", "probe"}  # the operations that fail on a replica or without memory
URL_OPTIONS = {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
log = logging.getLogger(__name__)


class UnmetRequirements(exceptions.RedisError):
    """The server is configured so that it would break a promise."""

    def __init__(self, unmet: list[ServerRequirement]) -> None:
        super().__init__(" ".join(f"{each.problem} {each.remedy}" for each in unmet))
        self.unmet = unmet


class Client:
    """Runs the script of the store, from any thread or greenlet; see `client`."""

    def __init__(self, url: str, unchecked: bool) -> None:
        self.url = url
        self.unchecked = unchecked
        self.logged = ""  # why the store takes no reports, if the log says so
        self._open_pool()

    def run(self, prefix: str, operation: str, *arguments: Any) -> Any:
        """Run an operation of store.lua. Raises Unavailable."""
        try:
            answer = self.script([prefix], [operation, *arguments])
        except (exceptions.RedisError, OSError) as error:
            raise self._unavailable(error) from error
        if self.logged and operation in WRITES:
            log.warning("The store takes reports again.")
            self.logged = ""
        return answer

    def check_server(self) -> None:
        """Raise Unavailable if the server is configured to break a promise by now."""
        if unmet := self.unmet_requirements():
            raise self._unavailable(UnmetRequirements(unmet))

    def unmet_requirements(self) -> list[ServerRequirement]:
        """Return what the server is configured to do wrong. Raises Unavailable."""
        pool = self.pool
        try:
            connection = pool.get_connection()
            try:
                return self._unmet(connection)
            finally:
                pool.release(connection)
        except UnmetRequirements as error:
            return error.unmet
        except (exceptions.RedisError, OSError) as error:
            raise self._unavailable(error) from error

    def _open_pool(self) -> None:
        self.pool = _pool(self.url, redis_connect_func=self._prepare)
        self.script = Redis(connection_pool=self.pool).register_script(SCRIPT)

    def _prepare(self, connection: Connection) -> None:
        """Log in on a new connection, and refuse a server that would break a promise."""
        connection.on_connect()
        if unmet := self._unmet(connection):
            raise UnmetRequirements(unmet)

    def _unmet(self, connection: Connection) -> list[ServerRequirement]:
        unmet = []
        try:
            for each in () if self.unchecked else REQUIREMENTS:
                connection.send_command("CONFIG", "GET", each.option)
                if connection.read_response()[1:] != [each.value.encode()]:
                    unmet.append(each)
        except exceptions.ResponseError as error:
            unknown = str(error).lower().startswith("unknown command")
            if not unknown and not isinstance(error, exceptions.NoPermissionError):
                raise
            unmet = [READABLE_CONFIGURATION]
        return unmet

    def _unavailable(self, error: Exception) -> Unavailable:
        """Return the exception to raise, and log the reason unless the log has it already."""
        if isinstance(error, (UnmetRequirements, exceptions.ReadOnlyError)):
            # The server on the open connections is the wrong one, after a failover for example.
            self._open_pool()
        reason = _reason(error)
        if reason != self.logged:
            log.warning("The store takes no reports: %s", reason)
            self.logged = reason
        return Unavailable(reason)


def _pool(url: str, **options: Any) -> BlockingConnectionPool:
    """Return a pool of connections to a URL. Raises InvalidURL."""
    try:
        parts = urlsplit(url)
        unknown = parse_qs(parts.query).keys() - URL_OPTIONS  # they would win over these here
        number = parts.path.lstrip("/") if parts.scheme != "unix" else ""
        if unknown or (number and not number.isdecimal()):
            raise ValueError
        return BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=POOL_TIMEOUT,
            socket_connect_timeout=CONNECT_TIMEOUT,
            socket_timeout=TIMEOUT,
            # The server may have closed a connection; another wait for an answer would be too long.
            retry=Retry(NoBackoff(), 1, (exceptions.ConnectionError,)),
            protocol=2,
            **options,
        )
    except ValueError:
        raise InvalidURL("The URL of the store cannot be used.") from None


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
    """Return the one client of this process for a server. A forked process opens its own sockets."""
    return Client(url, unchecked)
