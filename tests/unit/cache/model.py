"""A dictionary that does what the caches do, and random steps to compare them."""

import time
from math import inf
from typing import Any

import time_machine
from hypothesis import strategies as st

from collector.cache import CacheFull, TooManyValues
from tests.unit.cache.contract import NOON
from tests.unit.cache.tally_contract import assert_tally

KEYS = st.sampled_from("abcd")
VALUES = st.sampled_from([None, 1, 2, 3])
TIMEOUTS = st.sampled_from([None, -1, 0, 1, 2, 3, 5, 8])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["set", "add"]), KEYS, VALUES, TIMEOUTS),
        st.tuples(st.just("touch"), KEYS, TIMEOUTS),
        st.tuples(st.just("delete"), KEYS),
        st.tuples(st.just("advance"), st.integers(1, 4)),
    ),
    max_size=30,
)
OPTIONS = st.fixed_dictionaries(
    {
        "GRANULARITY": st.sampled_from([0, 3]),
        "MAX_ENTRIES": st.sampled_from([2, 99]),
        "MAX_VALUES": st.sampled_from([2, 99]),
    }
)


class Model:
    """A cache that keeps a value, an expiry and `renewed` for each key."""

    def __init__(self, options: dict[str, int]) -> None:
        self.rows: dict[str, tuple[Any, float, bool]] = {}
        self.options = options

    def live(self):
        self.rows = {key: row for key, row in self.rows.items() if row[1] > time.time()}
        return self.rows

    def expiry(self, timeout):
        if timeout is None or timeout <= 0:
            return inf if timeout is None else 0
        step, expiry = self.options["GRANULARITY"], time.time() + timeout
        return (expiry // step + 1) * step if step else expiry

    def set(self, key, value, timeout):
        expiry = self.expiry(timeout)
        _, before, renewed = self.live().get(key, (None, inf, False))
        rows = self.rows | {key: (value, expiry, renewed or expiry > before)}
        if expiry and len(rows) > max(len(self.rows), self.options["MAX_ENTRIES"]):
            raise CacheFull
        values = {row[0] for row in rows.values()} - {None}
        if expiry and len(values) > self.options["MAX_VALUES"]:
            raise TooManyValues
        self.rows = rows

    def add(self, key, value, timeout):
        return key not in self.live() and not self.set(key, value, timeout)

    def touch(self, key, timeout):
        if row := self.live().get(key):
            self.rows[key] = (row[0], self.expiry(timeout), row[2])
        return row is not None

    def delete(self, key):
        return self.live().pop(key, None) is not None


def outcome(cache, method, *args):
    try:
        return getattr(cache, method)(*args)
    except (CacheFull, TooManyValues) as refusal:
        return type(refusal)


def assert_agree(cache, steps, options):
    """A cache does what the model does at each step."""
    model = Model(options)
    with time_machine.travel(NOON, tick=False) as clock:
        cache.clear()
        for method, *args in steps:
            if method == "advance":
                clock.shift(*args)
            else:
                assert outcome(cache, method, *args) == outcome(model, method, *args)
            rows = model.live()
            assert cache.get_many("abcd") == {key: row[0] for key, row in rows.items()}
            counts = {row: [*rows.values()].count(row) for row in rows.values()}
            assert_tally(
                cache,
                *((v, None if e == inf else e, r, count) for (v, e, r), count in counts.items()),
            )
