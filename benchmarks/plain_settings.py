"""The deployment's settings, with a plain Django application in place of Headcount."""

# Only ROOT_URLCONF and MIDDLEWARE differ: every other name is taken as it is deployed,
# whatever names there will be. Django reads settings from a module's names and has no other way.
from tracking_site.settings import *  # noqa: F403  all of them, also those to come; see above
from tracking_site.settings import MIDDLEWARE

ROOT_URLCONF = "benchmarks.plain"
# As Django's own template for projects has it; here it gives the answers their length.
MIDDLEWARE = [*MIDDLEWARE, "django.middleware.common.CommonMiddleware"]
