"""For any order of subscriptions and changes, the counted rows are those that are remembered, and never too many."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import LimitExceeded
from app.flows.realtime.row_budget import SPARE_KEYS, KeyTable, RowBudget

pytestmark = pytest.mark.one_database

MAX_ROWS, MAX_VIEW_ROWS = 40, 20
OWNERS, VIEWS = ("ada", "vi", "ip 192.0.2.1"), range(8)
ACTIONS = st.tuples(
    st.sampled_from(["attach", "attach", "detach", "resize"]),
    st.sampled_from(VIEWS),
    st.sampled_from(OWNERS),
    st.integers(0, MAX_VIEW_ROWS),
)


class Model:
    """What is remembered: the rows of each view, and who has subscriptions to it, one entry for each."""

    def __init__(self):
        self.rows, self.subscriptions = dict[int, int](), Counter[tuple[int, str]]()

    @property
    def total(self):
        return sum(self.rows.values())

    def of_owner(self, owner):
        return sum(self.rows[view] for view, other in self.subscriptions if other == owner)

    def remove(self, view, owner, count):
        self.subscriptions -= Counter({(view, owner): count})
        if not any(other == view for other, _ in self.subscriptions):
            self.rows.pop(view, None)


@given(actions=st.lists(ACTIONS, max_size=60))
def test_counted_rows_are_the_remembered_ones_and_never_too_many(actions):
    budget, model = RowBudget(MAX_ROWS, MAX_VIEW_ROWS), Model()
    for action, view, owner, rows in actions:
        if action == "attach":
            attach(budget, model, view, owner, rows)
        elif action == "detach" and model.subscriptions[view, owner]:
            budget.detach(view, owner)
            model.remove(view, owner, 1)
        elif action == "resize" and view in model.rows:
            resize(budget, model, view, rows)
        assert budget.total == model.total <= MAX_ROWS
        assert budget._by_owner == {name: count for name in OWNERS if (count := model.of_owner(name))}
        assert max(budget._by_owner.values(), default=0) <= MAX_VIEW_ROWS
        assert budget._holdings.keys() == model.rows.keys()


def attach(budget, model, view, owner, rows):
    rows = model.rows.get(view, rows)
    added = 0 if view in model.rows else rows
    added_to_owner = 0 if model.subscriptions[view, owner] else rows
    has_room = model.total + added <= MAX_ROWS and model.of_owner(owner) + added_to_owner <= MAX_VIEW_ROWS
    try:
        budget.attach(view, owner, rows)
    except LimitExceeded:
        assert not has_room
    else:
        assert has_room
        model.rows[view] = rows
        model.subscriptions[view, owner] += 1


def resize(budget, model, view, rows):
    """Let a view have another number of rows, and those leave it who have to."""
    for owner in budget.resize(view, rows):
        for _ in range(model.subscriptions[view, owner]):
            budget.detach(view, owner)
        model.remove(view, owner, model.subscriptions[view, owner])
    if view in model.rows:
        model.rows[view] = rows


@pytest.mark.parametrize(
    ("maximum", "of_view", "part"), [(1_000, 50, 100), (1_000, 300, 300), (100, 300, 100)], ids=["tenth", "view", "all"]
)
def test_an_owner_may_have_a_tenth_and_always_what_one_subscription_may_show(maximum, of_view, part):
    budget = RowBudget(maximum, of_view)
    budget.attach("view", "vi", part)

    with pytest.raises(LimitExceeded):
        budget.attach("other", "vi", 1)


def test_equal_keys_are_one_string_and_those_of_no_view_are_forgotten():
    table = KeyTable()
    first, second = (table.shared(str(b"key", "ascii")) for _ in range(2))
    for number in range(SPARE_KEYS + 1):
        table.shared(str(number))
    table.prune(0)

    assert first is second
    assert not table._keys
