"""The real application with a view that fails and a greenlet that fails, quoting the request."""

import gevent

from collector.numbers import stats
from tracking_site.wsgi import application as tracked


def fail(*quoted):
    """Say in an exception what the request said."""
    raise ValueError(*quoted)


stats.statistics = fail


def application(environ, start_response):
    """Fail in the application with a header that cannot be sent, or beside it, or in a view."""
    if environ["PATH_INFO"] == "/greenlet":
        gevent.spawn(fail, environ["REMOTE_ADDR"], environ["HTTP_HOST"], environ["QUERY_STRING"])
    if environ["PATH_INFO"] == "/header":
        start_response("200 OK", [("X-Quoted", environ["QUERY_STRING"] + "\n")])
    if environ["PATH_INFO"] == "/wsgi":
        fail(environ)
    return tracked(environ, start_response)
