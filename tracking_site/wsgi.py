"""The WSGI application that `gunicorn tracking_site.wsgi` serves."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, reset_queries

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tracking_site.settings")

django_application = get_wsgi_application()

# Django calls these functions before and after each request. They have nothing to do here: there
# are no databases, the cache of the reports stays open as long as the process runs, and every
# request has the same URLs. A test fails if the settings get a database or a cache to close.
for signal, receiver in (
    (request_started, reset_queries),
    (request_started, close_old_connections),
    (request_finished, close_old_connections),
    (request_finished, close_caches),
    (request_finished, reset_urlconf),
):
    signal.disconnect(receiver)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Call Django, without the parameters of the Content-Type.

    JSON is always UTF-8, and nothing here reads a parameter. But Django decodes the query with the
    `charset` before it calls any view. If that is not a text encoding, or if the query is too long,
    Django fails outside all views.
    """
    environ["CONTENT_TYPE"] = environ.get("CONTENT_TYPE", "").partition(";")[0]
    return django_application(environ, start_response)
