"""What permission rules depend on beside the row itself: the user, and the collections that they read."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from app.policy.rules import Rule
from app.query.collection import Collection, Field
from app.query.filter import AndFilter, FieldFilter, Filter, OrFilter, RelationFilter, Variable


def depends_on_user(rules: Iterable[Rule]) -> bool:
    """Return whether rules match other rows for other users of the same role and policies."""
    return any(one.path or one.name == "CURRENT_USER" for rule in rules for one in _variables_of(rule.filter))


def looks_up_user(rules: Iterable[Rule]) -> bool:
    """Return whether rules compare with values that are read from the user's own row."""
    return any(one.path for rule in rules for one in _variables_of(rule.filter))


def collections_read(collection: Collection, rules: Iterable[Rule]) -> frozenset[str]:
    """Return the names of the collections whose rows decide which rows of a collection rules match."""
    names = {collection.name}
    for rule in rules:
        names |= _collections_of(collection, rule.filter)
    return frozenset(names)


@lru_cache(maxsize=2048)
def _variables_of(filter_: Filter) -> tuple[Variable, ...]:
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            return tuple(variable for part in parts for variable in _variables_of(part))
        case RelationFilter(_, _, inner):
            return _variables_of(inner)
        case FieldFilter(value=value):
            return tuple(item for item in _items(value) if isinstance(item, Variable))


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, tuple) else (value,)


@lru_cache(maxsize=2048)
def _collections_of(collection: Collection, filter_: Filter) -> frozenset[str]:
    return frozenset(_targets(collection, filter_))


def _targets(collection: Collection, filter_: Filter) -> Iterator[str]:
    match filter_:
        case AndFilter(parts) | OrFilter(parts):
            for part in parts:
                yield from _targets(collection, part)
        case RelationFilter(field, _, inner):
            yield from _related(collection, field)
            yield from _targets(collection.target_of(field), inner)
        case FieldFilter(field):
            yield from _related(collection, field)
            for variable in _variables_of(filter_):
                if variable.path:
                    yield "directus_users"
                yield from (one.relation.target for one in variable.path if one.relation)


def _related(collection: Collection, field: Field) -> Iterator[str]:
    if field.relation is not None:
        yield field.relation.target
    derivation = field.derivation
    for relation in derivation.path if derivation else ():
        yield relation.link.target
    if derivation and derivation.ancestors:
        yield derivation.ancestors.link.target
