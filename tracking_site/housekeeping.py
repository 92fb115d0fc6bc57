"""What the server does every minute, so that memory is freed even if no request arrives."""

import logging
import time
from collections.abc import Callable, Iterable

from tracking_site.logs import report_suppressed

INTERVAL = 60  # seconds
log = logging.getLogger(__name__)


def jobs() -> list[Callable[[], object]]:
    """Return the functions to call every minute."""
    # Imported here because gunicorn.conf.py imports this module before gevent patches the
    # standard library.
    from collector.cache import records
    from collector.numbers import snapshot
    from collector.numbers.dimensions import forget_names

    return [records().expire, snapshot.current, forget_names, report_suppressed]


def run_forever() -> None:
    """Run the jobs every minute, until the process ends."""
    while True:
        time.sleep(INTERVAL)  # in a worker, gevent's, so that requests are answered
        run(jobs())


def run(jobs: Iterable[Callable[[], object]]) -> None:
    """Run each job, and log a failure. No failure may end housekeeping: memory would fill up."""
    from collector.cache import Unavailable

    for job in jobs:
        try:
            job()
        except Unavailable:
            pass  # `/readyz` and every request report it
        except Exception:
            log.exception("Housekeeping failed")
