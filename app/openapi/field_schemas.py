"""What each kind of field is in JSON Schema, and what the schemas of a collection are called."""

from collections.abc import Mapping

from app.openapi.shapes import Schema, a_list
from app.query.collection import Collection, Field, FieldKind

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
