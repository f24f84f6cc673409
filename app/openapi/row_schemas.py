"""The rows of each collection as JSON Schema: as they are read, made and changed by one who sees so much."""

from collections.abc import Iterator

from app.openapi.field_schemas import (
    KINDS,
    Schema,
    a_list,
    an_object,
    closed,
    key_of,
    name_of,
    nullable,
    reference,
    value_schema,
)
from app.openapi.filter_schemas import filter_of, operators
from app.policy.visibility import CollectionVisibility, WriteAction
from app.query.collection import POLICIES, ROLES, WRITABLE_COLLECTIONS, Collection, Field, target
from app.query.legacy_fields import LEGACY_FIELD_NAMES
from app.query.payload import required_fields
from app.query.sql_expressions import MASK

WRITINGS: tuple[WriteAction, ...] = ("create", "update")


class RowSchemas:
    """The schemas of every collection as callers with one sight know it.

    Whoever is no admin may be told null for any field: on the rows where no rule shows it.
    """

    def __init__(self, visibility: CollectionVisibility) -> None:
        self.visibility = visibility

    def row(self, collection: Collection) -> Schema:
        """A row as it is read; its key, where that is all that may be told."""
        if self.visibility.readable(collection):
            return reference(name_of(collection))
        return an_object({collection.key.name: key_of(collection)})

    def schemas(self) -> dict[str, Schema]:
        """All of them, by name."""
        return dict(sorted((*self._read(), *self._written())))

    def _read(self) -> Iterator[tuple[str, Schema]]:
        for collection, fields in self.visibility.readable_fields.items():
            seen = _in_order(collection, fields)
            yield name_of(collection), an_object({field.name: self._told(field) for field in seen})
            if not collection.singleton:
                yield name_of(collection, "filter"), filter_of(self.visibility, collection, seen)
            names = {**KINDS["string"], "enum": [field.name for field in seen]}
            path = {**KINDS["string"], "description": "A path, a function of a field, or `*`."}
            yield name_of(collection, "field"), {"anyOf": [names, path]}
        if self.visibility.readable_fields:
            yield from operators()

    def _written(self) -> Iterator[tuple[str, Schema]]:
        for action in WRITINGS:
            for collection, fields in self.visibility.writable_fields[action].items():
                if collection in WRITABLE_COLLECTIONS and (action == "update" or not collection.singleton):
                    yield name_of(collection, action), self._payload(action, collection, fields)

    def _told(self, field: Field) -> Schema:
        schema = self._value(field)
        always = self.visibility.schema.admin and (field.many or not field.stored.nullable)
        return (schema if always else nullable(schema)) | _about(field)

    def _value(self, field: Field) -> Schema:
        if not field.relation:
            return value_schema(field)
        there = target(field)
        way = {"oneOf": [key_of(there), self.row(there)]} if self.visibility.navigable(field) else key_of(there)
        return a_list(way) if field.many else way

    def _payload(self, action: WriteAction, collection: Collection, fields: frozenset[Field]) -> Schema:
        """What a row is made or changed with; a list of changes names each row by its key, whoever may write that."""
        properties = {field.name: self._given(action, field) for field in _in_order(collection, fields)}
        properties.setdefault(collection.key.name, key_of(collection))
        if self.visibility.schema.admin:
            properties |= {name: _shorthand(name) for name in LEGACY_FIELD_NAMES.get(collection.name, ())}
        needed = [field.name for field in required_fields(collection) if field in fields and not field.relation]
        return closed(properties, *(needed if action == "create" else ()))

    def _given(self, action: WriteAction, field: Field) -> Schema:
        schema = self._linked(action, field) if field.relation else value_schema(field)
        optional = field.many or field.stored.nullable
        return (nullable(schema) if optional else schema) | _about(field)

    def _linked(self, action: WriteAction, field: Field) -> Schema:
        """A key, or what is written along with the row; of several a list, or what is made, changed and let go."""
        there = target(field)
        along = [part for part in WRITINGS if self.visibility.writable(part, field)]
        ways = [key_of(there), *([reference(name_of(there, action))] if action in along else ())]
        if not field.many:
            return {"oneOf": ways} if len(ways) > 1 else ways[0]
        parts = {str(part): a_list(reference(name_of(there, part))) for part in along}
        return {"oneOf": [a_list({"oneOf": ways}), closed({**parts, "delete": a_list(key_of(there))})]}


def _in_order(collection: Collection, fields: frozenset[Field]) -> list[Field]:
    return [field for field in collection.fields.values() if field in fields]


def _about(field: Field) -> Schema:
    return {"description": f"Reads as {MASK} where it is set."} if field.concealed else {}


def _shorthand(name: str) -> Schema:
    """A flag of a role's, or the role of a permission: they are those of a policy of that role's name."""
    known = POLICIES.fields.get(name)
    told = nullable(KINDS[known.kind] if known else key_of(ROLES))
    return {**told, "deprecated": True, "description": "As Directus 10 had it."}
