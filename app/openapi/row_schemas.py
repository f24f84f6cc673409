"""The JSON Schema of each collection's rows, as a caller may read, create and update them."""

from collections.abc import Iterator

from app.openapi.field_schemas import (
    KIND_SCHEMAS,
    Schema,
    closed_object_of,
    key_schema,
    list_of,
    nullable,
    object_of,
    reference,
    schema_name,
    value_schema,
)
from app.openapi.filter_schemas import filter_schema, operator_schemas
from app.policy.visibility import CollectionVisibility, WriteAction
from app.query.collection import POLICIES, ROLES, Collection, Field
from app.query.legacy_fields import LEGACY_FIELD_NAMES
from app.query.payload import required_fields
from app.query.sql_expressions import MASK

WRITE_ACTIONS: tuple[WriteAction, ...] = ("create", "update")


class RowSchemas:
    """The schemas of all collections for callers with one visibility.

    For callers that are not admins every field is nullable: it is null in rows in which no rule allows it.
    """

    def __init__(self, visibility: CollectionVisibility) -> None:
        self.visibility = visibility

    def row(self, collection: Collection) -> Schema:
        """Return the schema of a row as it is read; that of its key if the caller may not read the collection."""
        if self.visibility.readable(collection):
            return reference(schema_name(collection))
        return object_of({collection.key.name: key_schema(collection)})

    def schemas(self) -> dict[str, Schema]:
        """Return all schemas by name."""
        return dict(sorted((*self._read_schemas(), *self._write_schemas())))

    def _read_schemas(self) -> Iterator[tuple[str, Schema]]:
        for collection, fields in self.visibility.readable_fields.items():
            readable = _in_order(collection, fields)
            yield schema_name(collection), object_of({field.name: self._output(field) for field in readable})
            if not collection.singleton:
                yield schema_name(collection, "filter"), filter_schema(self.visibility, collection, readable)
            names = {**KIND_SCHEMAS["string"], "enum": [field.name for field in readable]}
            path = {
                **KIND_SCHEMAS["string"],
                "description": "A path such as `role.name`, a function of a field, or `*`.",
            }
            yield schema_name(collection, "field"), {"anyOf": [names, path]}
        if self.visibility.readable_fields:
            yield from operator_schemas(self.visibility.registry)

    def _write_schemas(self) -> Iterator[tuple[str, Schema]]:
        for action in WRITE_ACTIONS:
            for collection, fields in self.visibility.writable_fields[action].items():
                if collection.writable and (action == "update" or not collection.singleton):
                    yield schema_name(collection, action), self._payload(action, collection, fields)

    def _output(self, field: Field) -> Schema:
        schema = self._value(field)
        never_null = self.visibility.schema.admin and (field.many or not field.stored.nullable)
        return (schema if never_null else nullable(schema)) | _concealed_note(field)

    def _value(self, field: Field) -> Schema:
        if not field.relation:
            return value_schema(field)
        related = self.visibility.registry[field.link.target]
        key = key_schema(related)
        value = {"oneOf": [key, self.row(related)]} if self.visibility.navigable(field) else key
        return list_of(value) if field.many else value

    def _payload(self, action: WriteAction, collection: Collection, fields: frozenset[Field]) -> Schema:
        """Return the schema of a row to create or update.

        It always includes the key, because a list of updates identifies each row by its key.
        """
        properties = {field.name: self._input(action, field) for field in _in_order(collection, fields)}
        properties.setdefault(collection.key.name, key_schema(collection))
        if self.visibility.schema.admin:
            properties |= {name: _legacy_field(name) for name in LEGACY_FIELD_NAMES.get(collection.name, ())}
        required = [field.name for field in required_fields(collection) if field in fields and not field.relation]
        return closed_object_of(properties, *(required if action == "create" else ()))

    def _input(self, action: WriteAction, field: Field) -> Schema:
        schema = self._relation_input(action, field) if field.relation else value_schema(field, written=True)
        optional = field.many or field.stored.nullable
        return (nullable(schema) if optional else schema) | _concealed_note(field)

    def _relation_input(self, action: WriteAction, field: Field) -> Schema:
        """Return the schema of a relation: a key or a nested row; for to-many a list, or `{create, update, delete}`."""
        related = self.visibility.registry[field.link.target]
        allowed = [nested for nested in WRITE_ACTIONS if self.visibility.writable(nested, field)]
        items = [key_schema(related), *([reference(schema_name(related, action))] if action in allowed else ())]
        if not field.many:
            return {"oneOf": items} if len(items) > 1 else items[0]
        changes = {str(nested): list_of(reference(schema_name(related, nested))) for nested in allowed}
        changes["delete"] = list_of(key_schema(related))
        return {"oneOf": [list_of({"oneOf": items}), closed_object_of(changes)]}


def _in_order(collection: Collection, fields: frozenset[Field]) -> list[Field]:
    return [field for field in collection.fields.values() if field in fields]


def _concealed_note(field: Field) -> Schema:
    return {"description": f"Returned as {MASK} if it is set."} if field.concealed else {}


def _legacy_field(name: str) -> Schema:
    """Return the schema of a field of Directus 10: a flag of a role, or the role of a permission."""
    flag = POLICIES.fields.get(name)
    schema = nullable(KIND_SCHEMAS[flag.kind] if flag else key_schema(ROLES))
    return {**schema, "deprecated": True, "description": "A field of Directus 10, accepted for compatibility."}
