"""Follow the configuration file, and free memory even if no request arrives."""

import logging
import time
from collections.abc import Callable, Iterable

from collector.cache import records
from collector.cache.tally import Unavailable
from collector.config import source
from collector.numbers.snapshot import current, forget_names
from tracking_site.limits import LOOK_INTERVAL

log = logging.getLogger(__name__)


def expire() -> None:
    """Close the day that is over, and free the memory of the reports that have expired."""
    records().expire()


def follow_file() -> None:
    """Use a configuration file that has changed. Say once, without quoting it, if it is invalid."""
    if problem := source.look():
        log.warning("The last valid configuration stays in force. %s", problem)


# A snapshot summarizes the days that are over, also on a server whose numbers nobody asks for.
JOBS = (follow_file, expire, current, forget_names)


def run_forever() -> None:
    """Run the jobs at regular intervals, until the process ends."""
    while True:
        time.sleep(LOOK_INTERVAL)  # in a worker, gevent's: requests are handled meanwhile
        run(JOBS)


def run(jobs: Iterable[Callable[[], object]]) -> None:
    """Run each job, and log a failure. No failure may end housekeeping: memory would fill up."""
    for job in jobs:
        try:
            job()
        except Unavailable:
            pass  # `/readyz` and every request report it
        except Exception:
            log.exception("Housekeeping failed")
