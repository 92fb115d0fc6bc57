"""The deployment's settings, with the empty view in place of Headcount's."""

# Only ROOT_URLCONF differs: Django takes every other name as it is deployed.
from tracking_site.settings import *  # noqa: F403  so all names are to be here

ROOT_URLCONF = "benchmarks.baseline"
