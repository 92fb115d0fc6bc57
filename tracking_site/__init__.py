"""The stand-alone server: it reads the environment and serves `collector`."""
