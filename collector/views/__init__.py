"""What is served: each view reads a request, asks one module, and writes one answer."""
