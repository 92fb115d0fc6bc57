"""The real application with failures whose exceptions quote the request."""

import gevent

from collector.numbers import stats
from tracking_site.wsgi import application as tracked


def fail(*quoted):
    """Raise an exception that quotes the request."""
    raise ValueError(*quoted)


stats.statistics = fail


def application(environ, start_response):
    """Fail outside a request, while sending a header, in the application, or in a view."""
    if environ["PATH_INFO"] == "/greenlet":
        gevent.spawn(fail, environ["REMOTE_ADDR"], environ["HTTP_HOST"], environ["QUERY_STRING"])
    if environ["PATH_INFO"] == "/header":
        start_response("200 OK", [("X-Quoted", environ["QUERY_STRING"] + "\n")])
    if environ["PATH_INFO"] == "/wsgi":
        fail(environ)
    return tracked(environ, start_response)
