import subprocess
import sys

from django.core.cache.backends.base import BaseCache
from django.utils.module_loading import import_string

from collector.cache.memory import MemoryCache
from collector.cache.redis import RedisCache
from tracking_site import settings

RECEIVERS = """
import tracking_site.wsgi
from django.core.signals import request_finished, request_started
print(request_started.receivers + request_finished.receivers)
"""


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
