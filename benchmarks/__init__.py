"""Benchmarks: each prints a ratio against a baseline run beside it, and a verdict on its goal.

Run one from the repository root, such as `python -m benchmarks.ingest`. Everything stays on
loopback; servers are started for the run and ended with it. `README.md` holds the figures.
"""
