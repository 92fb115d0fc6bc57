import subprocess
import sys
from unittest.mock import Mock

import pytest
from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string
from gunicorn.http.errors import LimitRequestHeaders

from collector.cache.memory import MemoryCache
from collector.cache.redis import RedisCache
from tracking_site import settings
from tracking_site.limits import ROOM
from tracking_site.worker import SHORT, Connection

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
LONG = b"x" * (SHORT + 1)
RECEIVERS = """
import tracking_site.wsgi
from tracking_site.worker import disconnect_receivers
disconnect_receivers()
from django.core.signals import request_finished, request_started
print(request_started.receivers + request_finished.receivers)
"""


@pytest.fixture
def connection():
    return Connection(Mock(recv=lambda size: b"x" * size))


@pytest.mark.parametrize(
    ("parts", "pieces"),
    [
        ([HEAD, b"body"], [HEAD + b"body"]),
        ([HEAD, b"one", b"two"], [HEAD + b"one", b"two"]),
        ([HEAD], [HEAD]),
        ([HEAD, LONG], [HEAD, LONG]),
        ([], []),
    ],
    ids=["short", "parts", "no body", "long", "no response"],
)
def test_a_head_is_sent_together_with_a_short_body(connection, parts, pieces):
    connection.begin_response()
    for part in parts:
        connection.sendall(part)
    connection.end_response()
    assert [call.args[0] for call in connection.sock.sendall.call_args_list] == pieces


def test_the_refusal_of_a_malformed_request_is_sent_at_once(connection):
    connection.sendall(HEAD)
    connection.sock.sendall.assert_called_once_with(HEAD)


@pytest.mark.parametrize("size", [100, 8192, 10**6])
def test_no_more_of_a_head_or_of_a_body_is_read_than_there_is_room_for(connection, size):
    for go_on in (connection.begin_response, connection.end_response):
        received = 0
        while received < ROOM:
            received += len(connection.recv(size))
        with pytest.raises(LimitRequestHeaders):
            connection.recv(size)
        assert received == ROOM
        go_on()


def test_django_does_nothing_more_before_and_after_a_request():
    command = [sys.executable, "-c", RECEIVERS]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_settings_have_no_database_and_no_cache_that_must_be_closed():
    # Django itself adds a dummy, which fails when it is used.
    engines = [entry["ENGINE"] for entry in settings.DATABASES.values()]
    assert set(engines) <= {"django.db.backends.dummy"}
    backends = [import_string(entry["BACKEND"]) for entry in settings.CACHES.values()]
    for backend in (*backends, MemoryCache, RedisCache):
        assert backend.close is BaseCache.close
