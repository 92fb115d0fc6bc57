"""Headcount's Django app: it accepts reports, counts the instances, and forgets."""

__version__ = "0.3.0"
