"""Checks the names in permissions: collections, fields, and what rules compare; each error names the nearest ones."""

from collections.abc import Iterator

from app.core.errors import InvalidQuery
from app.policy_files.located import DocumentError, Position, suggestion
from app.policy_files.policy_document import PermissionEntry
from app.policy_files.secret_presets import secret_names
from app.query.collection import PREFIX, Collection, Registry
from app.query.filter import UnknownField, parse_filter

EVERY_FIELD = "*"


def problems(entry: PermissionEntry, registry: Registry) -> Iterator[DocumentError]:
    """Yield an error for each name of a permission that Rollcall does not know, and each rule that it cannot read."""
    collection = registry.get(entry.collection)
    if collection is None:
        name = entry.collection if entry.collection.startswith(PREFIX) else f"{PREFIX}{entry.collection}"
        message = f"there is no collection {entry.collection!r}. {suggestion(name, registry)}"
        yield entry.at.error(message.rstrip())
        return
    for name, at in _field_positions(entry):
        if name != EVERY_FIELD and name not in collection.fields:
            yield unknown_field(collection, name, at)
    for key in ("permissions", "validation"):
        try:
            parse_filter(collection, entry.values[key] or {}, stored=True)
        except UnknownField as error:
            yield unknown_field(error.collection, error.name, _position_of_key(entry, key, error.name))
        except InvalidQuery as error:
            yield entry.position_of(key).error(f"{key!r} cannot be read: {error.reason}.")
    for name in entry.values["presets"] or {}:
        if name not in collection.fields:
            yield unknown_field(collection, name, _position_of_key(entry, "presets", name))


def check_no_secrets(entry: PermissionEntry, registry: Registry) -> None:
    """Check that a permission has no preset of a secret field.

    Raises:
        DocumentError: It has one.
    """
    for name in entry.values["presets"] or {}:
        if name in secret_names(entry.collection, registry):
            at = _position_of_key(entry, "presets", name)
            raise at.error(f"the preset of {name!r} would be a secret, which a file must not contain.")


def unknown_field(collection: Collection, name: str, at: Position) -> DocumentError:
    """Return the error that a collection has no such field."""
    hint = suggestion(name, collection.fields)
    return at.error(f"{collection.name} has no field {name!r}. {hint}".rstrip())


def _field_positions(entry: PermissionEntry) -> list[tuple[str, Position]]:
    located = entry.located.get("fields")
    if located is None or not isinstance(located.value, list):
        return [(name, entry.at) for name in entry.values["fields"] or ()]
    return [(str(item.value), item.at) for item in located.value]


def _position_of_key(entry: PermissionEntry, part: str, name: str) -> Position:
    """Return where a part of the permission first has this key."""
    located = entry.located.get(part)
    for value in located.walk() if located is not None else ():
        if name in (value.key_positions or {}):
            return value.key_position(name)
    return entry.position_of(part)
