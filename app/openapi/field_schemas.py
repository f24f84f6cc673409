"""JSON Schema as OpenAPI 3.0 uses it: its vocabulary, the schema of each kind of field, and the names of schemas."""

from collections.abc import Mapping
from typing import Any

from app.query.collection import Collection, Field, FieldKind

Schema = dict[str, Any]
ANY_OBJECT: Schema = {"type": "object"}


def an_object(properties: Mapping[str, Schema], *required: str) -> Schema:
    """An object with these properties, and any others."""
    named = {"required": list(required)} if required else {}
    return {"type": "object", "properties": dict(properties), **named}


def closed(properties: Mapping[str, Schema], *required: str) -> Schema:
    """An object with these properties and no others."""
    return {**an_object(properties, *required), "additionalProperties": False}


def a_list(items: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def nullable(schema: Schema) -> Schema:
    """The same, or null; what has no type may be null already."""
    if "oneOf" in schema:
        first, *others = schema["oneOf"]
        return {**schema, "oneOf": [nullable(first), *others]}
    listed = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, **listed, "nullable": True} if "type" in schema else schema


def reference(name: str) -> Schema:
    """A reference to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Schema = {"type": "string"}
KINDS: Mapping[FieldKind, Schema] = {
    "string": _TEXT,
    "uuid": {**_TEXT, "format": "uuid"},
    "integer": {"type": "integer", "format": "int32"},
    "bigInteger": {"type": "integer", "format": "int64"},
    "boolean": {"type": "boolean"},
    "timestamp": {**_TEXT, "format": "date-time"},
    "json": {},
    "csv": a_list(_TEXT),
    "hash": {**_TEXT, "format": "hash"},
}


def name_of(collection: Collection, shape: str = "") -> str:
    """What a collection's schema is called: `Users`, `UsersCreate`, `UsersUpdate`, `UsersFilter`, `UsersField`."""
    return f"{collection.short_name.title()}{shape.title()}"


def key_of(collection: Collection) -> Schema:
    """A collection's key."""
    return KINDS[collection.key.kind]


def value_schema(field: Field) -> Schema:
    """The value of a field that is no relation, as long as its column holds; a password is as long as one likes."""
    longest = getattr(field.stored.type, "length", None)
    counted = longest and (field.kind == "string" or (field.kind == "hash" and field.name != "password"))
    return {**KINDS[field.kind], **({"maxLength": longest} if counted else {})}
