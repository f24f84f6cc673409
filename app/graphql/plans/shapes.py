"""The forms of requests: what stays of one when every value that another may stand in for is taken out of it."""

import re
from collections.abc import Hashable, Mapping
from typing import Any

from app.core.bindings import Source, slot
from app.graphql.plans.literals import NUMBERS, TEXTS, ExtractedLiterals

VALUE = "$"
"""Begins the source of a value that a client gave."""

_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_KEY_LENGTH = 36
_TEXT = "text"
_TEXT_SOURCES, _NUMBER_SOURCES = (tuple(f"{VALUE}{name}" for name in names) for names in (TEXTS, NUMBERS))


def variable_shapes(values: Mapping[str, Any], once: frozenset[str], given: dict[Source, Any]) -> list[Hashable]:
    """The forms of variables' values; what in them may differ goes into `given`, if they stand `once` in the query."""
    forms: list[Hashable] = []
    for name, value in values.items():
        forms += (name, _form(value, f"{VALUE}{name}", given)) if name in once else (name, "=", repr(value))
    return forms


def literal_shapes(lifted: ExtractedLiterals, given: dict[Source, Any]) -> list[Hashable]:
    """The same of literals, which always stand once: told are only those whose length might make them keys."""
    forms = list[Hashable]()
    for place, number in enumerate(lifted.numbers):
        given[_NUMBER_SOURCES[place]] = number
    for place, text in enumerate(lifted.texts):
        form = _scalar(text) if len(text) == _KEY_LENGTH else _TEXT
        if form is not None:
            given[_TEXT_SOURCES[place]] = text
        if form is not _TEXT:
            forms += (place, form or repr(text))
    return forms


def coercion_shape(value: Any) -> Hashable | None:
    """The form of a value in which any text may be another: what coercion makes of one it makes of all of that form.

    So it is where coercion leaves texts as they are. None for a value with anything in it but texts, flags and nulls.
    """
    kind = type(value)
    if kind is str:
        return "text"
    if kind is bool or value is None:
        return repr(value)
    if kind is dict:
        forms = [coercion_shape(inner) for inner in value.values()]
        return None if None in forms else (*value, "{", *forms)
    if kind is list:
        forms = [coercion_shape(inner) for inner in value]
        return None if None in forms else ("[", *forms)
    return None


def _form(value: Any, source: Source, given: dict[Source, Any]) -> Hashable:
    if scalar := _scalar(value):
        given[source] = value
        return scalar
    if isinstance(value, dict):
        return tuple((key, _form(inner, f"{source}.{key}", given)) for key, inner in value.items())
    if isinstance(value, list):
        forms = {_scalar(item) for item in value}
        if len(forms) == 1 and (one := forms.pop()):
            given[source] = value
            return f"[{one}]"
        return ("[]", *(_form(item, f"{source}.{at}", given) for at, item in enumerate(value)))
    return ("=", repr(value))


def _scalar(value: Any) -> str | None:
    """The kind of a value that another of its kind may stand in for; None where the value itself matters."""
    if type(value) is int:
        return "number" if 0 <= value < 2**31 else None
    if type(value) is not str or not value or value[0] == "$" or "," in value:
        return None
    return _TEXT if len(value) != _KEY_LENGTH else "key" if _UUID.fullmatch(value) else None


def with_slots(value: Any, name: str, given: Mapping[Source, Any]) -> Any:
    """A variable's value with a Slot wherever `given` holds a part of it."""

    def walk(value: Any, source: Source) -> Any:
        if source in given:
            return slot(value, source)
        if isinstance(value, dict):
            return {key: walk(inner, f"{source}.{key}") for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(item, f"{source}.{at}") for at, item in enumerate(value)]
        return value

    return walk(value, f"{VALUE}{name}")
