"""Every URL of the stand-alone server is one of `collector`'s."""

from django.urls import include, path

from collector import views

urlpatterns = [path("", include("collector.urls"))]
handler400 = views.bad_request
handler404 = views.not_found
handler500 = views.server_error
