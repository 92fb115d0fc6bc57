"""Play the days of a made-up fleet into the memory of this process."""

import functools
import time
from unittest import mock

from collector.cache import records
from collector.conf import DAY, conf
from collector.numbers import snapshot
from simulation.answers import counted
from simulation.fleet import Fleet


def play(fleet: Fleet) -> None:
    """Replace the reports in this process's memory with a fleet's; its last day is today.

    Raises RuntimeError if the reports are in a store, where real ones may be.
    """
    cache = records()
    if cache.shared:
        raise RuntimeError(
            "The reports are in a store, and a made-up fleet would replace them. Unset REDIS_URL."
        )
    today, questions = time.time(), conf.questions
    answers = functools.cache(functools.partial(counted, questions))
    for day in range(fleet.days):
        # Nothing else runs in this process yet, so its clock may show another day. A function
        # instead of a Mock, because it is called millions of times.
        with mock.patch(
            "time.time", functools.partial(float, today - (fleet.days - 1 - day) * DAY)
        ):
            if day == 0:
                cache.clear()  # counting begins on this day
            for name, version in (*fleet.reports(day), *fleet.ci(day)):
                cache.put(name, version, answers(name))
            for name in fleet.opt_outs(day):
                cache.delete(name)
            snapshot.current()  # summarizes the day before
