"""Headcount's Django app: takes reports, keeps the latest of each installation, counts, forgets."""

__version__ = "0.3.0"
