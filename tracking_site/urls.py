"""Every URL of the stand-alone server is one of `collector`'s, without a prefix to resolve."""

from collector.urls import urlpatterns
from collector.views import errors

__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]

handler400 = errors.bad_request
handler404 = errors.not_found
handler500 = errors.server_error
