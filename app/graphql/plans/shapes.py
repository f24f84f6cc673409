"""Shapes of requests: what remains of their values without the parts that other values may replace."""

import re
from collections.abc import Hashable, Mapping
from typing import Any

from app.core.bindings import Source, slot
from app.core.values import KEY_LENGTH
from app.graphql.plans.literals import NUMBER_VARIABLES, TEXT_VARIABLES, ExtractedLiterals
from app.query.filter import NULL_TEXTS

VALUE_PREFIX = "$"
"""Prefix of the sources of a client's values."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_TEXT = "text"
_TEXT_SOURCES, _NUMBER_SOURCES = (
    tuple(f"{VALUE_PREFIX}{name}" for name in names) for names in (TEXT_VARIABLES, NUMBER_VARIABLES)
)


def variable_shapes(
    values: Mapping[str, Any], single_use: frozenset[str], bindings: dict[Source, Any], max_items: int
) -> list[Hashable]:
    """Return the shapes of the variables' values, and add what may differ in them to `bindings`.

    The shape of a variable that is used more than once is its value. `single_use` names the others. The
    shape of a list of more than `max_items` items is its value too, so that its plan is made, and its items counted.
    """
    shapes: list[Hashable] = []
    for name, value in values.items():
        if name in single_use:
            shapes += (name, _value_shape(value, f"{VALUE_PREFIX}{name}", bindings, max_items))
        else:
            shapes += (name, "=", repr(value))
    return shapes


def literal_shapes(literals: ExtractedLiterals, bindings: dict[Source, Any]) -> list[Hashable]:
    """Return the shapes of literals, and add what may differ in them to `bindings`.

    Every extracted literal is used once. Only strings that are as long as a key have a shape: all others are alike.
    """
    shapes = list[Hashable]()
    for index, number in enumerate(literals.numbers):
        bindings[_NUMBER_SOURCES[index]] = number
    for index, text in enumerate(literals.texts):
        shape = _scalar_shape(text) if len(text) == KEY_LENGTH else _TEXT
        if shape is not None:
            bindings[_TEXT_SOURCES[index]] = text
        if shape is not _TEXT:
            shapes += (index, shape or repr(text))
    return shapes


def coercion_shape(value: Any) -> Hashable | None:
    """Return what coercion depends on in a value if it leaves all its strings as they are.

    If coercion returns one value unchanged, it returns every other value of the same shape unchanged. None for a value
    that contains anything but strings, booleans and nulls.
    """
    kind = type(value)
    if kind is str:
        return "text"
    if kind is bool or value is None:
        return repr(value)
    if kind is dict:
        shapes = [coercion_shape(inner) for inner in value.values()]
        return None if None in shapes else (*value, "{", *shapes)
    if kind is list:
        shapes = [coercion_shape(inner) for inner in value]
        return None if None in shapes else ("[", *shapes)
    return None


def _value_shape(value: Any, source: Source, bindings: dict[Source, Any], max_items: int) -> Hashable:
    if scalar := _scalar_shape(value):
        bindings[source] = value
        return scalar
    if isinstance(value, dict):
        return tuple((key, _value_shape(inner, f"{source}.{key}", bindings, max_items)) for key, inner in value.items())
    if isinstance(value, list) and len(value) <= max_items:
        shapes = {_scalar_shape(item) for item in value}
        if len(shapes) == 1 and (item_shape := shapes.pop()):
            bindings[source] = value
            return f"[{item_shape}]"
        return (
            "[]",
            *(_value_shape(item, f"{source}.{index}", bindings, max_items) for index, item in enumerate(value)),
        )
    return ("=", repr(value))


def _scalar_shape(value: Any) -> str | None:
    """Return the kind of a value that any other of its kind may replace; None if the value itself matters."""
    if type(value) is int:
        return "number" if 0 <= value < 2**31 else None
    if type(value) is not str or not value or value[0] == "$" or "," in value or value in NULL_TEXTS:
        return None
    return _TEXT if len(value) != KEY_LENGTH else "key" if _UUID.fullmatch(value) else None


def with_slots(value: Any, name: str, bindings: Mapping[Source, Any]) -> Any:
    """Return a variable's value with a Slot in place of every part that is in `bindings`."""

    def walk(value: Any, source: Source) -> Any:
        if source in bindings:
            return slot(value, source)
        if isinstance(value, dict):
            return {key: walk(inner, f"{source}.{key}") for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(item, f"{source}.{index}") for index, item in enumerate(value)]
        return value

    return walk(value, f"{VALUE_PREFIX}{name}")
