"""What is kept, and for how long."""

from hypothesis import given
from hypothesis import strategies as st

from app.core.cache import LRUCache, entry_weight


def test_the_last_ones_used_are_kept_and_the_others_go():
    kept = LRUCache[int, str](2)
    kept.set(1, "one")
    kept.set(2, "two")
    kept.get(1, None)
    kept.set(3, "three")

    assert [kept.get(number, None) for number in (1, 2, 3)] == ["one", None, "three"]
    assert len(kept) == 2


def test_what_is_kept_anew_is_new():
    kept = LRUCache[int, str](2)
    for number, word in ((1, "old"), (2, "two"), (1, "new"), (3, "three")):
        kept.set(number, word)

    assert [kept.get(number, "gone") for number in (1, 2)] == ["new", "gone"]


@given(st.integers(2, 9), st.lists(st.tuples(st.booleans(), st.integers(0, 12)), max_size=60))
def test_half_of_what_may_be_kept_is_for_certain(most, steps):
    kept, used = LRUCache[int, str](most), list[int]()
    for keeping, number in steps:
        if keeping:
            kept.set(number, str(number))
        if keeping or kept.get(number, None):
            used = [*(other for other in used if other != number), number]
        assert len(kept) <= most

    lately = used[-(most // 2) :]
    assert [kept.get(number, None) for number in lately] == [str(number) for number in lately]


@given(st.integers(2, 9), st.lists(st.tuples(st.integers(0, 12), st.integers(1, 4)), max_size=60))
def test_what_weighs_much_takes_the_place_of_others(most, steps):
    kept, weights = LRUCache[int, str](most), dict[int, int]()
    for number, heavy in steps:
        if kept.get(number, None) is None:
            weights[number] = min(heavy, most // 2)
            kept.set(number, str(number), weights[number])
        assert sum(weights[one] for one in (*kept._young, *kept._old)) <= most
        assert kept.get(number, None) == str(number)


def test_what_weighs_more_than_there_is_room_for_is_kept_until_the_next_comes():
    kept = LRUCache[int, str](4)
    kept.set(1, "one", 100)

    assert kept.get(1, None) == "one"

    kept.set(2, "two")
    kept.set(3, "three", 2)

    assert [kept.get(number, None) for number in (1, 2, 3)] == [None, "two", "three"]


def test_a_text_weighs_one_for_each_two_thousand_characters_begun():
    assert [entry_weight(length) for length in (0, 1, 1_999, 2_000, 20_000)] == [1, 1, 1, 2, 11]


def test_what_is_dropped_is_forgotten():
    kept = LRUCache[int, str](2)
    kept.set(1, "one")
    kept.discard(1)
    kept.discard(2)

    assert kept.get(1, None) is None
