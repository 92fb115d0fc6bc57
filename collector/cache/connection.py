"""Connections to the store: one pool per process and server, and an answer within two seconds."""

import logging
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as ClosedConnection
from redis.exceptions import NoPermissionError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as LateAnswer
from redis.retry import Retry

from collector.cache.base import InvalidURL, Unavailable
from collector.cache.server_requirements import FORBIDDEN, REQUIREMENTS, ServerRequirement

SCRIPT = Path(__file__).with_name("store.lua").read_bytes()
TIMEOUT = 0.9  # seconds to connect, and to wait for an answer
PAUSE = 1  # seconds during which a store that did not answer is not asked again
CONNECTIONS = 32  # the server runs one script at a time, so more would only wait there
URL_OPTIONS = {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
WRITES = {"put", "probe"}  # what a server without memory, or a replica, refuses
log = logging.getLogger(__name__)
T = TypeVar("T")


class UnmetRequirements(RedisError):
    """The server is configured in a way that would break a promise."""

    def __init__(self, requirements: list[ServerRequirement]) -> None:
        super().__init__(" ".join(f"{each.problem} {each.remedy}" for each in requirements))
        self.requirements = requirements


class StoreClient:
    """Runs the script of the store, from any thread or greenlet; see `store_client`.

    Each new connection first checks the server's configuration: a server that was restarted may
    have been configured differently.
    """

    def __init__(self, url: str, unchecked: bool) -> None:
        self.pool = _pool(url)
        if not unchecked:
            self.pool.connection_kwargs["redis_connect_func"] = _connect_and_check
        self.unchecked = unchecked
        self.script = Redis(connection_pool=self.pool).register_script(SCRIPT)
        self.logged = ""  # the problem that was logged last, while it lasts
        self.unreachable_until = 0.0  # on the monotonic clock
        # Requests wait here for a connection, in order, for as long as the store answers. In the
        # queue of the pool, under gevent, later requests overtake earlier ones.
        self.turns: SimpleQueue[None] = SimpleQueue()
        for _ in range(CONNECTIONS):
            self.turns.put(None)

    def run(self, prefix: str, operation: str, *arguments: Any) -> Any:
        """Run an operation of the script, and return its answer. Raises Unavailable."""
        answer = self._try(lambda: self.script(keys=[prefix], args=[operation, *arguments]))
        if self.logged and operation in WRITES:
            log.warning("The store takes reports again.")
            self.logged = ""
        return answer

    def unmet_requirements(self) -> list[ServerRequirement]:
        """Return the requirements that the server does not meet. Raises Unavailable."""
        try:
            self._try(self._check)
        except Unavailable as error:
            if isinstance(error.__cause__, UnmetRequirements):
                return error.__cause__.requirements
            raise
        return []

    def check(self) -> None:
        """Raise Unavailable if the server does not meet the requirements at this moment."""
        self._try(self._check)

    def _check(self) -> None:
        connection: Any = self.pool.get_connection()  # type: ignore[no-untyped-call]  # redis-py's
        try:
            if not self.unchecked:
                _check(connection)
        finally:
            self.pool.release(connection)  # type: ignore[no-untyped-call]  # redis-py's

    def _try(self, action: Callable[[], T]) -> T:
        self.turns.get()
        try:
            if time.monotonic() < self.unreachable_until:
                raise Unavailable("the store did not answer a moment ago")
            return action()
        except (RedisError, OSError) as error:
            if isinstance(error, (ClosedConnection, LateAnswer, OSError)):
                self.unreachable_until = time.monotonic() + PAUSE
            if isinstance(error, (UnmetRequirements, ReadOnlyError)):
                # Connections that are open already must be checked again, or lead to the server
                # that has become the primary one.
                self.pool.disconnect(inuse_connections=False)
            problem = _describe(error)
            if problem != self.logged:
                log.warning("The store takes no reports: %s", problem)
                self.logged = problem
            raise Unavailable(problem) from error
        finally:
            self.turns.put(None)


def _pool(url: str) -> BlockingConnectionPool:
    """Return the pool for a URL, whose options must not override ours. Raises InvalidURL."""
    try:
        parts = urlsplit(url)
        database = parts.path.lstrip("/") if parts.scheme != "unix" else ""
        if parse_qs(parts.query).keys() - URL_OPTIONS or (database and not database.isdecimal()):
            raise ValueError
        return BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            # Send again what was sent on a connection that the server had closed. A server that
            # does not answer in time is not asked again.
            retry=Retry(NoBackoff(), 1, supported_errors=(ClosedConnection,)),
            protocol=2,
        )
    except ValueError:
        raise InvalidURL("The URL of the store is invalid.") from None


def _connect_and_check(connection: Any) -> None:
    connection.on_connect()
    _check(connection)


def _check(connection: Any) -> None:
    """Raise UnmetRequirements if the server at the other end does not meet the requirements."""
    try:
        unmet = [each for each in REQUIREMENTS if not _meets(connection, each)]
    except ResponseError as error:
        unknown = str(error).lower().startswith("unknown command")
        if not unknown and not isinstance(error, NoPermissionError):
            raise
        unmet = [FORBIDDEN]
    if unmet:
        raise UnmetRequirements(unmet)


def _meets(connection: Any, requirement: ServerRequirement) -> bool:
    connection.send_command("CONFIG", "GET", requirement.option)
    _, *values = connection.read_response() or [b""]
    return values == [requirement.value.encode()]


def _describe(error: Exception) -> str:
    """Return what is wrong, without the server's sentence: that may quote what was sent."""
    if isinstance(error, UnmetRequirements):
        return str(error)
    code = str(error).partition(" ")[0][:20]  # such as MISCONF
    return f"{type(error).__name__} {code if code.isupper() else ''}".rstrip()


@cache
def store_client(url: str, unchecked: bool) -> StoreClient:
    """Return the client of this process for a server; redis-py's pool notices a fork itself."""
    return StoreClient(url, unchecked)
