"""The LRU cache: what it retains and what it evicts."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.cache import LRUCache, entry_weight


def test_the_least_recently_used_entry_is_evicted():
    cache = LRUCache[int, str](2)
    cache.set(1, "one")
    cache.set(2, "two")
    cache.get(1, None)
    cache.set(3, "three")

    assert [cache.get(number, None) for number in (1, 2, 3)] == ["one", None, "three"]
    assert len(cache) == 2


def test_setting_a_key_again_replaces_its_value():
    cache = LRUCache[int, str](2)
    for number, word in ((1, "old"), (2, "two"), (1, "new"), (3, "three")):
        cache.set(number, word)

    assert [cache.get(number, "gone") for number in (1, 2)] == ["new", "gone"]


@given(st.integers(2, 9), st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=60))
def test_the_most_recent_half_is_always_retained(max_weight, steps):
    cache, used = LRUCache[int, str](max_weight), list[int]()
    for is_set, number in steps:
        if is_set:
            cache.set(number, str(number))
        if is_set or cache.get(number, None):
            used = [*(other for other in used if other != number), number]
        assert len(cache) <= max_weight

    recent = used[-(max_weight // 2) :]
    assert [cache.get(number, None) for number in recent] == [str(number) for number in recent]


@given(st.integers(2, 9), st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4)), max_size=60))
def test_the_total_weight_stays_below_the_maximum(max_weight, steps):
    cache, weights = LRUCache[int, str](max_weight), dict[int, int]()
    for number, weight in steps:
        if cache.get(number, None) is None:
            weights[number] = min(weight, max_weight // 2)
            cache.set(number, str(number), weights[number])
        assert sum(weights[key] for key in (*cache._young, *cache._old)) <= max_weight
        assert cache.get(number, None) == str(number)


def test_an_entry_heavier_than_the_cache_is_retained_until_the_next_one():
    cache = LRUCache[int, str](4)
    cache.set(1, "one", 100)

    assert cache.get(1, None) == "one"

    cache.set(2, "two")
    cache.set(3, "three", 2)

    assert [cache.get(number, None) for number in (1, 2, 3)] == [None, "two", "three"]


def test_a_text_weighs_one_plus_one_per_two_thousand_characters():
    assert [entry_weight(length) for length in (0, 1, 1_999, 2_000, 20_000)] == [1, 1, 1, 2, 11]


def test_a_discarded_key_is_absent():
    cache = LRUCache[int, str](2)
    cache.set(1, "one")
    cache.discard(1)
    cache.discard(2)

    assert cache.get(1, None) is None
