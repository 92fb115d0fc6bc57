"""The URLs of the stand-alone server: those of `collector`, without a prefix."""

from collector.urls import urlpatterns
from collector.views import errors

__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]

handler400 = errors.bad_request
handler404 = errors.not_found
handler500 = errors.server_error
