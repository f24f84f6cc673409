"""The normalising pass on values: what a variable holds is spelled one way before it is coerced.

A filter's operators on a relation become those on its key. In what is written a relation may be given by a key, by an
object with nothing but a key, and with what Directus 10 knew: the schema doesn't print that, so it is taken out before
coercion, and put back after it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, GraphQLInputType, GraphQLSchema, get_named_type
from graphql import is_input_object_type as is_object
from graphql import is_list_type as is_list
from graphql import is_non_null_type as is_non_null
from graphql.utilities import coerce_input_value, validate_input_value

from app.core.bindings import Slot
from app.query.collection import COLLECTIONS
from app.query.filter import RELATION_KEY
from app.query.legacy_fields import LEGACY_FIELD_NAMES
from app.query.operators import OPERATORS
from app.query.payload import RELATED_CHANGE_KEYS

TRAVERSES = "{"
"""Ends a coordinate that goes through a relation, not only to its key."""
PREFIXES = ("create_", "update_")
SUFFIX = "_input"
KEY = "id"

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class DeferredValue:
    """Something that was taken out of a value: to be put there, or, where it is `more`, into the object there."""

    path: Path
    value: Any
    more: bool = False


def written_collection(type_: Any) -> str | None:
    """The collection whose rows an input type writes; None for a type that doesn't."""
    name = get_named_type(type_).name if type_ is not None else ""
    prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
    inner = name.removeprefix(prefix or "").removesuffix(SUFFIX)
    return inner if prefix and name.endswith(SUFFIX) and inner in COLLECTIONS else None


def is_relation_filter(name: str, type_: Any) -> bool:
    """Whether an input field leads through a relation; `_and`, `_some` and their like stay where they are."""
    named = get_named_type(type_)
    return not name.startswith("_") and is_object(named) and named.name.endswith("_filter")


