"""Parameterizes the access of a caller: its own values become slots, so that others of its shape share statements."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from app.core.bindings import Slot, Source, slot
from app.policy.rules import Access

CALLER_SOURCES = ("me", "role", "roles", "policies")
"""The sources whose values come from the caller's access."""


def parameterize_access(access: Access) -> Access:
    """Return the access with the caller's own values as slots.

    Missing values and empty lists stay as they are, because they decide what a rule means and belong to the shape.
    """
    state = access.state._replace(user=_slot(access.state.user, "me"), role=_slot(access.state.role, "role"))
    roles, policies = _slot(list(access.roles), "roles"), _slot(list(access.policies), "policies")
    return replace(access, state=state, roles=roles or (), policies=policies or ())


def literal_sources(parameters: Iterable[Any], access: Access) -> frozenset[Source]:
    """Return the caller's sources whose value is a literal in a statement with these parameters.

    The statement serves only callers with the same value of them.
    """
    literals = set(_literal_texts(parameters))
    return frozenset(source for source, values in _caller_values(access) if values & literals)


def _slot(value: str | list[str] | None, source: Source) -> Any:
    return slot(value, source) if value else None


def _caller_values(access: Access) -> Iterator[tuple[Source, set[str]]]:
    value_lists = ([access.user], [access.state.role], access.roles, access.policies)
    for source, values in zip(CALLER_SOURCES, value_lists, strict=True):
        yield source, {str(value) for value in values if value is not None}


def _literal_texts(values: Iterable[Any]) -> Iterator[str]:
    """Yield the texts among a statement's parameters, also nested ones, that are no slots."""
    for value in values:
        if isinstance(value, list):
            yield from _literal_texts(value)
        elif isinstance(value, str) and not isinstance(value, Slot):
            yield value
