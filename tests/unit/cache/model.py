"""The contract of both cache backends: a model of all that they promise, and random steps."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import time_machine
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from collector.cache.base import CacheFull, TooManyValues
from collector.cache.tally import EMPTY, Tally, encode

DAY = 86400
RETENTION, HISTORY, MAX_ENTRIES, MAX_VALUES = 3, 5, 6, 3
SUMMARY = b'{"instances":1}'
SUMMARIES = st.sampled_from([SUMMARY, b"null"])
CONFIGURATION = {
    "TIMEOUT": RETENTION * DAY,
    "OPTIONS": {"MAX_ENTRIES": MAX_ENTRIES, "MAX_VALUES": MAX_VALUES, "HISTORY": HISTORY},
}
KEYS = st.sampled_from("abcdefgh")
EACH_VALUE = [None, {"app": "1", "image": None}, {"image": "x", "app": "2"}, [3], "ü"]
VALUES = st.sampled_from(EACH_VALUE)
ANSWERS = st.sets(st.sampled_from(["database=sqlite", "database=other", "sso=true"]))
FORWARD = st.sampled_from([1, 59, 3600, DAY // 2, DAY, 2 * DAY, 3 * DAY, 4 * DAY, 9 * DAY])
BACK = st.sampled_from([-1, -59, -61, -3600, -DAY, -2 * DAY, -9 * DAY])
SECONDS = FORWARD | BACK


class Row(NamedTuple):
    """A live key: its value, the day on which it was set last, and whether it is established."""

    value: Any
    day: int
    established: bool


class Model(RuleBasedStateMachine):
    """Compares a cache with a dictionary after each step.

    It begins in 2040, shortly before a midnight.
    """

    def make_cache(self):
        raise NotImplementedError

    def lose(self):
        """Empty the cache as an accident would."""
        self.cache.clear()

    def __init__(self):
        super().__init__()
        self.travel = time_machine.travel(datetime(2040, 2, 28, 23, 59, tzinfo=UTC), tick=False)
        self.clock = self.travel.start()
        self.cache = self.make_cache()
        self.cache.clear()
        self.known = EMPTY
        self.begin()

    def teardown(self):
        self.travel.stop()

    def begin(self):
        self.rows, self.closed, self.answers = {}, {}, Counter()
        self.since = self.now
        self.today = int(self.now // DAY)

    @property
    def now(self):
        return datetime.now(UTC).timestamp()

    def turn(self):
        """Begin another day, as the cache does at the first step after midnight."""
        day, before = int(self.now // DAY), self.today
        if day == before or day < before <= (self.now + 60) // DAY:
            return
        if day > before:
            self.closed[before] = self.recount(), {n: c // 5 * 5 for n, c in self.answers.items()}
            tallies = sorted(day for day, each in self.closed.items() if isinstance(each, tuple))
            for old in {
                *tallies[:-3],
                *(each for each in self.closed if each < min(before, day - HISTORY)),
            }:
                del self.closed[old]
        else:
            self.since = min(self.since, self.now)
            self.closed = {each: kept for each, kept in self.closed.items() if each < day}
        self.rows = {
            key: row._replace(day=min(row.day, day))
            for key, row in self.rows.items()
            if row.day >= day - RETENTION
        }
        self.answers, self.today = Counter(), day

    def recount(self):
        """Return the cohorts, each with the number of its keys by value."""
        cohorts = {}
        for value, day, established in self.rows.values():
            cohorts.setdefault((day, established), Counter())[encode(value)] += 1
        return cohorts

    def refusal(self, key, value):
        """Return the exception that setting a key raises, or None."""
        if key not in self.rows and len(self.rows) >= MAX_ENTRIES:
            return CacheFull
        values = {encode(row.value) for other, row in self.rows.items() if other != key}
        if value is not None and len((values | {encode(value)}) - {b"null"}) > MAX_VALUES:
            return TooManyValues
        return None

    @rule(key=KEYS, value=VALUES, answers=ANSWERS)
    def put(self, key, value, answers):
        self.turn()
        refusal = self.refusal(key, value)
        try:
            assert self.cache.put(key, value, answers) == self.today + RETENTION + 1
        except (CacheFull, TooManyValues) as error:
            assert type(error) is refusal
            return
        assert refusal is None
        old = self.rows.get(key)
        returned = old is not None and old.day < self.today
        self.rows[key] = Row(value, self.today, returned or bool(old and old.established))
        if returned:
            self.answers.update(answers)

    @rule(value=VALUES, answers=ANSWERS)
    def put_every_key(self, value, answers):
        for key in "abcdefgh":
            self.put(key, value, answers)

    @rule(values=st.permutations(EACH_VALUE))
    def put_different_values(self, values):
        for key, value in zip("abcde", values, strict=True):
            self.put(key, value, ())

    @rule(key=KEYS)
    def delete(self, key):
        self.turn()
        assert self.cache.delete(key) is (key in self.rows)
        self.rows.pop(key, None)

    @rule(seconds=SECONDS)
    def move_the_clock(self, seconds):
        self.clock.shift(timedelta(seconds=seconds))

    @rule(seconds=SECONDS, key=KEYS, value=VALUES, answers=ANSWERS)
    def put_after_a_while(self, seconds, key, value, answers):
        """Put a key as the first step of a day, perhaps; the invariant reads after each rule."""
        self.move_the_clock(seconds)
        self.put(key, value, answers)

    @rule(seconds=SECONDS, key=KEYS)
    def delete_after_a_while(self, seconds, key):
        self.move_the_clock(seconds)
        self.delete(key)

    @rule(days=st.integers(2, HISTORY + 1))
    def let_days_pass(self, days):
        """Let days pass on which somebody uses the cache, and nobody summarizes them."""
        for _ in range(days):
            self.move_the_clock(DAY)
            self.expire()

    @rule()
    def expire(self):
        self.turn()
        self.cache.expire()

    @rule(data=st.data(), summary=SUMMARIES)
    def keep(self, data, summary):
        self.turn()
        day = data.draw(st.sampled_from([*self.closed, self.today, 0]))
        self.cache.keep(day, summary)
        if isinstance(self.closed.get(day), tuple):
            self.closed[day] = summary

    @rule()
    def lose_everything(self):
        self.lose()
        self.begin()

    @invariant()
    def the_cache_agrees_with_the_model(self):
        self.turn()
        known = self.known
        self.known = self.cache.read(known) or known
        state = self.cache.read()
        assert self.cache.read(state) is None
        assert state._replace(change=0) == self.known._replace(change=0)
        assert state.since == self.since
        self.assert_tally(state.tally, self.today, self.recount(), {})
        assert state.closed.keys() == self.closed.keys()
        for day, kept in self.closed.items():
            if isinstance(kept, bytes):
                assert state.closed[day] == kept
            else:
                self.assert_tally(state.closed[day], day, *kept)
        assert {key: self.cache.get(key) for key in "abcdefgh" if key in self.cache} == {
            key: row.value for key, row in self.rows.items()
        }

    def assert_tally(self, tally, day, cohorts, answers):
        assert isinstance(tally, Tally)
        assert (tally.day, tally.size) == (day, sum(map(Counter.total, cohorts.values())))
        assert tally.counts == sum(cohorts.values(), Counter())
        found = {}
        for cohort in tally.cohorts:
            assert cohort.size == sum(cohort.counts.values())
            found[cohort[:2]] = found.get(cohort[:2], Counter()) + Counter(cohort.counts)
        assert found == cohorts
        assert tally.answers == {name: count for name, count in answers.items() if count}
