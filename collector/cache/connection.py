"""The connections of one process to the store. Each call of the cache ends within two seconds.

The client refuses a server that would write to disk or drop reports. It checks the configuration on
each new connection, because the server may have been restarted.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis import BlockingConnectionPool, Redis, exceptions
from redis.backoff import NoBackoff
from redis.connection import (
    AbstractConnection,
    Connection,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.retry import Retry

from collector.cache.base import InvalidURL
from collector.cache.server_requirements import (
    READABLE_CONFIGURATION,
    REQUIREMENTS,
    ServerRequirement,
)
from collector.cache.tally import Unavailable

TIMEOUT = 2  # seconds for a call, with the wait for a connection
PAUSE = 1  # seconds without calls after one that timed out
CONNECTIONS = 8  # with 50, up to a tenth of 2,000 reports at once missed the deadline; with 8, none
WRITES = {"put", "probe"}  # the operations that fail when the server has no more memory
URL_OPTIONS = {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
SCRIPT = Path(__file__).with_name("store.lua").read_text()

log = logging.getLogger(__name__)
_deadline: ContextVar[float] = ContextVar("deadline")  # of the present call; see `deadline`


class UnmetRequirements(Unavailable, exceptions.RedisError):
    """The server is configured so that it would break a promise."""

    def __init__(self, unmet: list[ServerRequirement]) -> None:
        super().__init__(" ".join(f"{each.problem} {each.remedy}" for each in unmet))
        self.unmet = unmet


class _Deadline(AbstractConnection):
    """A connection that waits until the deadline of the call.

    redis-py itself has a timeout for each response, and a new connection waits for several.
    """

    @property
    def socket_timeout(self) -> float:
        return max(_deadline.get() - time.monotonic(), 0.001)  # 0 would mean not to wait

    @socket_timeout.setter
    def socket_timeout(self, value: object) -> None:
        pass

    socket_connect_timeout = socket_timeout

    def read_response(self, *args: Any, **options: Any) -> Any:
        return super().read_response(*args, timeout=self.socket_timeout, **options)


class _TCP(_Deadline, Connection):
    pass


class _TLS(_Deadline, SSLConnection):
    pass


class _Unix(_Deadline, UnixDomainSocketConnection):
    pass


CLASSES = {"redis": _TCP, "rediss": _TLS, "unix": _Unix}


class Client:
    """Runs the script of the store, from any thread or greenlet; see `client`."""

    def __init__(self, url: str, unchecked: bool) -> None:
        self.unchecked = unchecked
        self.redis = Redis(connection_pool=_pool(url, unchecked))
        self.write = self.redis.register_script("#!lua\n" + SCRIPT)
        self.run_always = self.redis.register_script("#!lua flags=allow-oom\n" + SCRIPT)
        self.away_until = 0.0
        self.logged = ""  # why the store accepts no reports, if the log says so

    def run(self, prefix: str, operation: str, *arguments: Any) -> Any:
        """Run an operation with what else store.lua has in ARGV. Raises Unavailable."""
        script = self.write if operation in WRITES else self.run_always
        reply = self._call(lambda: script([prefix], [operation, *arguments]))
        if self.logged and operation in WRITES:
            log.warning("The store accepts reports again.")
            self.logged = ""
        return reply

    def check_server(self) -> None:
        """Raise UnmetRequirements or another Unavailable if the server accepts no reports."""
        command = _check_command(self.unchecked)
        ask: Callable[..., Any] = self.redis.execute_command
        self._call(lambda: _check(lambda: ask(*command)))

    def _call(self, function: Callable[[], Any]) -> Any:
        if time.monotonic() < self.away_until:
            raise Unavailable("it did not respond a moment ago")
        try:
            return function()
        except (exceptions.RedisError, OSError) as error:
            if isinstance(error, exceptions.TimeoutError):
                self.away_until = time.monotonic() + PAUSE
            if isinstance(error, (UnmetRequirements, exceptions.ReadOnlyError)):
                # After a failover, connections must lead to another server.
                self.redis.connection_pool.disconnect(inuse_connections=False)
            reason = _reason(error)
            if reason != self.logged:
                log.warning("The store accepts no reports: %s", reason)
                self.logged = reason
            if isinstance(error, UnmetRequirements):
                raise
            raise Unavailable(reason) from error


@contextmanager
def deadline() -> Iterator[None]:
    """Wait for the server for at most TIMEOUT seconds in all, in whatever runs inside."""
    token = _deadline.set(_deadline.get(0) or time.monotonic() + TIMEOUT)
    try:
        yield
    finally:
        _deadline.reset(token)


def _pool(url: str, unchecked: bool) -> BlockingConnectionPool:
    """Return a pool of connections to a URL. Raises InvalidURL."""
    try:
        parts = urlsplit(url)
        unknown = parse_qs(parts.query).keys() - URL_OPTIONS  # they would win over these here
        number = parts.path.lstrip("/") if parts.scheme != "unix" else ""
        if unknown or (number and not number.isdecimal()):
            raise ValueError
        pool = BlockingConnectionPool.from_url(
            url,
            connection_class=CLASSES.get(parts.scheme),
            max_connections=CONNECTIONS,
            timeout=TIMEOUT,
            # The server may have closed a connection; a second timeout would take too long.
            retry=Retry(NoBackoff(), 1, (exceptions.ConnectionError,)),
            protocol=2,  # with 3, a new connection takes a response more
            driver_info=None,  # with one, two more
        )
    except ValueError:
        raise InvalidURL("The URL of the store cannot be used.") from None
    # redis-py itself would wait for a response to each of these commands.
    username, password, db = (
        pool.connection_kwargs.pop(name, None) for name in ("username", "password", "db")
    )
    login = []
    if password:
        login.append(["AUTH", *filter(None, (username, password))])
    if db:
        login.append(["SELECT", db])
    connect = partial(_connect, login=login, check=_check_command(unchecked))
    pool.connection_kwargs["redis_connect_func"] = connect
    return pool


def _connect(connection: Any, login: Sequence[Sequence[Any]], check: Sequence[str]) -> None:
    """Log in on a new connection and check the server, in one round trip."""
    connection.on_connect()  # prepares to read, and has nothing to send
    connection.send_packed_command(connection.pack_commands([*login, check]))
    for _ in login:
        connection.read_response()
    _check(connection.read_response)


def _check_command(unchecked: bool) -> Sequence[str]:
    """Return the command whose response `_check` judges."""
    return ("PING",) if unchecked else ("CONFIG", "GET", *(each.option for each in REQUIREMENTS))


def _check(response: Callable[[], Any]) -> None:
    """Raise UnmetRequirements if the server has been configured to break a promise."""
    try:
        flat = response()
    except exceptions.ResponseError as error:
        unknown = str(error).lower().startswith("unknown command")
        if not unknown and not isinstance(error, exceptions.NoPermissionError):
            raise
        raise UnmetRequirements([READABLE_CONFIGURATION]) from error
    if not isinstance(flat, list):  # the response to PING
        return
    values = dict(zip(flat[::2], flat[1::2], strict=True))
    unmet = [e for e in REQUIREMENTS if values.get(e.option.encode()) != e.value.encode()]
    if unmet:
        raise UnmetRequirements(unmet)


def _reason(error: Exception) -> str:
    """Return the reason for the log. The server's message may quote a report, so it is left out."""
    if isinstance(error, UnmetRequirements):
        return str(error)
    if type(error) in (exceptions.ConnectionError, exceptions.TimeoutError):
        return "it cannot be reached"
    if isinstance(error, exceptions.OutOfMemoryError):
        return "its memory is full (maxmemory)"
    if isinstance(error, exceptions.ReadOnlyError):
        return "it is a read-only replica"
    code = str(error).partition(" ")[0][:20]  # such as MISCONF
    return f"{type(error).__name__} {code if code.isupper() else ''}".rstrip()


@cache
def client(url: str, unchecked: bool) -> Client:
    """Return the client of this process for a server; `unchecked` accepts any configuration."""
    return Client(url, unchecked)
