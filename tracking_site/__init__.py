"""The stand-alone deployment of Headcount: it reads the environment and serves `collector`."""
