"""The deployment's settings, with the empty view in place of Headcount's."""

from tracking_site.settings import *  # noqa: F403  all but one are the same

ROOT_URLCONF = "benchmarks.baseline"
