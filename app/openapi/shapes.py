"""The words of JSON Schema, as OpenAPI 3.0 has them."""

from collections.abc import Mapping
from typing import Any

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
