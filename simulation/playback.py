"""Playing the days of a made-up fleet into the memory of this process."""

import time
from unittest import mock

from collector.cache import records
from collector.conf import DAY, conf
from simulation.answers import made_up
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
    for day in range(fleet.days):
        # Nothing else runs in this process yet, so its clock may show another day.
        with mock.patch("time.time", return_value=today - (fleet.days - 1 - day) * DAY):
            if day == 0:
                cache.clear()  # counting begins on this day
            for name, version in (*fleet.reports(day), *fleet.ci(day)):
                given = made_up(questions, name)
                asked = [each for each in questions if each.name in given]
                cache.put_all(
                    name, version, {each.section: each.kept(given[each.name]) for each in asked}
                )
            for name in fleet.opt_outs(day):
                cache.delete_all(name, [each.section for each in questions])
