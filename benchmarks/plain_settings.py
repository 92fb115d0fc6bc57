"""The deployment's settings, with a plain Django application in place of Headcount."""

# Only ROOT_URLCONF and MIDDLEWARE differ: Django takes every other name as it is deployed.
from tracking_site.settings import *  # noqa: F403  so all names are to be here
from tracking_site.settings import MIDDLEWARE

ROOT_URLCONF = "benchmarks.plain"
# As Django's own template for projects has it; here it gives the answers their length.
MIDDLEWARE = [*MIDDLEWARE, "django.middleware.common.CommonMiddleware"]
