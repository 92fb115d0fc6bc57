"""The views: each one reads a request, asks one module, and writes one response."""
