"""The real application in a process whose clock the test moves."""

from datetime import timedelta
from urllib.parse import parse_qs

import gevent
import time_machine

from collector.cache import records
from tracking_site.wsgi import application as tracked

clock = time_machine.travel("2026-03-10T12:00:00Z", tick=False).start()


def application(environ, start_response):
    """Move the clock, or tell how many keys are in memory, expired ones included."""
    if environ["PATH_INFO"] == "/clock/forward":
        days = int(parse_qs(environ["QUERY_STRING"])["days"][0])
        clock.shift(timedelta(days=days))
    elif environ["PATH_INFO"] != "/clock/keys":
        return tracked(environ, start_response)
    start_response("200 OK", [])
    return [str(len(records()._store.keys)).encode()]


def say_when_empty():
    """Print once the last key is gone."""
    while not records()._store.keys:
        gevent.sleep(0.01)
    while records()._store.keys:
        gevent.sleep(0.01)
    print("keys in memory: 0", flush=True)


gevent.spawn(say_when_empty)
