"""Computes the statistics from a tally."""
