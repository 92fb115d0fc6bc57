"""The caches do what a plain dict of (value, expiry, renewed) does."""

import time
from collections import Counter
from math import inf

import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.cache import CacheFull, TooManyValues
from collector.cache.memory import MemoryCache
from collector.cache.redis import RedisCache
from tests.unit.cache.contract import NOON

KEYS = st.sampled_from("abcd")
VALUES = st.sampled_from([None, 1, 2, 3])
TIMEOUTS = st.sampled_from([None, -1, 0, 1, 2, 3, 5, 8])
STEPS = st.one_of(
    st.tuples(st.sampled_from(["set", "add"]), KEYS, VALUES, TIMEOUTS),
    st.tuples(st.just("touch"), KEYS, TIMEOUTS),
    st.tuples(st.just("incr"), KEYS),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("advance"), st.integers(1, 4)),
)
OPTIONS = st.fixed_dictionaries(
    {
        "GRANULARITY": st.sampled_from([0, 3]),
        "MAX_ENTRIES": st.sampled_from([2, 99]),
        "MAX_VALUES": st.sampled_from([2, 99]),
    }
)


class Model:
    def __init__(self, options):
        self.rows, self.options = {}, options

    def live(self):
        self.rows = {key: row for key, row in self.rows.items() if row[1] > time.time()}
        return self.rows

    def expiry(self, timeout):
        if timeout is None or timeout <= 0:
            return inf if timeout is None else 0
        step, expiry = self.options["GRANULARITY"], time.time() + timeout
        return (expiry // step + 1) * step if step else expiry

    def set(self, key, value, timeout):
        self.put(key, value, self.expiry(timeout))

    def put(self, key, value, expiry):
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
        if found := self.live().get(key):
            self.rows[key] = (found[0], self.expiry(timeout), found[2])
        return found is not None

    def incr(self, key):
        if key not in self.live():
            raise ValueError
        value, expiry, _ = self.rows[key]
        self.put(key, value + 1, expiry)
        return value + 1

    def delete(self, key):
        return self.live().pop(key, None) is not None

    def tally(self):
        rows = Counter(self.live().values())
        return [(v, None if e == inf else e, r, size) for (v, e, r), size in rows.items()]


def outcome(method, *args):
    try:
        return method(*args)
    except (CacheFull, TooManyValues, TypeError, ValueError) as refusal:
        return type(refusal)


@settings(max_examples=150)
@given(steps=st.lists(STEPS, max_size=30), options=OPTIONS)
def test_memory_and_the_model_agree(steps, options):
    agree(MemoryCache("model", {"OPTIONS": options}), steps, options)


@settings(max_examples=100)
@given(steps=st.lists(STEPS, max_size=30), options=OPTIONS)
def test_redis_and_the_model_agree(redis_server, steps, options):
    agree(RedisCache(f"{redis_server.url[:-1]}2", {"OPTIONS": options}), steps, options)


def agree(cache, steps, options):
    model = Model(options)
    with time_machine.travel(NOON, tick=False) as clock:
        cache.clear()
        for method, *args in steps:
            if method == "advance":
                clock.shift(*args)
            else:
                assert outcome(getattr(cache, method), *args) == outcome(
                    getattr(model, method), *args
                )
            assert cache.get_many("abcd") == {key: row[0] for key, row in model.live().items()}
            assert Counter(map(tuple, cache.tally())) == Counter(model.tally())
