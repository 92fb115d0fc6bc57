"""What our backends do beyond BaseCache: the tally, GRANULARITY, MAX_ENTRIES, MAX_VALUES."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured

from collector.cache import CacheFull, Sizes, TooManyValues, Totals
from tests.unit.cache.contract import NOW, PlainCacheContract

DAY = 86400
MIDNIGHT = NOW + DAY / 2
KEYS = [f"key{n}" for n in range(20)]


def assert_tally(cache: Any, *rows: tuple[Any, float | None, bool, int]) -> None:
    """The rows are these, in any order."""
    assert Counter(map(tuple, cache.tally())) == Counter(rows)


def in_any_order(totals: Totals) -> tuple[Counter[Any], Counter[Any]]:
    """Totals, to be compared."""
    return Counter(totals.values), Counter(totals.ends)


def none_but_a(sizes: Sizes) -> Sizes:
    """A choice of one value."""
    return [(value, size) for value, size in sizes if value == "a"]


def none_but_none(sizes: Sizes) -> Sizes:
    """A choice of the keys without a value."""
    return [(value, size) for value, size in sizes if value is None]


def nothing(sizes: Sizes) -> Sizes:
    """A choice of none."""
    return []


def counted(cache: Any) -> Counter[Any]:
    """The live keys of each value, as the tally has them."""
    return sum((Counter({row.value: row.size}) for row in cache.tally()), Counter())


def recounted(cache: Any) -> Counter[Any]:
    """The live keys of each value, asked for one by one."""
    return Counter(cache.get_many(KEYS).values())


class TallyContract(PlainCacheContract):
    def limited(self, **options: Any) -> Any:
        """The same cache with these OPTIONS."""
        return self.make(OPTIONS=options)

    # The tally

    def test_the_tally_counts_the_keys_of_a_value(self, cache):
        cache.set_many({"a": "red", "b": "red", "c": "blue"}, 10)
        assert_tally(cache, ("red", NOW + 10, False, 2), ("blue", NOW + 10, False, 1))

    def test_a_row_names_its_parts(self, cache):
        cache.set("a", "red", 10)
        (row,) = cache.tally()
        assert (row.value, row.expiry, row.renewed, row.size) == ("red", NOW + 10, False, 1)
        assert type(row.renewed) is bool

    def test_an_empty_cache_has_no_rows(self, cache):
        assert list(cache.tally()) == []

    def test_each_expiry_has_a_row(self, cache):
        cache.set("a", "red", 10)
        cache.set("b", "red", 20)
        cache.set("c", "red", None)
        assert_tally(
            cache,
            ("red", NOW + 10, False, 1),
            ("red", NOW + 20, False, 1),
            ("red", None, False, 1),
        )

    def test_none_is_counted_as_a_value(self, cache):
        cache.set_many({"a": None, "b": None}, None)
        assert_tally(cache, (None, None, False, 2))

    @pytest.mark.parametrize("pair", [(1, True), (0, False), (1, 1.0), ("1", 1), ("", None)])
    def test_values_of_different_types_are_different(self, cache, pair):
        cache.set_many(dict(zip("ab", pair, strict=True)))
        assert len(cache.tally()) == 2

    def test_values_that_cannot_be_hashed_are_counted(self, cache):
        cache.set_many({"a": {"app": ["1.0"]}, "b": {"app": ["1.0"]}}, None)
        assert [tuple(row) for row in cache.tally()] == [({"app": ["1.0"]}, None, False, 2)]

    def test_equal_values_are_one_whether_their_parts_are_one_object_or_two(self, cache):
        word = "word"
        cache.set("a", (word, word), None)
        cache.set("b", (word, "".join(["wo", "rd"])), None)
        assert_tally(cache, (("word", "word"), None, False, 2))

    def test_changing_a_row_does_not_change_the_cache(self, cache):
        cache.set("a", ["red"], None)
        cache.tally()[0].value.append("blue")
        assert cache.get("a") == ["red"]
        assert cache.tally()[0].value == ["red"]

    def test_versions_and_prefixes_are_counted_together(self, cache):
        cache.set("a", "red", None)
        cache.set("a", "red", None, version=2)
        self.make(KEY_PREFIX="mine").set("a", "red", None)
        assert_tally(cache, ("red", None, False, 3))

    def test_locations_are_counted_apart(self, cache):
        other = self.make(self.other_location)
        cache.set("a", "red", None)
        other.set_many({"a": "red", "b": "red"}, None)
        assert_tally(cache, ("red", None, False, 1))
        assert_tally(other, ("red", None, False, 2))

    def test_set_again_moves_the_key(self, cache):
        cache.set("a", "red", 10)
        cache.set("a", "blue", 10)
        assert_tally(cache, ("blue", NOW + 10, False, 1))

    def test_add_counts_a_new_key_only(self, cache):
        cache.add("a", "red", 10)
        cache.add("a", "blue", 20)
        assert_tally(cache, ("red", NOW + 10, False, 1))

    def test_touch_moves_the_key(self, cache):
        cache.set_many({"a": "red", "b": "red"}, 10)
        cache.touch("a", 20)
        cache.touch("b", None)
        assert_tally(cache, ("red", NOW + 20, False, 1), ("red", None, False, 1))

    def test_incr_moves_the_key(self, cache):
        cache.set("n", 1, 10)
        cache.incr("n")
        assert_tally(cache, (2, NOW + 10, False, 1))

    def test_incr_version_counts_the_key_once(self, cache):
        cache.set("a", "red")
        cache.incr_version("a")
        assert_tally(cache, ("red", NOW + 300, False, 1))

    def test_delete_counts_one_fewer(self, cache):
        cache.set_many({"a": "red", "b": "red"}, 10)
        cache.delete("a")
        cache.delete("missing")
        assert_tally(cache, ("red", NOW + 10, False, 1))
        cache.set("b", "red", 0)
        assert_tally(cache)

    def test_an_expired_key_is_not_counted(self, cache, clock):
        cache.set_many({"a": "red", "b": "blue"}, 10)
        cache.set("c", "red", 20)
        clock.shift(9)
        assert sum(row.size for row in cache.tally()) == 3
        clock.shift(1)
        assert_tally(cache, ("red", NOW + 20, False, 1))

    def test_an_expired_key_that_is_set_again_is_counted_once(self, cache, clock):
        cache.set("a", "red", 10)
        clock.shift(10)
        cache.set("a", "red", 10)
        assert_tally(cache, ("red", NOW + 20, False, 1))

    @pytest.mark.parametrize("seed", range(5))
    def test_the_tally_equals_a_recount(self, cache, clock, seed):
        dice = random.Random(seed)
        for key in dice.choices(KEYS, k=200):
            cache.set(key, dice.randrange(3), dice.choice([3, 30, None]))
            cache.add(dice.choice(KEYS), dice.randrange(3), 5)
            cache.incr(key, dice.choice([0, 1]))
            cache.touch(dice.choice(KEYS), dice.choice([0, 3, 30]))
            cache.delete(dice.choice(KEYS))
            clock.shift(dice.choice([0, 1]))
            assert counted(cache) == recounted(cache)

    @pytest.mark.usefixtures("restless_threads")
    def test_threads_leave_the_tally_equal_to_a_recount(self, cache):
        def work(seed: int) -> None:
            dice, mine = random.Random(seed), self.make()
            for key in dice.choices(KEYS, k=200):
                mine.set(key, dice.randrange(3))
                mine.add(key, dice.randrange(3))
                mine.touch(key, dice.choice([0, 30, 60]))
                mine.delete(dice.choice(KEYS))
                assert sum(row.size for row in mine.tally()) <= len(KEYS)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(work, range(4)))
        assert counted(cache) == recounted(cache)

    # Renewed

    def test_a_later_expiry_renews(self, cache, clock):
        cache.set("a", "red", 10)
        clock.shift(1)
        cache.set("a", "blue", 10)
        assert_tally(cache, ("blue", NOW + 11, True, 1))

    def test_a_longer_timeout_renews(self, cache):
        cache.set("a", "red", 10)
        cache.set("a", "red", 11)
        cache.set("b", "red", 10)
        cache.set("b", "red", None)
        assert_tally(cache, ("red", NOW + 11, True, 1), ("red", None, True, 1))

    @pytest.mark.parametrize("timeout", [10, None])
    def test_the_same_expiry_does_not_renew(self, cache, timeout):
        cache.set("a", "red", timeout)
        cache.set("a", "blue", timeout)
        assert [row.renewed for row in cache.tally()] == [False]

    def test_an_earlier_expiry_does_not_renew(self, cache):
        cache.set("a", "red", 10)
        cache.set("a", "red", 9)
        assert_tally(cache, ("red", NOW + 9, False, 1))

    @pytest.mark.parametrize("timeout", [9, 11, 20, None])
    def test_renewed_stays(self, cache, timeout):
        cache.set("a", "red", 10)
        cache.set("a", "red", 11)
        cache.set("a", "blue", timeout)
        assert [row.renewed for row in cache.tally()] == [True]

    def test_renewed_and_not_are_two_rows(self, cache):
        cache.set("a", "red", 10)
        cache.set_many({"a": "red", "b": "red"}, 11)
        assert_tally(cache, ("red", NOW + 11, True, 1), ("red", NOW + 11, False, 1))

    def test_after_delete_a_key_is_not_renewed(self, cache):
        cache.set("a", "red", 10)
        cache.set("a", "red", 11)
        cache.delete("a")
        cache.set("a", "red", 12)
        assert_tally(cache, ("red", NOW + 12, False, 1))

    def test_after_expiry_a_key_is_not_renewed(self, cache, clock):
        cache.set("a", "red", 10)
        cache.set("a", "red", 11)
        clock.shift(11)
        cache.set("a", "red", 10)
        assert_tally(cache, ("red", NOW + 21, False, 1))

    def test_touch_does_not_renew(self, cache):
        cache.set("a", "red", 10)
        cache.touch("a", 20)
        assert_tally(cache, ("red", NOW + 20, False, 1))

    def test_touch_leaves_renewed(self, cache):
        cache.set("a", "red", 10)
        cache.set("a", "red", 11)
        cache.touch("a", 5)
        assert_tally(cache, ("red", NOW + 5, True, 1))

    def test_incr_leaves_renewed(self, cache, clock):
        cache.set_many({"once": 1, "twice": 1}, 10)
        cache.set("twice", 1, 11)
        clock.shift(1)
        cache.incr("once")
        cache.incr("twice")
        assert_tally(cache, (2, NOW + 10, False, 1), (2, NOW + 11, True, 1))

    def test_add_does_not_renew(self, cache):
        cache.set("a", "red", 10)
        cache.add("a", "red", 20)
        assert_tally(cache, ("red", NOW + 10, False, 1))

    def test_a_day_renews_only_on_the_next(self, cache, clock):
        daily = self.limited(GRANULARITY=DAY)
        daily.set("a", "red", DAY)
        clock.move_to(MIDNIGHT - 1)
        daily.set("a", "red", DAY)
        assert_tally(cache, ("red", MIDNIGHT + DAY, False, 1))
        clock.move_to(MIDNIGHT)
        daily.set("a", "red", DAY)
        assert_tally(cache, ("red", MIDNIGHT + 2 * DAY, True, 1))

    # Put and GRANULARITY

    def test_put_sets_and_returns_the_expiry(self, cache):
        assert cache.put("a", "red", 10) == NOW + 10
        assert cache.put("b", "red") == NOW + 300
        assert cache.put("c", "red", None) is None
        assert cache.put("d", "red", 10, version=2) == NOW + 10
        assert cache.get_many("abc") == {"a": "red", "b": "red", "c": "red"}
        assert cache.get("d", version=2) == "red"

    @pytest.mark.parametrize("timeout", [0, -1])
    def test_put_with_no_time_left_forgets_the_key(self, cache, timeout):
        cache.set("a", "red")
        assert cache.put("a", "blue", timeout) <= NOW
        assert "a" not in cache

    @pytest.mark.parametrize(
        ("timeout", "expiry"),
        [
            (1, MIDNIGHT),
            (DAY / 2 - 0.001, MIDNIGHT),
            (DAY / 2, MIDNIGHT + DAY),
            (DAY / 2 + 1, MIDNIGHT + DAY),
            (7 * DAY, MIDNIGHT + 7 * DAY),
        ],
    )
    def test_expiry_is_the_next_multiple_strictly_after(self, cache, timeout, expiry):
        assert self.limited(GRANULARITY=DAY).put("a", "red", timeout) == expiry

    def test_seven_days_from_midnight_are_eight(self, cache, clock):
        clock.move_to(MIDNIGHT)
        daily = self.limited(GRANULARITY=DAY)
        assert daily.put("a", "red", 7 * DAY) == MIDNIGHT + 8 * DAY

    def test_the_default_timeout_is_rounded_too(self, cache, clock):
        self.make(TIMEOUT=60, OPTIONS={"GRANULARITY": DAY}).set("a", "red")
        clock.move_to(MIDNIGHT - 1)
        assert cache.get("a") == "red"
        clock.move_to(MIDNIGHT)
        assert cache.get("a") is None

    def test_every_way_to_set_an_expiry_is_rounded(self, cache):
        daily = self.limited(GRANULARITY=DAY)
        daily.set("set", 1, 5)
        daily.add("add", 1, 10)
        daily.get_or_set("get_or_set", 1, 15)
        daily.set_many({"set_many": 1, "touch": 1}, 20)
        daily.touch("touch", DAY)
        assert_tally(cache, (1, MIDNIGHT, False, 4), (1, MIDNIGHT + DAY, False, 1))

    def test_granularity_leaves_none_alone(self, cache):
        daily = self.limited(GRANULARITY=DAY)
        assert daily.put("a", "red", None) is None
        daily.touch("a", None)
        assert_tally(daily, ("red", None, False, 1))

    @pytest.mark.parametrize("timeout", [0, -1, -DAY])
    def test_granularity_leaves_a_past_time_alone(self, cache, timeout):
        daily = self.limited(GRANULARITY=DAY)
        daily.set_many({"a": "red", "b": "red"})
        assert daily.put("a", "red", timeout) <= NOW
        assert daily.touch("b", timeout) is True
        assert daily.add("c", "red", timeout) is True
        assert_tally(daily)

    # MAX_ENTRIES

    def test_a_new_key_is_refused_when_full(self, cache):
        full = self.limited(MAX_ENTRIES=2)
        full.set_many({"a": "red", "b": "red"})
        with pytest.raises(CacheFull):
            full.set("c", "red")
        with pytest.raises(CacheFull):
            full.put("c", "red")
        assert "c" not in full

    def test_nothing_is_culled_when_full(self, cache):
        full = self.limited(MAX_ENTRIES=20)
        assert full.set_many(dict.fromkeys([*KEYS, "more"], "red"), 10) == ["more"]
        assert_tally(full, ("red", NOW + 10, False, 20))
        assert full.get_many(KEYS) == dict.fromkeys(KEYS, "red")

    def test_with_room_for_none_every_key_is_refused(self, cache):
        with pytest.raises(CacheFull):
            self.limited(MAX_ENTRIES=0).set("a", "red")

    def test_a_key_that_is_there_can_be_set_when_full(self, cache):
        full = self.limited(MAX_ENTRIES=1)
        full.set("a", "red", 10)
        full.set("a", "blue", 20)
        assert_tally(full, ("blue", NOW + 20, True, 1))

    def test_a_key_that_is_there_can_be_touched_when_full(self, cache):
        full = self.limited(MAX_ENTRIES=1)
        full.set("a", "red", 10)
        assert full.touch("a", 20) is True
        assert_tally(full, ("red", NOW + 20, False, 1))

    def test_a_key_that_is_there_can_be_incremented_when_full(self, cache):
        full = self.limited(MAX_ENTRIES=1)
        full.set("n", 1)
        assert full.incr("n") == 2
        assert full.decr("n", 2) == 0

    def test_a_key_that_is_there_can_change_its_version_when_full(self, cache):
        full = self.limited(MAX_ENTRIES=1)
        full.set("a", "red")
        assert full.incr_version("a") == 2
        assert full.get("a", version=2) == "red"

    def test_set_many_returns_the_keys_refused_and_stores_the_rest(self, cache):
        full = self.limited(MAX_ENTRIES=2)
        full.set("a", "red")
        assert full.set_many({"b": "blue", "c": "blue", "a": "blue", "d": "blue"}) == ["c", "d"]
        assert full.get_many("abcd") == {"a": "blue", "b": "blue"}

    def test_aset_many_does_as_set_many(self, cache):
        full = self.limited(MAX_ENTRIES=1)
        assert async_to_sync(full.aset_many)({"a": "red", "b": "red"}) == ["b"]

    def test_add_when_full(self, cache):
        full = self.limited(MAX_ENTRIES=1)
        full.set("a", "red")
        assert full.add("a", "blue") is False
        with pytest.raises(CacheFull):
            full.add("b", "red")

    def test_get_or_set_when_full(self, cache):
        full = self.limited(MAX_ENTRIES=1)
        full.set("a", "red")
        assert full.get_or_set("a", "blue") == "red"
        with pytest.raises(CacheFull):
            full.get_or_set("b", "red")

    def test_a_new_key_with_no_time_left_is_not_refused_when_full(self, cache):
        full = self.limited(MAX_ENTRIES=1)
        full.set("a", "red")
        assert full.set("b", "red", 0) is None
        assert full.get_many("ab") == {"a": "red"}

    def test_there_is_room_after_a_delete(self, cache):
        full = self.limited(MAX_ENTRIES=1)
        full.set("a", "red")
        full.delete("a")
        full.set("b", "red")
        assert full.get("b") == "red"

    def test_there_is_room_after_an_expiry(self, cache, clock):
        full = self.limited(MAX_ENTRIES=1)
        full.set("a", "red", 10)
        clock.shift(10)
        full.set("b", "red")
        assert full.get("b") == "red"

    def test_there_is_room_after_clear(self, cache):
        full = self.limited(MAX_ENTRIES=1)
        full.set("a", "red")
        full.clear()
        full.set("b", "red")
        assert full.get("b") == "red"

    def test_locations_are_full_apart(self, cache):
        self.limited(MAX_ENTRIES=1).set("a", "red")
        other = self.make(self.other_location, OPTIONS={"MAX_ENTRIES": 1})
        other.set("b", "red")
        assert other.get("b") == "red"

    # MAX_VALUES

    def test_a_further_value_is_refused(self, cache):
        few = self.limited(MAX_VALUES=2)
        few.set_many({"a": "red", "b": "blue"}, 10)
        with pytest.raises(TooManyValues):
            few.set("c", "green")
        assert_tally(few, ("red", NOW + 10, False, 1), ("blue", NOW + 10, False, 1))

    def test_what_was_there_before_a_refusal_is_still_there(self, cache):
        few = self.limited(MAX_VALUES=2)
        few.set_many({"a": "red", "b": "red", "c": "blue"}, 10)
        with pytest.raises(TooManyValues):
            few.put("a", "green", 20)
        assert few.get("a") == "red"
        assert_tally(few, ("red", NOW + 10, False, 2), ("blue", NOW + 10, False, 1))

    @pytest.mark.parametrize("method", ["set", "put", "add", "get_or_set"])
    def test_a_live_value_fits(self, cache, method):
        few = self.limited(MAX_VALUES=1)
        few.set("a", "red")
        getattr(few, method)("b", "red", None)
        assert few.get("b") == "red"

    @pytest.mark.parametrize("method", ["set", "put", "add", "get_or_set"])
    def test_none_fits(self, cache, method):
        few = self.limited(MAX_VALUES=1)
        few.set_many({"a": "red", "b": "red"})
        getattr(few, method)("b" if method in ("set", "put") else "c", None, 10)
        assert (None, NOW + 10, False, 1) in few.tally()

    def test_none_is_not_counted(self, cache):
        few = self.limited(MAX_VALUES=1)
        few.set("a", None)
        few.set("b", "red")
        assert few.get("b") == "red"

    def test_with_room_for_no_value_only_none_fits(self, cache):
        none = self.limited(MAX_VALUES=0)
        none.set("a", None)
        with pytest.raises(TooManyValues):
            none.set("a", "red")
        assert none.has_key("a") is True

    def test_the_only_holder_of_a_value_may_change_it(self, cache):
        few = self.limited(MAX_VALUES=2)
        few.set_many({"a": "red", "b": "blue"}, 10)
        few.set("a", "green", 10)
        assert_tally(few, ("green", NOW + 10, False, 1), ("blue", NOW + 10, False, 1))

    def test_one_of_two_holders_of_a_value_may_not_change_it(self, cache):
        few = self.limited(MAX_VALUES=1)
        few.set("a", "red", 10)
        few.set("b", "red", 20)
        with pytest.raises(TooManyValues):
            few.set("a", "green", 10)

    def test_a_key_that_holds_none_makes_no_room(self, cache):
        few = self.limited(MAX_VALUES=1)
        few.set_many({"a": None, "b": "red"})
        with pytest.raises(TooManyValues):
            few.set("a", "green")

    def test_a_value_counts_once_whatever_its_expiries(self, cache):
        few = self.limited(MAX_VALUES=2)
        for timeout, key in enumerate(KEYS, start=1):
            few.set(key, "red", timeout)
        few.set("more", "blue")
        assert few.get("more") == "blue"

    def test_a_value_is_live_until_its_last_key_expires(self, cache, clock):
        few = self.limited(MAX_VALUES=1)
        few.set_many({"a": "red", "b": "red"}, 10)
        few.set_many({"d": "red", "e": "red"}, 20)
        clock.shift(10)
        with pytest.raises(TooManyValues):
            few.set("c", "green")
        clock.shift(10)
        few.set("c", "green")
        assert few.get("c") == "green"

    def test_there_is_room_for_a_value_after_a_delete(self, cache):
        few = self.limited(MAX_VALUES=1)
        few.set("a", "red")
        few.delete("a")
        few.set("b", "green")
        assert few.get("b") == "green"

    def test_incr_to_a_further_value_is_refused_and_changes_nothing(self, cache):
        few = self.limited(MAX_VALUES=1)
        few.set_many({"m": 1, "n": 1})
        with pytest.raises(TooManyValues):
            few.incr("n")
        assert few.get_many("mn") == {"m": 1, "n": 1}

    def test_set_many_returns_the_keys_of_refused_values(self, cache):
        few = self.limited(MAX_VALUES=1)
        assert few.set_many({"a": "red", "b": "blue", "c": "red", "d": None}) == ["b"]
        assert few.get_many("abcd") == {"a": "red", "c": "red", "d": None}

    def test_add_of_a_further_value(self, cache):
        few = self.limited(MAX_VALUES=1)
        few.set("a", "red")
        assert few.add("a", "blue") is False
        with pytest.raises(TooManyValues):
            few.add("b", "blue")
        assert "b" not in few

    # Since, clear, free_expired

    def test_since_is_when_counting_began(self, cache, clock):
        cache.clear()
        clock.shift(10)
        cache.set("a", "red")
        assert cache.since == NOW
        assert self.make().since == NOW

    def test_clear_begins_anew(self, cache, clock):
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
        assert cache.free_expired() is None
        assert cache.get_many("abc") == {"c": "red"}
        assert_tally(cache, ("red", NOW + 20, False, 1))

    # OPTIONS

    @pytest.mark.parametrize("option", ["GRANULARITY", "MAX_ENTRIES", "MAX_VALUES"])
    @pytest.mark.parametrize("value", [-1, 1.5, 86400.0, "100", "", None, True, [1]])
    def test_an_option_that_is_no_whole_number_is_refused(self, option, value):
        with pytest.raises(ImproperlyConfigured, match=option):
            self.limited(**{option: value})

    def test_an_option_that_is_misspelt_is_refused(self):
        with pytest.raises(ImproperlyConfigured, match="MAX_ENTRYS"):
            self.limited(MAX_ENTRYS=1)

    # The async forms

    def test_aincr_leaves_the_expiry_and_renewed(self, cache):
        cache.set("n", 1, 10)
        assert async_to_sync(cache.aincr)("n") == 2
        assert async_to_sync(cache.adecr)("n") == 1
        assert_tally(cache, (1, NOW + 10, False, 1))

    # Totals, changes and history

    def test_the_totals_are_the_sums_of_the_tally(self, cache, clock):
        source = random.Random(7)
        for _ in range(300):
            key = source.choice(KEYS)
            match source.randrange(6):
                case 0:
                    cache.delete(key)
                case 1:
                    cache.touch(key, source.choice([5, 9, None]))
                case 2:
                    clock.shift(1)
                case _:
                    cache.set(key, source.choice(["a", "b", None]), source.choice([3, 7, None]))
            assert in_any_order(cache.totals()) == in_any_order(Totals.of(cache.tally()))
            for choose in (none_but_a, none_but_none, nothing):
                some = Totals.of(cache.tally(), choose)
                assert in_any_order(cache.totals(choose)) == in_any_order(some)

    @pytest.mark.parametrize(
        "change",
        [
            lambda cache: cache.set("new", 1, 10),
            lambda cache: cache.set("a", "red", 20),
            lambda cache: cache.set("a", "blue", 10),
            lambda cache: cache.touch("a", 20),
            lambda cache: cache.delete("a"),
            lambda cache: cache.clear(),
        ],
    )
    def test_a_change_changes_the_number_of_changes(self, cache, change):
        cache.set("a", "red", 10)
        before = cache.changes()
        change(cache)
        assert cache.changes() != before

    def test_expiry_is_a_change(self, cache, clock):
        cache.set("a", "red", 10)
        before = cache.changes()
        clock.shift(10)
        assert cache.changes() != before

    def test_reading_is_no_change(self, cache):
        cache.set("a", "red", 10)
        before = cache.changes()
        cache.get("a")
        cache.tally()
        cache.history()
        assert cache.changes() == before

    def test_the_closing_tally_is_set_aside_before_anything_changes(self, clock):
        cache = self.limited(GRANULARITY=DAY, HISTORY=2, SUMMARY=f"{__name__}.sizes")
        cache.set("a", "red", 1)
        clock.shift(DAY)
        start = int(NOW // DAY) * DAY
        cache.set("a", "blue", 1)
        assert cache.history() == {start: {"red": 1}}
        for _ in range(3):
            clock.shift(DAY)
            cache.set("a", "blue", 1)
        assert list(cache.history()) == [start + 2 * DAY, start + 3 * DAY]
        cache.clear()
        assert cache.history() == {}

    # A clock that goes back

    def test_a_key_set_under_a_later_clock_ends_as_if_it_were_set_now(self, cache, clock):
        daily = self.limited(GRANULARITY=DAY)
        clock.shift(30 * DAY)
        daily.set("a", "red", 7 * DAY)
        clock.shift(-30 * DAY)
        assert_tally(cache, ("red", MIDNIGHT + 7 * DAY, False, 1))
        clock.move_to(MIDNIGHT + 7 * DAY - 1)
        assert daily.get("a") == "red"
        clock.move_to(MIDNIGHT + 7 * DAY)
        assert daily.get("a") is None
        assert_tally(cache)

    def test_keys_of_both_clocks_are_counted_together(self, cache, clock):
        daily = self.limited(GRANULARITY=DAY)
        daily.set("a", "red", 7 * DAY)
        clock.shift(2 * DAY)
        daily.set("b", "red", 7 * DAY)
        daily.set("c", "blue", 7 * DAY)
        daily.set("d", "red", None)
        clock.shift(-2 * DAY)
        end = MIDNIGHT + 7 * DAY
        assert_tally(
            cache, ("red", end, False, 2), ("blue", end, False, 1), ("red", None, False, 1)
        )
        assert in_any_order(daily.totals()) == in_any_order(Totals.of(daily.tally()))
        assert daily.delete("b")
        assert_tally(
            cache, ("red", end, False, 1), ("blue", end, False, 1), ("red", None, False, 1)
        )

    def test_an_hour_back_within_the_day_changes_nothing(self, cache, clock):
        daily = self.limited(GRANULARITY=DAY)
        daily.set("a", "red", 7 * DAY)
        before = cache.tally()
        clock.shift(-3600)
        assert cache.tally() == before

    def test_counting_never_began_after_now(self, clock):
        daily = self.limited(GRANULARITY=DAY)
        clock.shift(-30 * DAY)
        daily.set("a", "red", 1)
        assert daily.since == NOW - 30 * DAY

    def test_a_day_that_is_not_over_any_more_is_not_closed(self, clock):
        cache = self.limited(GRANULARITY=DAY, HISTORY=90, SUMMARY=f"{__name__}.sizes")
        cache.set("a", "red", 7 * DAY)
        clock.shift(30 * DAY)
        cache.set("a", "blue", 7 * DAY)
        clock.shift(DAY)
        assert len(cache.history()) == 2
        clock.shift(-31 * DAY)
        assert cache.history() == {}
        clock.shift(DAY)
        assert list(cache.history()) == [int(NOW // DAY) * DAY]


def sizes(totals: Totals, start: int) -> dict[Any, int]:
    """A summary."""
    assert start % DAY == 0
    return dict(totals.values)
