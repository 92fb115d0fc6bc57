"""The deployment's settings, with the empty view in place of Headcount's."""

# Only ROOT_URLCONF differs: every other name is taken as it is deployed,
# whatever names there will be. Django reads settings from a module's names and has no other way.
from tracking_site.settings import *  # noqa: F403  all of them, also those to come; see above

ROOT_URLCONF = "benchmarks.baseline"
