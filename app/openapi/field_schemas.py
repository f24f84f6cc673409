"""JSON Schema in the dialect of OpenAPI 3.0: builders, the schema of each field kind, and the names of schemas."""

from collections.abc import Mapping
from typing import Any

from app.query.collection import Collection, Field, FieldKind

Schema = dict[str, Any]
ANY_OBJECT: Schema = {"type": "object"}


def object_of(properties: Mapping[str, Schema], *required: str) -> Schema:
    """Return the schema of an object with these properties, and possibly others."""
    requirement = {"required": list(required)} if required else {}
    return {"type": "object", "properties": dict(properties), **requirement}


def closed_object_of(properties: Mapping[str, Schema], *required: str) -> Schema:
    """Return the schema of an object with these properties and no others."""
    return {**object_of(properties, *required), "additionalProperties": False}


def list_of(items: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": items}


def nullable(schema: Schema) -> Schema:
    """Return a schema that also allows null; one without a type allows it already."""
    if "oneOf" in schema:
        first, *others = schema["oneOf"]
        return {**schema, "oneOf": [nullable(first), *others]}
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, **enum, "nullable": True} if "type" in schema else schema


def reference(name: str) -> Schema:
    """Return a reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Schema = {"type": "string"}
KIND_SCHEMAS: Mapping[FieldKind, Schema] = {
    "string": _TEXT,
    "uuid": {**_TEXT, "format": "uuid"},
    "integer": {"type": "integer", "format": "int32"},
    "bigInteger": {**_TEXT, "format": "int64", "pattern": r"^-?\d{1,19}$"},
    "float": {"type": "number", "format": "float"},
    "decimal": {**_TEXT, "format": "decimal", "pattern": r"^-?\d+(\.\d+)?$"},
    "boolean": {"type": "boolean"},
    "date": {**_TEXT, "format": "date"},
    "time": {**_TEXT, "format": "time"},
    "dateTime": {**_TEXT, "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$"},
    "timestamp": {**_TEXT, "format": "date-time"},
    "json": {},
    "csv": list_of(_TEXT),
    "hash": {**_TEXT, "format": "hash"},
}


BIG_INTEGER_INPUT: Schema = {"oneOf": [{"type": "integer", "format": "int64"}, KIND_SCHEMAS["bigInteger"]]}
"""A 64-bit integer that a client sends: as a number, or as the text in which it is returned."""


def schema_name(collection: Collection, part: str = "") -> str:
    """Return the name of a collection's schema: `Users`, `UsersCreate`, `UsersUpdate`, `UsersFilter`, `UsersField`."""
    return f"{collection.short_name.title()}{part.title()}"


def key_schema(collection: Collection) -> Schema:
    """Return the schema of a collection's key."""
    return KIND_SCHEMAS[collection.key.kind]


def value_schema(field: Field, *, written: bool = False) -> Schema:
    """Return the schema of a field that is no relation, with the maximum length of its column.

    A password has no maximum length, because its hash is stored. `written` says whether a client sends the value.
    """
    if written and field.kind == "bigInteger":
        return BIG_INTEGER_INPUT
    if written and field.kind == "decimal":
        return {"oneOf": [{"type": "number"}, KIND_SCHEMAS["decimal"]]}
    max_length = getattr(field.stored.type, "length", None)
    is_limited = max_length and (field.kind == "string" or (field.kind == "hash" and field.name != "password"))
    return {**KIND_SCHEMAS[field.kind], **({"maxLength": max_length} if is_limited else {})}
