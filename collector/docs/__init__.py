"""The docs, and the description of the API."""
