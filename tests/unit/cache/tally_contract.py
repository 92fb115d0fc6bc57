"""What our backends do beyond BaseCache: the tally, its history, GRANULARITY and the limits."""

import math
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from collector.cache import CacheFull, Tally, TooManyValues
from tests.unit.cache.contract import NOW, PlainCacheContract

DAY = 86400
MIDNIGHT = NOW + DAY / 2
TODAY = int(NOW // DAY) * DAY
KEYS = [f"key{n}" for n in range(20)]
Row = tuple[Any, float | None, bool, int]  # value, expiry, renewed, live keys


def rows_of(tally: Tally) -> list[Row]:
    """The rows of a tally, sorted. Its counts must add up."""
    assert tally.values.keys() == tally.counts.keys()
    counts = sum((Counter(cohort.counts) for cohort in tally.cohorts), Counter())
    assert counts == tally.counts
    assert all(cohort.size == sum(cohort.counts.values()) > 0 for cohort in tally.cohorts)
    assert tally.size == sum(tally.counts.values())
    rows = [
        (tally.values[name], cohort.expiry, cohort.renewed, count)
        for cohort in tally.cohorts
        for name, count in cohort.counts.items()
    ]
    return sorted(rows, key=sort_key)


def sort_key(row: Row) -> tuple[str, float, bool]:
    value, expiry, renewed, _ = row
    return repr(value), math.inf if expiry is None else expiry, renewed


def assert_tally(cache: Any, *rows: Row) -> None:
    """The tally of a cache has these rows, in any order."""
    assert rows_of(cache.tally()) == sorted(rows, key=sort_key)


class TallyContract(PlainCacheContract):
    def limited(self, **options: Any) -> Any:
        """A cache with these OPTIONS."""
        return self.make(OPTIONS=options)

    def daily(self, **options: Any) -> Any:
        """A cache that rounds expiry to midnights and keeps 90 days of history."""
        return self.limited(GRANULARITY=DAY, HISTORY=90, **options)

    # The tally

    def test_an_empty_cache_has_an_empty_tally(self, cache):
        assert cache.tally() == Tally({}, {}, ())

    def test_a_tally_counts_keys_by_value_expiry_and_renewed(self, cache):
        cache.set_many({"a": "red", "b": "red", "c": "blue", "d": None}, 10)
        cache.set("e", "red", 20)
        cache.set("f", "red", 5)
        cache.set("f", "red", 20)
        cache.set_many({"g": "red", "h": None}, None)
        assert_tally(
            cache,
            ("red", NOW + 10, False, 2),
            ("blue", NOW + 10, False, 1),
            (None, NOW + 10, False, 1),
            ("red", NOW + 20, False, 1),
            ("red", NOW + 20, True, 1),
            ("red", None, False, 1),
            (None, None, False, 1),
        )

    @pytest.mark.parametrize("pair", [(1, True), (0, False), (1, 1.0), ("1", 1), ("", None)])
    def test_equal_values_of_different_types_are_counted_apart(self, cache, pair):
        cache.set_many(dict(zip("ab", pair, strict=True)))
        assert len(cache.tally().counts) == 2

    def test_equal_values_are_counted_together_whether_their_parts_are_one_object_or_two(
        self, cache
    ):
        word = "word"
        cache.set("a", {"words": [word, word]}, None)
        cache.set("b", {"words": [word, "".join(["wo", "rd"])]}, None)
        assert_tally(cache, ({"words": ["word", "word"]}, None, False, 2))

    def test_a_tally_does_not_change_when_the_cache_does(self, cache, clock):
        cache.set_many({"a": "red", "b": "blue"}, 10)
        tally = cache.tally()
        cache.set("a", "green", 10)
        cache.set("c", "blue", 10)
        assert rows_of(tally) == [
            ("blue", NOW + 10, False, 1),
            ("red", NOW + 10, False, 1),
        ]
        clock.shift(10)
        assert_tally(cache)
        assert tally.size == 2

    def test_tallies_share_their_values_until_a_value_is_added_or_removed(self, cache):
        cache.set_many({"a": "red", "b": "blue", "c": "blue"}, 10)
        tallies = [cache.tally()]
        for change in (
            lambda: cache.set("c", "red", 10),  # adds and removes no value
            lambda: cache.set("c", "green", 10),
            lambda: cache.delete("b"),
            lambda: cache.delete("c"),
            lambda: cache.set("c", None, 10),
        ):
            change()
            tallies.append(cache.tally())
        shared = [before.values is after.values for before, after in pairwise(tallies)]
        assert shared == [True, False, False, False, False]

    def test_the_tally_of_some_names_leaves_out_all_other_values(self, cache):
        cache.set_many({"a": "red", "b": "blue", "c": "red", "d": None}, 10)
        cache.set("e", "blue", 20)
        tally = cache.tally()
        some = tally.only({name for name, value in tally.values.items() if value == "red"})
        assert rows_of(some) == [("red", NOW + 10, False, 2)]
        none = tally.only({name for name, value in tally.values.items() if value is None})
        assert rows_of(none) == [(None, NOW + 10, False, 1)]
        assert tally.only(tally.values) == tally
        assert tally.only(()) == Tally({}, {}, ())

    def test_locations_are_counted_apart(self, cache):
        other = self.make(self.other_location)
        cache.set("a", "red", None)
        other.set_many({"a": "red", "b": "red"}, None)
        assert_tally(cache, ("red", None, False, 1))
        assert_tally(other, ("red", None, False, 2))

    def test_a_cache_with_other_options_does_not_reinterpret_what_is_there(self, cache):
        cache.set("a", "red", 10)
        daily = self.daily()
        daily.set("a", "blue", 10)
        assert self.limited(GRANULARITY=DAY).get("a") is None
        assert_tally(daily, ("blue", MIDNIGHT, False, 1))
        assert_tally(cache, ("red", NOW + 10, False, 1))

    @pytest.mark.usefixtures("frequent_thread_switches")
    def test_threads_see_tallies_that_add_up_and_leave_one_that_equals_a_recount(self, cache):
        def work(seed: int) -> None:
            dice, mine = random.Random(seed), self.make()
            for key in dice.choices(KEYS, k=200):
                mine.set(key, dice.randrange(3))
                mine.add(key, dice.randrange(3))
                mine.touch(key, dice.choice([0, 30, 60]))
                mine.delete(dice.choice(KEYS))
                assert len(rows_of(mine.tally())) <= len(KEYS)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        counts = Counter()
        for value, _, _, count in rows_of(cache.tally()):
            counts[value] += count
        assert counts == Counter(cache.get_many(KEYS).values())

    # Renewed

    @pytest.mark.parametrize(
        ("timeouts", "renewed"),
        [
            ([10], False),
            ([10, 10], False),
            ([10, 9], False),
            ([None, None], False),
            ([10, 11], True),
            ([10, None], True),
            ([10, 11, 9], True),
            ([10, 11, 20], True),
            ([10, 11, None], True),
        ],
    )
    def test_a_key_is_renewed_once_it_was_set_with_a_later_expiry(self, cache, timeouts, renewed):
        for timeout in timeouts:
            cache.set("a", "red", timeout)
        expiry = None if timeout is None else NOW + timeout
        assert_tally(cache, ("red", expiry, renewed, 1))

    def test_a_key_is_not_renewed_before_the_next_day(self, clock):
        daily = self.daily()
        daily.set("a", "red", DAY)
        clock.move_to(MIDNIGHT - 1)
        daily.set("a", "red", DAY)
        assert_tally(daily, ("red", MIDNIGHT + DAY, False, 1))
        clock.move_to(MIDNIGHT)
        daily.set("a", "red", DAY)
        assert_tally(daily, ("red", MIDNIGHT + 2 * DAY, True, 1))

    # put and GRANULARITY

    def test_put_sets_a_key_and_returns_its_expiry(self, cache):
        assert cache.put("a", "red", 10) == NOW + 10
        assert cache.put("b", "red") == NOW + 300
        assert cache.put("c", "red", None) is None
        assert cache.put("d", "red", 10, version=2) == NOW + 10
        assert cache.get_many("abc") == {"a": "red", "b": "red", "c": "red"}
        assert cache.get("d", version=2) == "red"

    @pytest.mark.parametrize(
        ("timeout", "expiry"),
        [
            (1, MIDNIGHT),
            (DAY / 2 - 0.001, MIDNIGHT),
            (DAY / 2, MIDNIGHT + DAY),
            (7 * DAY, MIDNIGHT + 7 * DAY),
        ],
    )
    def test_expiry_is_rounded_up_to_the_next_multiple_of_the_granularity(self, timeout, expiry):
        assert self.daily().put("a", "red", timeout) == expiry

    def test_a_week_from_midnight_ends_at_the_eighth_midnight(self, clock):
        clock.move_to(MIDNIGHT)
        assert self.daily().put("a", "red", 7 * DAY) == MIDNIGHT + 8 * DAY

    def test_every_method_that_sets_an_expiry_rounds_it(self):
        daily = self.daily()
        daily.set("set", 1)
        daily.add("add", 1, 10)
        daily.set_many({"set_many": 1, "touch": 1}, 20)
        daily.touch("touch", DAY)
        daily.set("never", 1, None)
        assert_tally(
            daily, (1, MIDNIGHT, False, 3), (1, MIDNIGHT + DAY, False, 1), (1, None, False, 1)
        )

    # MAX_ENTRIES

    @pytest.mark.parametrize("method", ["set", "put", "add", "get_or_set"])
    def test_a_new_key_is_refused_when_the_cache_is_full(self, method):
        full = self.limited(MAX_ENTRIES=2)
        full.set_many({"a": "red", "b": "red"}, 10)
        with pytest.raises(CacheFull):
            getattr(full, method)("c", "red")
        assert_tally(full, ("red", NOW + 10, False, 2))
        assert full.get_many("abc") == {"a": "red", "b": "red"}

    def test_a_live_key_can_be_set_and_touched_when_the_cache_is_full(self):
        full = self.limited(MAX_ENTRIES=1)
        full.set("a", "red", 10)
        full.set("a", "blue", 20)
        assert_tally(full, ("blue", NOW + 20, True, 1))
        assert full.add("a", "green") is False
        assert full.touch("a", 30) is True
        assert_tally(full, ("blue", NOW + 30, True, 1))

    @pytest.mark.parametrize("end", ["delete", "expiry", "clear"])
    def test_a_full_cache_has_room_again_after_a_key_is_gone(self, clock, end):
        full = self.limited(MAX_ENTRIES=1)
        full.set("a", "red", 10)
        match end:
            case "delete":
                full.delete("a")
            case "expiry":
                clock.shift(10)
            case "clear":
                full.clear()
        full.set("b", "red")
        assert full.get_many("ab") == {"b": "red"}

    # MAX_VALUES

    @pytest.mark.parametrize("method", ["set", "put", "add", "get_or_set"])
    def test_a_value_beyond_the_limit_is_refused_and_changes_nothing(self, method):
        few = self.limited(MAX_VALUES=2)
        few.set_many({"a": "red", "b": "blue", "c": "blue"}, 10)
        for key in ["d"] if method in ("add", "get_or_set") else ["c", "d"]:
            with pytest.raises(TooManyValues):
                getattr(few, method)(key, "green", 20)
        assert_tally(few, ("red", NOW + 10, False, 1), ("blue", NOW + 10, False, 2))
        assert few.get_many("abcd") == {"a": "red", "b": "blue", "c": "blue"}

    @pytest.mark.parametrize("method", ["set", "put", "add", "get_or_set"])
    @pytest.mark.parametrize("value", ["red", None])
    def test_a_live_value_and_none_are_accepted_at_the_limit(self, method, value):
        few = self.limited(MAX_VALUES=1)
        few.set_many({"a": "red", "b": None})
        getattr(few, method)("c", value, None)
        assert few.get("c", "missing") == value

    def test_the_only_key_with_a_value_may_change_it_at_the_limit(self):
        few = self.limited(MAX_VALUES=2)
        few.set_many({"a": "red", "b": "blue"}, 10)
        few.set("a", "green", 10)
        assert_tally(few, ("green", NOW + 10, False, 1), ("blue", NOW + 10, False, 1))

    @pytest.mark.parametrize("other", ["red", None])
    def test_a_key_whose_value_stays_live_makes_no_room_for_another(self, other):
        few = self.limited(MAX_VALUES=1)
        few.set("a", other, 10)
        few.set("b", "red", 20)
        with pytest.raises(TooManyValues):
            few.set("a", "green", 10)

    def test_a_limit_that_was_lowered_holds_for_the_only_key_with_a_value_too(self):
        self.limited(MAX_VALUES=3).set_many({"a": "red", "b": "blue", "c": "pink"})
        with pytest.raises(TooManyValues):
            self.limited(MAX_VALUES=2).set("a", "green")

    def test_there_is_room_for_a_value_after_the_last_key_of_another_is_gone(self, clock):
        few = self.limited(MAX_VALUES=1)
        few.set("a", "red", 10)
        few.set_many({"b": "red", "c": "red"}, 20)
        clock.shift(10)
        few.delete("b")
        with pytest.raises(TooManyValues):
            few.set("d", "green")
        few.delete("c")
        few.set("d", "green", 10)
        clock.shift(10)
        few.set("e", "blue")
        assert few.get_many("abcde") == {"e": "blue"}

    # OPTIONS

    @pytest.mark.parametrize("option", ["GRANULARITY", "MAX_ENTRIES", "MAX_VALUES", "HISTORY"])
    @pytest.mark.parametrize("value", [-1, 86400.0, "100", None, True])
    def test_an_option_that_is_not_a_whole_number_is_an_error(self, option, value):
        with pytest.raises(ImproperlyConfigured, match=option):
            self.limited(**{"GRANULARITY": DAY, option: value})

    def test_an_unknown_option_is_an_error(self):
        with pytest.raises(ImproperlyConfigured, match="MAX_ENTRYS"):
            self.limited(MAX_ENTRYS=1)

    # since, clear, free_expired

    def test_since_is_when_the_cache_began_to_count(self, cache, clock):
        assert cache.since == NOW
        clock.shift(10)
        cache.set("a", "red")
        assert self.make().since == NOW

    def test_clear_forgets_everything_and_begins_to_count_anew(self, cache, clock):
        cache.set("a", "red", 10)
        cache.set("a", "red", 11)
        clock.shift(5)
        cache.clear()
        assert cache.since == NOW + 5
        assert_tally(cache)
        cache.set("a", "red", 60)
        assert_tally(cache, ("red", NOW + 65, False, 1))

    def test_free_expired_leaves_what_is_live(self, cache, clock):
        cache.set_many({"a": "red", "b": "blue"}, 10)
        cache.set("c", "red", 20)
        clock.shift(10)
        cache.free_expired()
        assert cache.get_many("abc") == {"c": "red"}
        assert_tally(cache, ("red", NOW + 20, False, 1))

    # changes

    @pytest.mark.parametrize(
        "change",
        [
            lambda cache, clock: cache.set("new", 1, 10),
            lambda cache, clock: cache.set("a", "red", 20),
            lambda cache, clock: cache.set("a", "blue", 10),
            lambda cache, clock: cache.touch("a", 20),
            lambda cache, clock: cache.delete("a"),
            lambda cache, clock: cache.clear(),
            lambda cache, clock: clock.shift(10),
        ],
        ids=["new key", "expiry", "value", "touch", "delete", "clear", "time"],
    )
    def test_the_number_of_changes_differs_when_the_tally_does(self, cache, clock, change):
        cache.set("a", "red", 10)
        before = cache.changes()
        change(cache, clock)
        assert cache.changes() != before

    def test_the_number_of_changes_differs_when_the_history_does(self, clock):
        daily = self.daily()
        daily.set("a", "red", None)
        numbers = [daily.changes()]
        clock.shift(DAY)
        numbers.append(daily.changes())
        daily.summarize(TODAY, "a summary")
        numbers.append(daily.changes())
        assert len(set(numbers)) == 3

    def test_reading_changes_nothing(self, clock):
        daily = self.daily()
        daily.set("a", "red", DAY)
        clock.shift(DAY)
        before = daily.changes()
        daily.get("a")
        daily.tally()
        daily.history()
        daily.summarize(TODAY - DAY, "a summary of an unknown day")
        assert daily.changes() == before

    # History

    def test_the_history_has_the_tally_of_a_day_as_it_stood_at_its_end(self, clock):
        daily = self.daily()
        daily.set("a", "red", 1)
        daily.set("b", None, DAY)
        assert daily.history() == {}
        clock.shift(DAY)
        daily.set("a", "blue", 1)
        (start, tally), *rest = daily.history().items()
        assert (start, rest) == (TODAY, [])
        assert rows_of(tally) == [
            ("red", MIDNIGHT, False, 1),
            (None, MIDNIGHT + DAY, False, 1),
        ]

    def test_a_day_is_closed_whichever_method_comes_first(self, clock):
        daily = self.daily()
        calls = [daily.tally, daily.changes, daily.free_expired, lambda: daily.get("a")]
        daily.set("a", "red", None)
        for days, call in enumerate(calls, start=1):
            clock.shift(DAY)
            call()
            assert len(daily.history()) == days

    def test_the_history_hands_out_a_tally_until_it_is_summarized(self, clock):
        daily = self.daily()
        daily.set("a", "red", None)
        clock.shift(DAY)
        assert rows_of(daily.history()[TODAY]) == [("red", None, False, 1)]
        daily.summarize(TODAY, {"red": 1})
        assert daily.history() == self.daily().history() == {TODAY: {"red": 1}}
        clock.shift(DAY)
        daily.set("a", "blue", None)
        assert [*daily.history()] == [TODAY, TODAY + DAY]
        assert daily.history()[TODAY] == {"red": 1}

    def test_a_summary_of_an_unknown_period_is_not_kept(self, clock):
        daily = self.daily()
        daily.set("a", "red", None)
        daily.summarize(TODAY, "too early")
        clock.shift(DAY)
        daily.summarize(TODAY - DAY, "a day without a tally")
        assert [*daily.history()] == [TODAY]
        assert rows_of(daily.history()[TODAY]) == [("red", None, False, 1)]

    def test_the_history_is_the_same_object_until_it_changes(self, clock):
        daily = self.daily()
        daily.set("a", "red", None)
        clock.shift(DAY)
        one = daily.history()
        daily.set("b", "blue", None)
        daily.summarize(TODAY - DAY, "a summary of an unknown day")
        assert daily.history() is one
        daily.summarize(TODAY, "a summary")
        two = daily.history()
        assert (two is one, daily.history() is two) == (False, True)
        clock.shift(DAY)
        assert daily.history() is not two
        assert (len(one), isinstance(one[TODAY], Tally), two) == (1, True, {TODAY: "a summary"})

    def test_the_history_keeps_the_last_periods_oldest_first_until_clear(self, clock):
        short = self.limited(GRANULARITY=DAY, HISTORY=2)
        for _ in range(4):
            short.set("a", "red", None)
            clock.shift(DAY)
        assert [*short.history()] == [TODAY + 2 * DAY, TODAY + 3 * DAY]
        short.clear()
        assert short.history() == {}

    def test_days_on_which_nobody_used_the_cache_are_missing_in_the_history(self, clock):
        daily = self.daily()
        daily.set("a", "red", DAY)
        clock.shift(5 * DAY)
        assert [*daily.history()] == [TODAY]
        clock.shift(DAY)
        assert [*daily.history()] == [TODAY, TODAY + 5 * DAY]

    @pytest.mark.parametrize("options", [{"GRANULARITY": DAY}, {"HISTORY": 90}])
    def test_without_a_granularity_or_a_length_there_is_no_history(self, clock, options):
        cache = self.limited(**options)
        cache.set("a", "red", None)
        clock.shift(DAY)
        assert cache.history() == {}

    # Sections

    def test_a_key_is_set_and_deleted_in_sections_in_one_step(self, cache):
        expiry = cache.put_all("a", "red", {"one": 1, "two": 2})
        assert expiry == cache.put("b", "red")
        one, two = cache.section("one"), cache.section("two")
        assert [each.get("a") for each in (cache, one, two)] == ["red", 1, 2]
        assert one.get("b") is None
        cache.put_all("a", "blue", {"one": None, "two": 3})
        assert [each.get("a") for each in (cache, one, two)] == ["blue", None, 3]

    def test_a_section_that_is_not_named_loses_the_key(self, cache):
        cache.put_all("a", "red", {"one": 1, "two": 2})
        cache.put_all("a", "red", {"two": 2})
        assert cache.section("one").get("a") is None
        cache.put_all("a", "red", {})
        assert cache.section("two").get("a") is None

    def test_a_key_is_deleted_in_all_sections_named_or_not(self, cache):
        cache.put_all("a", "red", {"one": 1, "two": 2})
        assert cache.delete_all("a", ["one"]) is True
        assert [tally.size for tally in cache.tallies(["one", "two"])] == [0, 0, 0]
        assert cache.delete_all("a", ["one"]) is False

    def test_tallies_are_counted_apart(self, cache):
        cache.put_all("a", "red", {"one": 1, "two": 2})
        cache.put_all("b", "red", {"one": 1})
        values = [
            {tally.values[name]: count for name, count in tally.counts.items()}
            for tally in cache.tallies(["one", "two", "three"])
        ]
        assert values == [{"red": 2}, {1: 2}, {2: 1}, {}]
        assert cache.tally().size == 2

    def test_an_answer_alone_is_a_change(self, cache):
        cache.put_all("a", "red", {"one": 1})
        before = cache.changes(["one"])
        cache.put_all("a", "red", {"one": 2})
        assert cache.changes(["one"]) != before

    def test_a_refused_key_is_set_nowhere(self):
        small = self.limited(MAX_ENTRIES=1, MAX_VALUES=0)
        small.put_all("a", None, {"one": 1})
        with pytest.raises(CacheFull):
            small.put_all("b", None, {"one": 2})
        with pytest.raises(TooManyValues):
            small.put_all("a", "blue", {"one": 2})
        assert small.section("one").get_many(["a", "b"]) == {"a": 1}

    def test_the_limits_do_not_apply_to_sections(self):
        small = self.limited(MAX_VALUES=1)
        for key, value in (("a", 1), ("b", 2), ("c", 3)):
            small.put_all(key, "red", {"one": value})
        assert small.section("one").tally().size == 3

    def test_sections_expire_with_the_key(self, clock):
        daily = self.make(TIMEOUT=7 * DAY, OPTIONS={"GRANULARITY": DAY, "HISTORY": 90})
        daily.put_all("a", "red", {"one": 1})
        clock.move_to(MIDNIGHT + 7 * DAY - 1)
        assert daily.section("one").get("a") == 1
        clock.move_to(MIDNIGHT + 7 * DAY)
        assert [tally.size for tally in daily.tallies(["one"])] == [0, 0]

    def test_a_section_has_a_history_of_its_own(self, clock):
        daily = self.daily()
        daily.put_all("a", "red", {"one": 1})
        clock.shift(DAY)
        section = daily.section("one")
        assert rows_of(section.history()[TODAY]) == [(1, MIDNIGHT, False, 1)]
        section.summarize(TODAY, "a summary")
        assert section.history() == {TODAY: "a summary"}
        assert isinstance(daily.history()[TODAY], Tally)

    def test_clear_clears_the_sections(self, cache):
        cache.put_all("a", "red", {"one": 1})
        cache.clear()
        assert cache.section("one").tally().size == 0
        cache.put_all("a", "red", {"one": 1})
        assert cache.section("one").tally().size == 1

    @pytest.mark.parametrize("size", [20, 60, 300])
    def test_the_order_of_a_section_does_not_match_keys(self, cache, size):
        keys = [f"key{n}" for n in range(size)]
        for key in keys:
            cache.put_all(key, "red", {"one": 1, "two": 2})
        orders = [self.stored_order(cache.section(name), keys) for name in ("one", "two")]
        assert [sorted(order) for order in orders] == [sorted(keys)] * 2
        for first, second in ((keys, orders[0]), orders):
            matched = sum(a == b for a, b in zip(first, second, strict=True))
            assert matched < size / 3

    # A clock that goes back

    def test_a_key_set_under_a_later_clock_expires_as_if_it_were_set_now(self, clock):
        daily = self.daily()
        clock.shift(30 * DAY)
        daily.set("a", "red", 7 * DAY)
        clock.shift(-30 * DAY)
        assert_tally(daily, ("red", MIDNIGHT + 7 * DAY, False, 1))
        clock.move_to(MIDNIGHT + 7 * DAY - 1)
        assert daily.get("a") == "red"
        clock.move_to(MIDNIGHT + 7 * DAY)
        assert daily.get("a") is None
        assert_tally(daily)

    def test_keys_set_before_and_after_the_clock_went_back_share_a_cohort(self, clock):
        daily = self.daily()
        daily.set("a", "red", 7 * DAY)
        clock.shift(2 * DAY)
        daily.set_many({"b": "red", "c": "blue"}, 7 * DAY)
        daily.set("d", "red", None)
        clock.shift(-2 * DAY)
        end, never = MIDNIGHT + 7 * DAY, ("red", None, False, 1)
        assert_tally(daily, ("red", end, False, 2), ("blue", end, False, 1), never)
        assert daily.delete("b")
        assert_tally(daily, ("red", end, False, 1), ("blue", end, False, 1), never)
        assert daily.delete("a")
        assert_tally(daily, ("blue", end, False, 1), never)

    def test_a_clock_that_goes_back_within_the_day_changes_nothing(self, clock):
        daily = self.daily()
        daily.set("a", "red", 7 * DAY)
        before = daily.changes()
        clock.shift(-3600)
        assert daily.changes() == before

    def test_since_is_never_later_than_now(self, clock):
        daily = self.daily()
        clock.shift(-30 * DAY)
        daily.set("a", "red", 1)
        assert daily.since == NOW - 30 * DAY
        clock.shift(DAY)
        assert daily.since == NOW - 30 * DAY

    def test_the_history_loses_the_days_that_a_clock_going_back_reopens(self, clock):
        daily = self.daily()
        daily.set("a", "red", 7 * DAY)
        clock.shift(30 * DAY)
        daily.set("a", "blue", 7 * DAY)
        clock.shift(DAY)
        assert len(daily.history()) == 2
        clock.shift(-31 * DAY)
        assert daily.history() == {}
        clock.shift(DAY)
        assert [*daily.history()] == [TODAY]
