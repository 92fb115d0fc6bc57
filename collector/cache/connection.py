"""The connection of one process to the store. Answers come within two seconds.

Calls that are made at the same time share a pipeline: they take one round trip to the server, and
not one each. A server that would write to disk or drop reports is refused on every new connection,
because it may have been restarted with another configuration.
"""

import hashlib
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis import Connection, ConnectionPool, Redis, exceptions
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
TIMEOUT = 0.9  # seconds to connect, and to be answered
PAUSE = 1  # seconds for which a store that cannot be reached is not asked again
WRITES = {"put", "put_all", "probe"}  # the operations that fail on a replica or without memory
URL_OPTIONS = {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
log = logging.getLogger(__name__)


class UnmetRequirements(exceptions.RedisError):
    """The server is configured so that it would break a promise."""

    def __init__(self, unmet: list[ServerRequirement]) -> None:
        super().__init__(" ".join(f"{each.problem} {each.remedy}" for each in unmet))
        self.unmet = unmet


class Call:
    """A command to the server, and its answer: the exception, if it failed."""

    def __init__(self, command: tuple[Any, ...]) -> None:
        self.command = command
        self.is_sent = False
        self.answer: Any = Unavailable("the request was interrupted")


class Client:
    """Runs the script of the store, from any thread or greenlet; see `client`."""

    def __init__(self, url: str, unchecked: bool) -> None:
        self.unchecked = unchecked
        prepare = partial(_prepare, unchecked=unchecked)
        self.redis = Redis(connection_pool=_pool(url, redis_connect_func=prepare))
        self.turn = Lock()  # to send what is waiting, on the one connection
        self.waiting: deque[Call] = deque()
        self.away_until = 0.0
        self.logged = ""  # why the store takes no reports, if the log says so

    def run(self, prefixes: Sequence[str], operation: str, *arguments: Any) -> Any:
        """Run an operation with what else store.lua has in KEYS and ARGV."""
        keys = (len(prefixes), *prefixes)
        try:
            answer = self._execute("EVALSHA", SCRIPT_DIGEST, *keys, operation, *arguments)
        except (exceptions.RedisError, OSError) as error:
            raise self._unavailable(error) from error
        if self.logged and operation in WRITES:
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
            return _unmet(self._execute, self.unchecked)
        except UnmetRequirements as error:  # the connection was a new one
            return error.unmet
        except (exceptions.RedisError, OSError) as error:
            raise self._unavailable(error) from error

    def _execute(self, *command: Any) -> Any:
        """Return the answer to a command. Raises Unavailable and what redis-py raises."""
        call = Call(command)
        self.waiting.append(call)
        try:
            with self.turn:
                if not call.is_sent:  # by the thread or greenlet that had its turn before
                    time.sleep(0)  # lets other calls that are ready join the pipeline
                    self._send([self.waiting.popleft() for _ in range(len(self.waiting))])
        finally:
            if not call.is_sent:  # this greenlet was killed
                self.waiting.remove(call)
        if isinstance(call.answer, Exception):
            raise call.answer
        return call.answer

    def _send(self, calls: list[Call]) -> None:
        """Set the answers of the calls."""
        for call in calls:
            call.is_sent = True
        if time.monotonic() < self.away_until:
            for call in calls:
                call.answer = Unavailable("it could not be reached a moment ago")
            return
        self._send_pipeline(calls)
        lost = [call for call in calls if isinstance(call.answer, exceptions.NoScriptError)]
        if lost:
            self._send_pipeline([Call(("SCRIPT LOAD", SCRIPT)), *lost])

    def _send_pipeline(self, calls: list[Call]) -> None:
        try:
            with self.redis.pipeline(transaction=False) as pipeline:
                for call in calls:
                    # redis-py has no types here.
                    pipeline.execute_command(*call.command)  # type: ignore[no-untyped-call]
                answers = pipeline.execute(raise_on_error=False)
        except (exceptions.RedisError, OSError) as error:
            self.away_until = time.monotonic() + PAUSE
            answers = [error] * len(calls)
        for call, answer in zip(calls, answers, strict=True):
            call.answer = answer

    def _unavailable(self, error: Exception) -> Unavailable:
        """Return the exception to raise, and log the reason unless the log says so already."""
        if isinstance(error, (UnmetRequirements, exceptions.ReadOnlyError)):
            # After a failover, connections must lead to another server.
            self.redis.connection_pool.disconnect(inuse_connections=False)
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


def _prepare(connection: Connection, unchecked: bool) -> None:
    """Log in on a new connection, and refuse a server that would break a promise."""
    connection.on_connect()  # type: ignore[no-untyped-call]  # redis-py has no type here
    if unmet := _unmet(partial(_ask, connection), unchecked):
        raise UnmetRequirements(unmet)


def _unmet(ask: Callable[..., Any], unchecked: bool) -> list[ServerRequirement]:
    ask("PING")  # also if nothing is checked
    try:
        return [
            each
            for each in ([] if unchecked else REQUIREMENTS)
            if ask("CONFIG", "GET", each.option)[1:] != [each.value.encode()]
        ]
    except exceptions.ResponseError as error:
        unknown = str(error).lower().startswith("unknown command")
        if not unknown and not isinstance(error, exceptions.NoPermissionError):
            raise
        return [READABLE_CONFIGURATION]


def _ask(connection: Connection, *command: Any) -> Any:
    """Send a command on a connection and return the answer."""
    connection.send_command(*command)  # type: ignore[no-untyped-call]  # redis-py has no type here
    return connection.read_response()


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
