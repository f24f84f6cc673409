"""Normalization of the values of variables, before they are coerced.

A filter's operators on a relation are moved to its key. A written relation may be a key, an object with only a key, or
`{create, update, delete}`, and a written row may have fields of Directus 10. The schema does not have these forms, so
they are removed from the value before coercion and inserted into the coerced value.
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
from app.query.collection import BUILT_IN
from app.query.filter import RELATION_KEY
from app.query.legacy_fields import LEGACY_FIELD_NAMES
from app.query.operators import OPERATORS
from app.query.payload import RELATED_CHANGE_KEYS

TRAVERSES = "{"
"""Suffix of a coordinate that uses more of a relation than its key."""
INPUT_PREFIXES = ("create_", "update_")
INPUT_SUFFIX = "_input"
KEY = "id"

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class DeferredValue:
    """A part removed from a value: it is inserted at `path`, or, if `merge` is set, merged into the object there."""

    path: Path
    value: Any
    merge: bool = False


def written_collection(type_: Any) -> str | None:
    """Return the collection whose rows an input type writes; None if it does not write rows."""
    name = get_named_type(type_).name if type_ is not None else ""
    prefix = next((prefix for prefix in INPUT_PREFIXES if name.startswith(prefix)), None)
    inner = name.removeprefix(prefix or "").removesuffix(INPUT_SUFFIX)
    return inner if prefix and name.endswith(INPUT_SUFFIX) and inner in BUILT_IN else None


def is_relation_filter(name: str, type_: Any) -> bool:
    """Return whether an input field filters a relation. `_and`, `_some` and the like do not: they remain on the row."""
    named = get_named_type(type_)
    return not name.startswith("_") and is_object(named) and named.name.endswith("_filter")


class ValueNormalizer:
    """Normalizes the values of one request and collects their coordinates, deferred parts and errors."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self.coordinates: set[str] = set()
        self.deferred: list[DeferredValue] = []
        self.errors: list[GraphQLError] = []

    def normalize(self, value: Any, type_: GraphQLInputType, path: Path = ()) -> Any:
        """Return a value in its normal form; what does not fit the type is left as it is for coercion to reject."""
        if is_non_null(type_):
            return self.normalize(value, type_.of_type, path)
        if isinstance(value, Slot):
            return value
        if is_list(type_):
            if value is None:
                return None
            items = value if isinstance(value, list) else [value]
            return [self.normalize(item, type_.of_type, (*path, index)) for index, item in enumerate(items)]
        if not is_object(type_) or not isinstance(value, dict):
            return value
        return self._written_row(value, type_, path) if written_collection(type_) else self._filter(value, type_, path)

    def restore_deferred(self, name: str, coerced: Any) -> Any:
        """Return a variable's coerced value with its deferred parts."""
        for deferred in self.deferred:
            if deferred.path[0] == name:
                coerced = _insert(coerced, deferred.path[1:], deferred)
        return coerced

    def normalize_relation(self, value: Any, type_: GraphQLInputType, path: Path) -> Any:
        """Return the normal form of a relation's written value. Rows given by their key are deferred."""
        if not is_list(type_):
            return self._related_row(value, type_, path)
        if value is None or isinstance(value, Slot):
            return value
        if isinstance(value, dict) and value and value.keys() <= RELATED_CHANGE_KEYS:
            return self._related_changes(value, type_, path)
        items = value if isinstance(value, list) else [value]
        return [self._related_row(item, type_.of_type, (*path, index)) for index, item in enumerate(items)]

    def _written_row(self, value: dict[str, Any], type_: Any, path: Path) -> Any:
        collection = written_collection(type_) or ""
        legacy = {name: value[name] for name in LEGACY_FIELD_NAMES.get(collection, ()) if name in value}
        if legacy:
            self.deferred.append(DeferredValue(path, legacy, merge=True))
        normalized: dict[str, Any] = {}
        for name, inner in value.items():
            if name in legacy:
                continue
            self.coordinates.add(f"{type_.name}.{name}")
            field_type = type_.fields[name].type if name in type_.fields else None
            if field_type is None or written_collection(field_type) is None:
                normalized[name] = inner if field_type is None else self.normalize(inner, field_type, (*path, name))
                continue
            if inner is not None and not _links_only(inner):
                self.coordinates.add(f"{type_.name}.{name}{TRAVERSES}")
            normalized[name] = self.normalize_relation(inner, field_type, (*path, name))
        return normalized

    def _related_row(self, value: Any, type_: Any, path: Path) -> Any:
        """Return the normal form of a row written to a relation; a row given by its key is deferred and None here."""
        if isinstance(value, Slot):
            return value
        if _is_key(value):
            self.deferred.append(DeferredValue(path, {KEY: value}))
            return None
        legacy_names = LEGACY_FIELD_NAMES.get(written_collection(type_) or "", ())
        if isinstance(value, dict) and _is_key(value.get(KEY)) and value.keys() <= {KEY, *legacy_names}:
            self.deferred.append(DeferredValue(path, value))
            return None
        return self.normalize(value, type_, path)

    def _related_changes(self, value: Mapping[str, Any], type_: Any, path: Path) -> None:
        """Defer `{create, update, delete}`, for which the schema has only a list."""
        collection = written_collection(type_)
        changes: dict[str, Any] = {}
        for part in value:
            if part == "delete":
                changes[part] = value[part]
                continue
            row_type: Any = self._schema.type_map[f"{part}_{collection}{INPUT_SUFFIX}"]
            items = value[part] if isinstance(value[part], list) else [value[part]]
            changes[part] = [self._coerce(item, row_type, path) for item in items if item is not None]
        self.deferred.append(DeferredValue(path, changes))

    def _coerce(self, value: Any, type_: GraphQLInputType, path: Path) -> Any:
        """Coerce a deferred value on its own; None if it is invalid."""
        inner = ValueNormalizer(self._schema)
        normalized = inner.normalize(value, type_, ("",))
        validate_input_value(normalized, type_, lambda error, _: inner.errors.append(error))
        self.coordinates |= inner.coordinates
        self.errors += inner.errors
        return None if inner.errors else inner.restore_deferred("", coerce_input_value(normalized, type_))

    def _filter(self, value: dict[str, Any], type_: Any, path: Path) -> Any:
        normalized = {}
        for name, inner in value.items():
            self.coordinates.add(f"{type_.name}.{name}")
            if name == RELATION_KEY or name not in type_.fields:
                # Clients must not use the internal field of the key: under an empty name coercion rejects it.
                normalized["" if name == RELATION_KEY else name] = inner
                continue
            field_type = type_.fields[name].type
            if is_relation_filter(name, field_type) and isinstance(inner, dict):
                rest = self._split_key_operators(f"{type_.name}.{name}", inner)
                key_filter = {RELATION_KEY: rest.pop(RELATION_KEY)} if RELATION_KEY in rest else {}
                normalized[name] = {**self.normalize(rest, field_type, (*path, name)), **key_filter}
            else:
                normalized[name] = self.normalize(inner, field_type, (*path, name))
        return normalized

    def _split_key_operators(self, coordinate: str, value: dict[str, Any]) -> dict[str, Any]:
        """Return a relation's filter with the operators on the relation itself moved to its key."""
        operators = {name: inner for name, inner in value.items() if name in OPERATORS}
        rest = {"" if name == RELATION_KEY else name: inner for name, inner in value.items() if name not in OPERATORS}
        if rest:
            self.coordinates.add(coordinate + TRAVERSES)
        return {**rest, RELATION_KEY: operators} if operators else rest


def _is_key(value: Any) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _links_only(value: Any) -> bool:
    """Return whether a relation's written value contains nothing but keys."""
    items: Iterable[Any] = value if isinstance(value, list) else [value]
    return all(item is None or _is_key(item) or (isinstance(item, dict) and item.keys() == {KEY}) for item in items)


def _insert(coerced: Any, path: Path, deferred: DeferredValue) -> Any:
    if not path:
        return {**coerced, **deferred.value} if deferred.merge and isinstance(coerced, dict) else deferred.value
    step = path[0]
    if isinstance(coerced, dict) and isinstance(step, str):
        return {**coerced, step: _insert(coerced.get(step), path[1:], deferred)}
    if isinstance(coerced, list) and isinstance(step, int):
        return [_insert(item, path[1:], deferred) if index == step else item for index, item in enumerate(coerced)]
    return coerced
