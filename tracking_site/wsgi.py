"""The WSGI application that `gunicorn tracking_site.wsgi` serves."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tracking_site.settings")

django_application = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Call Django, without the parameters of the Content-Type.

    JSON is always UTF-8, and nothing here reads a parameter. But Django decodes the query with the
    `charset` before it calls any view. If that is not a text encoding, or if the query is too long,
    Django fails outside all views.
    """
    environ["CONTENT_TYPE"] = environ.get("CONTENT_TYPE", "").partition(";")[0]
    return django_application(environ, start_response)