class ValueNormalizer:
    """One request's values: the coordinates they touch, what was taken out of them, and what is wrong with that."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self.coordinates: set[str] = set()
        self.fixes: list[DeferredValue] = []
        self.errors: list[GraphQLError] = []

    def value(self, value: Any, type_: GraphQLInputType, path: Path = ()) -> Any:
        """A value spelled one way; what doesn't fit the type is left for coercion to refuse."""
        if is_non_null(type_):
            return self.value(value, type_.of_type, path)
        if isinstance(value, Slot):
            return value
        if is_list(type_):
            items = value if isinstance(value, list) else [value]
            return (
                None if value is None else [self.value(one, type_.of_type, (*path, at)) for at, one in enumerate(items)]
            )
        if not is_object(type_) or not isinstance(value, dict):
            return value
        return self._written(value, type_, path) if written_collection(type_) else self._filter(value, type_, path)

    def put_back(self, name: str, coerced: Any) -> Any:
        """A variable's coerced value with what was taken out of it."""
        for fix in self.fixes:
            if fix.path[0] == name:
                coerced = _put(coerced, fix.path[1:], fix)
        return coerced

    def relation(self, value: Any, type_: GraphQLInputType, path: Path) -> Any:
        """What is written to a relation: rows that are only named are taken out."""
        if not is_list(type_):
            return self._linked(value, type_, path)
        if value is None or isinstance(value, Slot):
            return value
        if isinstance(value, dict) and value and value.keys() <= RELATED_CHANGE_KEYS:
            return self._details(value, type_, path)
        items = value if isinstance(value, list) else [value]
        return [self._linked(item, type_.of_type, (*path, at)) for at, item in enumerate(items)]

    def _written(self, value: dict[str, Any], type_: Any, path: Path) -> Any:
        collection = written_collection(type_) or ""
        told = {name: value[name] for name in LEGACY_FIELD_NAMES.get(collection, ()) if name in value}
        if told:
            self.fixes.append(DeferredValue(path, told, more=True))
        spelled: dict[str, Any] = {}
        for name, inner in value.items():
            if name in told:
                continue
            self.coordinates.add(f"{type_.name}.{name}")
            of = type_.fields[name].type if name in type_.fields else None
            if of is None or written_collection(of) is None:
                spelled[name] = inner if of is None else self.value(inner, of, (*path, name))
                continue
            if inner is not None and not _links_only(inner):
                self.coordinates.add(f"{type_.name}.{name}{TRAVERSES}")
            spelled[name] = self.relation(inner, of, (*path, name))
        return spelled

    def _linked(self, value: Any, type_: Any, path: Path) -> Any:
        """A row that is pointed at: one that is only named is taken out."""
        if isinstance(value, Slot):
            return value
        if _is_key(value):
            self.fixes.append(DeferredValue(path, {KEY: value}))
            return None
        told = LEGACY_FIELD_NAMES.get(written_collection(type_) or "", ())
        if isinstance(value, dict) and _is_key(value.get(KEY)) and value.keys() <= {KEY, *told}:
            self.fixes.append(DeferredValue(path, value))
            return None
        return self.value(value, type_, path)

    def _details(self, value: Mapping[str, Any], type_: Any, path: Path) -> None:
        """`{create, update, delete}` where the schema knows a list only."""
        collection = written_collection(type_)
        read: dict[str, Any] = {}
        for part in value:
            if part == "delete":
                read[part] = value[part]
                continue
            of: Any = self._schema.type_map[f"{part}_{collection}{SUFFIX}"]
            items = value[part] if isinstance(value[part], list) else [value[part]]
            read[part] = [self._coerced(item, of, path) for item in items if item is not None]
        self.fixes.append(DeferredValue(path, read))

    def _coerced(self, value: Any, type_: GraphQLInputType, path: Path) -> Any:
        """A value that the schema has no place for, coerced by itself."""
        inner = ValueNormalizer(self._schema)
        spelled = inner.value(value, type_, ("",))
        validate_input_value(spelled, type_, lambda error, _: inner.errors.append(error))
        self.coordinates |= inner.coordinates
        self.errors += inner.errors
        return None if inner.errors else inner.put_back("", coerce_input_value(spelled, type_))

    def _filter(self, value: dict[str, Any], type_: Any, path: Path) -> Any:
        spelled = {}
        for name, inner in value.items():
            self.coordinates.add(f"{type_.name}.{name}")
            if name == RELATION_KEY or name not in type_.fields:
                # No client may write the inner key: coercion refuses an unknown name.
                spelled["" if name == RELATION_KEY else name] = inner
                continue
            of = type_.fields[name].type
            if is_relation_filter(name, of) and isinstance(inner, dict):
                rest = self._own_key(f"{type_.name}.{name}", inner)
                own = {RELATION_KEY: rest.pop(RELATION_KEY)} if RELATION_KEY in rest else {}
                spelled[name] = {**self.value(rest, of, (*path, name)), **own}
            else:
                spelled[name] = self.value(inner, of, (*path, name))
        return spelled

    def _own_key(self, coordinate: str, value: dict[str, Any]) -> dict[str, Any]:
        own = {name: asked for name, asked in value.items() if name in OPERATORS}
        rest = {"" if name == RELATION_KEY else name: asked for name, asked in value.items() if name not in OPERATORS}
        if rest:
            self.coordinates.add(coordinate + TRAVERSES)
        return {**rest, RELATION_KEY: own} if own else rest


def _is_key(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _links_only(value: Any) -> bool:
    """Whether rows are only pointed at, by nothing but their keys."""
    items: Iterable[Any] = value if isinstance(value, list) else [value]
    return all(item is None or _is_key(item) or (isinstance(item, dict) and item.keys() == {KEY}) for item in items)


def _put(coerced: Any, path: Path, fix: DeferredValue) -> Any:
    if not path:
        return {**coerced, **fix.value} if fix.more and isinstance(coerced, dict) else fix.value
    step = path[0]
    if isinstance(coerced, dict) and isinstance(step, str):
        return {**coerced, step: _put(coerced.get(step), path[1:], fix)}
    if isinstance(coerced, list) and isinstance(step, int):
        return [_put(item, path[1:], fix) if at == step else item for at, item in enumerate(coerced)]
    return coerced
