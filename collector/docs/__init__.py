"""The docs that this server serves, and the description of its API."""
