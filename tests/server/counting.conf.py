"""The real configuration, telling at its end how many reports were accepted."""

import atexit
from pathlib import Path

exec(Path("gunicorn.conf.py").read_text())
_real_post_fork = post_fork  # noqa: F821  the file above defines it


def post_fork(server, worker):
    _real_post_fork(server, worker)
    atexit.register(tell)  # what is registered first is called last: reports are taken until then


def tell():
    from collector.cache import records

    print(f"At the end {records().totals().size} installations were known.", flush=True)
