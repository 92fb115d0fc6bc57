"""Benchmarks: each script measures Headcount and judges its goals.

Run one from the repository root, for example `python -m benchmarks.ingest`. README.md lists the
scripts and their figures.
"""
