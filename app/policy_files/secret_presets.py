"""Secrets in presets, such as an initial password: documents never contain them."""

from collections.abc import Mapping
from typing import Any

from app.query.collection import Registry


def secret_names(collection: str, registry: Registry) -> frozenset[str]:
    """Return the names of the fields of a collection whose values are secret."""
    definition = registry.get(collection)
    fields = definition.fields.values() if definition else ()
    return frozenset(field.name for field in fields if field.concealed or field.is_hashed)


def without_secrets(presets: Mapping[str, Any] | None, collection: str, registry: Registry) -> dict[str, Any] | None:
    """Return presets without those of secret fields."""
    if presets is None:
        return None
    hidden = secret_names(collection, registry)
    return {name: value for name, value in presets.items() if name not in hidden}


def secrets_of(presets: Mapping[str, Any] | None, collection: str, registry: Registry) -> dict[str, Any]:
    """Return only the presets of secret fields."""
    hidden = secret_names(collection, registry)
    return {name: value for name, value in (presets or {}).items() if name in hidden}
