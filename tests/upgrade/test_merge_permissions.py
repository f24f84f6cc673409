"""Permissions are merged as Directus merges them in the recorded cases, and with properties that always hold."""

from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.upgrade.merge_permissions import EMPTY_RULE, LegacyGrant, is_unrestricted, merge, merge_presets

Rule = dict[str, Any] | None

A, B = {"status": {"_eq": "a"}}, {"title": {"_eq": "b"}}
AND_A, AND_B = {"_and": [A]}, {"_and": [B]}
A_OR_B = {"_or": [A, B]}

RULES = [  # rules in order, merged rule
    ("null and a rule", [None, A], {"_or": [A]}),
    ("a rule and null", [A, None], A),
    ("an _or and an empty rule", [A_OR_B, {}], {"_or": [A, B, {}]}),
    ("an empty rule and a rule", [{}, A], {}),
    ("a rule and an empty rule", [A, {}], {}),
    ("two with an _and", [AND_A, AND_B], {"_or": [AND_A, AND_B]}),
    ("two equal rules", [A, A], {"_or": [A, A]}),
    ("three rules, the last one empty", [A, B, {}], {"_or": [A, B, {}]}),
    ("three rules, the first one empty", [{}, A, B], {}),
    ("null and an empty rule", [None, {}], {}),
    ("two nulls", [None, None], None),
    ("an _or with another key, and a rule", [{**A_OR_B, **A}, B], {"_or": [{**A_OR_B, **A}, B]}),
]
FIELDS = [
    ("null and a list", [None, "id,title"], "id,title"),
    ("a list and null", ["id,title", None], "id,title"),
    ("all and a list", ["*", "id"], "*"),
    ("a list and all", ["id", "*"], "*"),
    ("an empty list and a list", ["", "id"], "id"),
    ("two nulls", [None, None], None),
    ("null and an empty list", [None, ""], ""),
    ("overlapping lists", ["title,id", "id,body"], "title,id,body"),
]
PRESETS = [
    ("null and presets", [None, {"a": 1}], {"a": 1}),
    ("presets and null", [{"a": 1}, None], {"a": 1}),
    (
        "nested presets",
        [{"a": {"x": 1, "y": [1, 2, 3]}, "b": 1}, {"a": {"z": 2, "y": [9]}, "b": None}],
        {"a": {"x": 1, "y": [9, 2, 3], "z": 2}, "b": None},
    ),
    ("a longer list after a shorter", [{"a": [1]}, {"a": [{"b": 2}, 3]}], {"a": [{"b": 2}, 3]}),
    ("an object after a list", [{"a": [1]}, {"a": {"b": 2}}], {"a": {"b": 2}}),
]


def cases(table):
    return pytest.mark.parametrize(("parts", "expected"), [row[1:] for row in table], ids=[row[0] for row in table])


@cases(RULES)
def test_rules_are_merged_as_recorded(parts, expected):
    merged = merge("read", [LegacyGrant(permissions=part, validation=part) for part in parts]).grant

    assert (merged.permissions, merged.validation) == (expected, expected)


@cases(FIELDS)
def test_field_lists_are_merged_as_recorded(parts, expected):
    assert merge("read", [LegacyGrant(fields=part) for part in parts]).grant.fields == expected


@cases(PRESETS)
def test_presets_are_merged_as_recorded(parts, expected):
    assert merge("read", [LegacyGrant(presets=part) for part in parts]).grant.presets == expected


ACCESS_CHANGES = [  # action, grants, narrows, widens
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


@pytest.mark.parametrize(("action", "grants", "narrows", "widens"), ACCESS_CHANGES)
def test_a_merge_reports_whether_it_narrows_or_widens_access(action, grants, narrows, widens):
    merged = merge(action, grants)

    assert (merged.narrows, merged.widens) == (narrows, widens)


# A model small enough to try everything: a rule is a set of row numbers, and a validation a set of value numbers.
rules: st.SearchStrategy[Rule] = st.one_of(
    st.none(),
    st.just({}),
    st.sampled_from([1, 2, 3]).map(lambda number: {"row": number}),
    st.lists(st.sampled_from([{"row": 1}, {"row": 2}, {"row": 3}]), min_size=1, max_size=3).map(
        lambda parts: {"_or": parts}
    ),
)
fields = st.one_of(st.none(), st.sampled_from(["", "*", "a", "b", "a,b", "b,c"]))
grants = st.builds(LegacyGrant, rules, rules, st.none(), fields)
ROWS, NAMES = (1, 2, 3, 4), ("a", "b", "c", "d")


def matching(rule, *, ignore_empty=False):
    """Return the rows a rule allows. Directus 10 may or may not ignore an empty rule within an _or."""
    if is_unrestricted(rule):
        return set(ROWS)
    if "_or" in rule:
        parts = [part for part in rule["_or"] if not (ignore_empty and part == EMPTY_RULE)]
        return set().union(*(matching(part, ignore_empty=ignore_empty) for part in parts))
    return {rule["row"]}


def field_names(fields):
    names = (fields or "").split(",")
    return set(NAMES) if "*" in names else {name for name in names if name}


def allowed(grant, *, ignore_empty=False):
    rows = matching(grant.permissions, ignore_empty=ignore_empty)
    values = matching(grant.validation, ignore_empty=ignore_empty)
    return {(row, value, name) for row in rows for value in values for name in field_names(grant.fields)}


@given(grants)
def test_a_single_permission_is_unchanged(grant):
    merged = merge("read", [grant])

    assert (merged.grant, merged.narrows, merged.widens) == (grant, False, False)


@given(st.lists(grants, min_size=2, max_size=4))
def test_every_change_of_access_is_reported(several):
    merged = merge("update", several)
    together = set().union(*map(allowed, several))

    assert merged.narrows or allowed(merged.grant, ignore_empty=True) >= together
    assert merged.widens or allowed(merged.grant) <= together


@given(st.lists(grants, min_size=2, max_size=4))
def test_the_merged_rule_allows_the_rows_of_all_rules_that_are_not_null(several):
    merged = merge("update", several).grant
    rules = [grant.permissions for grant in several if grant.permissions is not None]

    assert matching(merged.permissions) == (set().union(*map(matching, rules)) if rules else set(ROWS))
    assert field_names(merged.fields) == set().union(*(field_names(grant.fields) for grant in several))


@given(st.lists(grants, min_size=2, max_size=3))
def test_the_order_of_policies_does_not_change_what_is_allowed(several):
    assert len({frozenset(allowed(merge("update", list(order)).grant)) for order in permutations(several)}) == 1


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
presets = st.none() | st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@given(presets, presets, presets)
def test_merged_presets_have_every_key_and_the_last_value(first, second, third):
    merged = merge_presets(merge_presets(first, second), third)

    assert merge_presets(first, None) == first == merge_presets(None, first)
    assert merged is None or set(merged) == set(first or ()) | set(second or ()) | set(third or ())
    assert all(merged[key] == value for key, value in (third or {}).items() if not isinstance(value, dict | list))
