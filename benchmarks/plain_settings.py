"""The settings of the deployment, with the views of `benchmarks.plain`."""

# Everything but ROOT_URLCONF must be what is deployed, including settings that are added later.
from tracking_site.settings import *  # noqa: F403  Django reads settings from a module's names

ROOT_URLCONF = "benchmarks.plain"
