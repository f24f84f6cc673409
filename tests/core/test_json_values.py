"""Counting the values of a JSON text agrees with counting those of the parsed value."""

import json

from hypothesis import given
from hypothesis import strategies as st

from app.core.json_values import has_too_many_values, json_size_problem

TEXTS = st.text(st.sampled_from('a,[]{}":\\ \n'), max_size=6)
VALUES = st.recursive(
    st.none() | st.integers() | TEXTS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXTS, children, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.integers(0, 12), st.sampled_from([None, 1]))
def test_a_text_has_too_many_values_exactly_if_its_value_has(value, max_values, indent):
    text = json.dumps(value, indent=indent).encode()

    assert has_too_many_values(text, max_values) == (json_size_problem(value, 100, max_values) is not None)
