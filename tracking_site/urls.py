"""Every URL of the stand-alone server is one of `collector`'s, without a prefix to resolve."""

from collector import views
from collector.urls import urlpatterns

__all__ = ["handler400", "handler404", "handler500", "urlpatterns"]

handler400 = views.bad_request
handler404 = views.not_found
handler500 = views.server_error
