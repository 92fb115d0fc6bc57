"""Django settings of the stand-alone server. It has no database, no sessions and no accounts."""

import os
import secrets
from importlib.util import find_spec

from collector.conf import records_cache
from tracking_site import environment

ENV = environment.read(os.environ)

# No form needs a CSRF token and there are no cookies, so a key that is lost with the process is
# enough. With a store, environment.py requires SECRET_KEY.
SECRET_KEY = ENV.secret_key or secrets.token_urlsafe(64)
DEBUG = False
# Nothing here reads the Host header: no URL is built from it, and there are no cookies.
ALLOWED_HOSTS = ["*"]

INSTALLED_APPS = ["django.contrib.staticfiles", "collector"]
# A checkout has the demonstration; the wheel and the image do not.
if find_spec("simulation"):
    INSTALLED_APPS.append("simulation")
MIDDLEWARE = [
    "tracking_site.middleware.protect_pages",
    "whitenoise.middleware.WhiteNoiseMiddleware",
]
FORCE_SCRIPT_NAME = ENV.path_prefix or None
ROOT_URLCONF = "tracking_site.urls"
WSGI_APPLICATION = "tracking_site.wsgi.application"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

DATABASES: dict[str, dict[str, str]] = {}
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
    "records": records_cache(
        ENV.retention_days,
        ENV.max_instances,
        ENV.history_days,
        ENV.redis_url,
        ENV.redis_unchecked,
    ),
}

HEADCOUNT_STAND_ALONE = True
HEADCOUNT_PROJECT_NAME = ENV.project_name
HEADCOUNT_PUBLIC_URL = ENV.public_url or f"http://127.0.0.1:{ENV.port or 8000}"
HEADCOUNT_DOCS_URL = ENV.docs_url
HEADCOUNT_SOURCE_URL = ENV.source_url
HEADCOUNT_CONTACT = ENV.contact
HEADCOUNT_REVISION = ENV.revision
HEADCOUNT_HISTORY_FOLDER = ENV.history_folder
HEADCOUNT_MIN_GROUP = ENV.min_group
HEADCOUNT_CONFIG_FILE = ENV.config_file

# Collected files have a hash in their names and are compressed. A clone serves the original files.
STATIC_URL = f"{ENV.path_prefix}/static/"
STATIC_ROOT = ENV.static_root or None
WHITENOISE_USE_FINDERS = not STATIC_ROOT
if STATIC_ROOT:
    STORAGES = {
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }

# Days end at midnight UTC, and log lines have UTC times.
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = False

# Django logs errors only, and logs.py redacts them.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"()": "tracking_site.logs.handler"}},
    "loggers": {
        "": {"handlers": ["stderr"], "level": "WARNING"},
        "django": {"handlers": [], "level": "ERROR"},
        "django.server": {"handlers": []},
    },
}

SILENCED_SYSTEM_CHECKS = [
    "security.W001",  # middleware.py sends the headers of SecurityMiddleware
    "security.W002",  # and that of XFrameOptionsMiddleware
    "security.W003",  # no CSRF protection: there are no sessions and no cookies
    "security.W004",  # no HSTS: the proxy in front provides HTTPS, and may send the header
    "security.W008",  # no redirect to HTTPS: clients do not follow it, and reports would be lost
]
