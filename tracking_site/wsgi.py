"""The WSGI application that `gunicorn tracking_site.wsgi` serves."""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

from tracking_site import options

if "gunicorn.arbiter" in sys.modules and not options.expected:
    raise ImproperlyConfigured(
        "gunicorn has not read gunicorn.conf.py, which keeps the promises of this server. Start it "
        "in the folder of that file, without another --config."
    )

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
