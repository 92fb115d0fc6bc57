"""The real configuration, looking for what has expired ten times a second."""

from pathlib import Path

exec(Path("gunicorn.conf.py").read_text())  # so that its functions see the name below

HOUSEKEEPING = 0.1
