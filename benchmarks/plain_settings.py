"""The deployment's settings, with a plain Django application in place of Headcount."""

from tracking_site.settings import *  # noqa: F403  all but two are the same
from tracking_site.settings import MIDDLEWARE

ROOT_URLCONF = "benchmarks.plain"
# As Django's own template for projects has it; here it gives the answers their length.
MIDDLEWARE = [*MIDDLEWARE, "django.middleware.common.CommonMiddleware"]
