"""How several permissions become one: the recorded cases, and what always holds."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.upgrade.merge_permissions import EVERYTHING, LegacyGrant, free, later_wins, merge

Rule = dict[str, Any] | None

A, B = {"status": {"_eq": "a"}}, {"title": {"_eq": "b"}}
AND_A, AND_B = {"_and": [A]}, {"_and": [B]}
A_OR_B = {"_or": [A, B]}

RULES = [  # rules in order, what they become
    ("null and a rule", [None, A], {"_or": [A]}),
    ("a rule and null", [A, None], A),
    ("an _or and an empty one", [A_OR_B, {}], {"_or": [A, B, {}]}),
    ("an empty one and a rule", [{}, A], {}),
    ("a rule and an empty one", [A, {}], {}),
    ("two that hold an _and", [AND_A, AND_B], {"_or": [AND_A, AND_B]}),
    ("two that are equal", [A, A], {"_or": [A, A]}),
    ("three, the last of them empty", [A, B, {}], {"_or": [A, B, {}]}),
    ("three, the first of them empty", [{}, A, B], {}),
    ("null and an empty one", [None, {}], {}),
    ("two nulls", [None, None], None),
    ("an _or with something beside it, and a rule", [{**A_OR_B, **A}, B], {"_or": [{**A_OR_B, **A}, B]}),
]
FIELDS = [
    ("null and a list", [None, "id,title"], "id,title"),
    ("a list and null", ["id,title", None], "id,title"),
    ("all and a list", ["*", "id"], "*"),
    ("a list and all", ["id", "*"], "*"),
    ("an empty list and a list", ["", "id"], "id"),
    ("two nulls", [None, None], None),
    ("null and an empty list", [None, ""], ""),
    ("two that overlap", ["title,id", "id,body"], "title,id,body"),
]
PRESETS = [
    ("null and presets", [None, {"a": 1}], {"a": 1}),
    ("presets and null", [{"a": 1}, None], {"a": 1}),
    (
        "nested ones",
        [{"a": {"x": 1, "y": [1, 2, 3]}, "b": 1}, {"a": {"z": 2, "y": [9]}, "b": None}],
        {"a": {"x": 1, "y": [9, 2, 3], "z": 2}, "b": None},
    ),
    ("a longer list after a shorter", [{"a": [1]}, {"a": [{"b": 2}, 3]}], {"a": [{"b": 2}, 3]}),
    ("an object after a list", [{"a": [1]}, {"a": {"b": 2}}], {"a": {"b": 2}}),
]


def cases(table):
    return pytest.mark.parametrize(("parts", "whole"), [row[1:] for row in table], ids=[row[0] for row in table])


@cases(RULES)
def test_rules_become_one_as_recorded(parts, whole):
    merged = merge("read", [LegacyGrant(permissions=part, validation=part) for part in parts]).grant

    assert (merged.permissions, merged.validation) == (whole, whole)


@cases(FIELDS)
def test_fields_become_one_list_as_recorded(parts, whole):
    assert merge("read", [LegacyGrant(fields=part) for part in parts]).grant.fields == whole


@cases(PRESETS)
def test_presets_are_laid_over_one_another_as_recorded(parts, whole):
    assert merge("read", [LegacyGrant(presets=part) for part in parts]).grant.presets == whole


VERDICTS = [  # action, grants, narrows, widens
    ("read", [LegacyGrant(None, fields="id"), LegacyGrant(A, fields="id")], True, False),
    ("read", [LegacyGrant(A, fields="id"), LegacyGrant(None, fields="id")], True, False),
    ("read", [LegacyGrant(A_OR_B, fields="id"), LegacyGrant({}, fields="id")], True, False),
    ("read", [LegacyGrant({"_and": []}, fields="id"), LegacyGrant(A, fields="id")], True, False),
    ("update", [LegacyGrant(A, None, fields="id"), LegacyGrant(A, B, fields="id")], True, False),
    ("read", [LegacyGrant(A, fields="id"), LegacyGrant({}, fields="id")], False, False),
    ("read", [LegacyGrant(A, fields="id"), LegacyGrant(B, fields="id")], False, False),
    ("read", [LegacyGrant(A, fields="id"), LegacyGrant(A, fields="title")], False, False),
    ("read", [LegacyGrant({}, fields="*"), LegacyGrant(A, fields="title")], False, False),
    ("read", [LegacyGrant({}, fields="id"), LegacyGrant(None, fields="title")], False, False),
    ("read", [LegacyGrant(A, fields="id"), LegacyGrant(B, fields="title")], False, True),
    ("read", [LegacyGrant({}, fields="id"), LegacyGrant(A, fields="id,title")], False, True),
    (
        "read",
        [LegacyGrant({"a": {"_eq": True}}, fields="id"), LegacyGrant({"a": {"_eq": 1}}, fields="title")],
        False,
        True,
    ),
    ("update", [LegacyGrant(A, A, fields="id"), LegacyGrant(B, B, fields="id")], False, True),
    ("delete", [LegacyGrant(A, fields="id"), LegacyGrant(B, fields="title")], False, False),
    ("share", [LegacyGrant({}, fields=None), LegacyGrant(A, fields="*")], False, False),
]


@pytest.mark.parametrize(("action", "grants", "narrows", "widens"), VERDICTS)
def test_it_is_told_where_rights_become_fewer_or_more(action, grants, narrows, widens):
    merged = merge(action, grants)

    assert (merged.narrows, merged.widens) == (narrows, widens)


# A world small enough to try everything in: a rule is a set of rows by their number, and so is a validation by values.
rules: st.SearchStrategy[Rule] = st.one_of(
    st.none(),
    st.just({}),
    st.sampled_from([1, 2, 3]).map(lambda number: {"row": number}),
    st.lists(st.sampled_from([{"row": 1}, {"row": 2}, {"row": 3}]), min_size=1, max_size=3).map(lambda of: {"_or": of}),
)
fields = st.one_of(st.none(), st.sampled_from(["", "*", "a", "b", "a,b", "b,c"]))
grants = st.builds(LegacyGrant, rules, rules, st.none(), fields)
ROWS, NAMES = (1, 2, 3, 4), ("a", "b", "c", "d")


def reached(rule, *, overlooked=False):
    """The rows a rule allows; `overlooked` is whether an empty one within an _or is passed over, as it may be."""
    if free(rule):
        return set(ROWS)
    if "_or" in rule:
        parts = [part for part in rule["_or"] if not (overlooked and part == EVERYTHING)]
        return set().union(*(reached(part, overlooked=overlooked) for part in parts))
    return {rule["row"]}


def named(list_):
    return set(NAMES) if "*" in (list_ or "").split(",") else {name for name in (list_ or "").split(",") if name}


def allowed(grant, *, overlooked=False):
    rows = reached(grant.permissions, overlooked=overlooked)
    values = reached(grant.validation, overlooked=overlooked)
    return {(row, value, name) for row in rows for value in values for name in named(grant.fields)}


@given(grants)
def test_one_alone_stays_as_it_is(grant):
    merged = merge("read", [grant])

    assert (merged.grant, merged.narrows, merged.widens) == (grant, False, False)


@given(st.lists(grants, min_size=2, max_size=4))
def test_whatever_becomes_fewer_or_more_is_told(several):
    merged = merge("update", several)
    together = set().union(*map(allowed, several))

    assert merged.narrows or allowed(merged.grant, overlooked=True) >= together
    assert merged.widens or allowed(merged.grant) <= together


@given(st.lists(grants, min_size=2, max_size=4))
def test_every_rule_that_isnt_null_is_allowed_afterwards_and_no_row_that_none_allowed(several):
    merged = merge("update", several).grant
    said = [grant.permissions for grant in several if grant.permissions is not None]

    assert reached(merged.permissions) == (set().union(*map(reached, said)) if said else set(ROWS))
    assert named(merged.fields) == set().union(*(named(grant.fields) for grant in several))


@given(st.lists(grants, min_size=2, max_size=3))
def test_the_order_of_policies_changes_the_spelling_but_not_what_is_allowed(several):
    assert len({frozenset(allowed(merge("update", list(order)).grant)) for order in permutations(several)}) == 1


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
presets = st.none() | st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@given(presets, presets, presets)
def test_of_presets_none_is_forgotten_and_the_last_is_kept(first, second, third):
    ours = later_wins(later_wins(first, second), third)

    assert later_wins(first, None) == first == later_wins(None, first)
    assert ours is None or set(ours) == set(first or ()) | set(second or ()) | set(third or ())
    assert all(ours[key] == value for key, value in (third or {}).items() if not isinstance(value, dict | list))
