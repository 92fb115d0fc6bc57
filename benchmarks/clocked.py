"""Headcount in a process whose clock is moved by `POST /clock` with a number of seconds."""

import time_machine

from tracking_site.wsgi import application as tracked

START = "2026-03-10T12:00:00Z"
clock = time_machine.travel(START, tick=False).start()


def application(environ, start_response):
    """Move the clock, or answer as ever."""
    if environ["PATH_INFO"] != "/clock":
        return tracked(environ, start_response)
    clock.shift(float(environ["wsgi.input"].read()))
    start_response("204 No Content", [("Content-Length", "0")])
    return []
