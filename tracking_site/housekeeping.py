"""What the server does every minute, so that memory is freed even if no request arrives."""

import logging
import time

from collector.cache import Unavailable, records
from collector.numbers.snapshot import current, forget_names

INTERVAL = 60  # seconds
log = logging.getLogger(__name__)


def expire() -> None:
    """Close the day that is over, and free the memory of the reports that have expired."""
    records().expire()


# A snapshot summarizes the days that are over, also on a server whose numbers nobody asks for.
JOBS = (expire, current, forget_names)


def run_forever() -> None:
    """Run the jobs every minute, until the process ends."""
    while True:
        time.sleep(INTERVAL)  # in a worker, gevent's, so that requests are answered
        run()


def run() -> None:
    """Run each job, and log a failure. No failure may end housekeeping: memory would fill up."""
    for job in JOBS:
        try:
            job()
        except Unavailable:
            pass  # `/readyz` and every request report it
        except Exception:
            log.exception("Housekeeping failed")
