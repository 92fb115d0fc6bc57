"""What `gunicorn tracking_site.wsgi` serves."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tracking_site.settings")

django_application = get_wsgi_application()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Django, without the parameters of a Content-Type.

    JSON is UTF-8 and no parameter of it is read. But Django decodes the query by a `charset` before
    any view is asked, and fails outside them all if that is none for text or the query is too long.
    """
    environ["CONTENT_TYPE"] = environ.get("CONTENT_TYPE", "").partition(";")[0]
    return django_application(environ, start_response)
