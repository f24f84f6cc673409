"""The payload of a write to one row: its values, and nested writes to related rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, localcontext
from functools import lru_cache
from typing import Any, Self

import orjson

from app.core.errors import (
    FailedValidation,
    Forbidden,
    InvalidForeignKey,
    InvalidPayload,
    ValueOutOfRange,
    ValueTooLong,
)
from app.core.json_values import MAX_JSON_DEPTH, normalized_json
from app.query.coercion import INTEGER_BOUNDS, MAX_DECIMAL_DIGITS, coerce, storable_text
from app.query.collection import Collection, Field
from app.query.filter import UnknownField
from app.query.legacy_fields import LEGACY_FIELD_NAMES
from app.query.sql_expressions import MASK

MAX_JSON_VALUES = 50_000
"""Maximum number of values inside a JSON value, which may be a text and so is not counted with the request's body."""
RELATED_CHANGE_KEYS = {"create", "update", "delete"}
FieldPath = tuple[str, ...]
"""The fields that lead from the outermost payload to a nested one."""


class ConcealedValue(str):
    """The mask in place of a secret in trusted code's view of a payload; parsing it restores the secret."""

    __slots__ = ("secret",)

    def __new__(cls, secret: Any) -> Self:
        """Return the mask, with a secret behind it."""
        value = super().__new__(cls, MASK)
        value.secret = secret
        return value

    secret: Any


@dataclass(frozen=True, slots=True)
class Reference:
    """An existing row by its key; the row itself is not changed."""

    key: Any


@dataclass(slots=True)
class Payload:
    """A write to one row.

    `values` are the values of its own columns, with a key for a linked row. `to_one` holds the writes to rows that it
    references, `to_many` the writes to rows that reference it, and `legacy` the values of Directus 10's fields. `path`
    leads to this payload from the outermost one.
    """

    collection: Collection
    values: dict[Field, Any] = field(default_factory=dict)
    to_one: dict[Field, "Payload"] = field(default_factory=dict)
    to_many: dict[Field, "ReplaceRelated | RelatedChanges"] = field(default_factory=dict)
    legacy: dict[str, Any] = field(default_factory=dict)
    path: FieldPath = ()

    @property
    def key(self) -> Any:
        """The key of the row, or None if the payload has none."""
        return self.values.get(self.collection.key)

    @property
    def fields(self) -> frozenset[Field]:
        """The fields that the payload contains, its key among them if it has one."""
        return frozenset((*self.values, *self.to_one, *self.to_many))

    def nested(self) -> Iterator["Payload"]:
        """Yield the payloads directly inside this one."""
        yield from self.to_one.values()
        for change in self.to_many.values():
            yield from change.payloads()

    def walk(self) -> Iterator["Payload"]:
        """Yield this payload and all payloads nested in it."""
        yield self
        for payload in self.nested():
            yield from payload.walk()


@dataclass(frozen=True, slots=True)
class ReplaceRelated:
    """The complete set of rows that reference this one; other rows are unlinked or deleted."""

    items: Sequence[Reference | Payload]

    def payloads(self) -> Iterator[Payload]:
        """Return the nested payloads."""
        return (item for item in self.items if isinstance(item, Payload))


@dataclass(frozen=True, slots=True)
class RelatedChanges:
    """The rows to create, to update, and to unlink or delete; all others stay unchanged."""

    create: Sequence[Payload]
    update: Sequence[Payload]
    delete: Sequence[Any]

    def payloads(self) -> Iterator[Payload]:
        """Return the nested payloads."""
        yield from self.create
        yield from self.update


def parse_payload(collection: Collection, raw: Any, max_depth: int, path: FieldPath = ()) -> Payload:
    """Parse a client's object, with each value converted to what its column stores.

    Raises:
        InvalidPayload: The object is malformed, or nested more than `max_depth` levels deep.
        UnknownField: A field does not exist.
        FailedValidation: A field that is not nullable is null.
        ValueTooLong: A text is longer than its column.
        ValueOutOfRange: A number does not fit its column.
        InvalidForeignKey: A relation's value cannot be a key.
        Forbidden: The key of the row itself cannot be a key.
    """
    if not isinstance(raw, Mapping):
        raise InvalidPayload(f"{_location(collection, path)} must be an object")
    if len(path) > max_depth:
        raise InvalidPayload(f"Objects can be nested at most {max_depth} levels deep")
    payload = Payload(collection, path=path)
    for name, value in raw.items():
        member = collection.fields.get(name)
        if name in LEGACY_FIELD_NAMES.get(collection.name, ()):
            payload.legacy[name] = value
        elif member is None:
            raise UnknownField(collection, str(name))
        elif member.many:
            if value is not None:  # clients that send every field send null for unchanged relations
                payload.to_many[member] = _parse_to_many(collection, member, value, max_depth, path)
        elif member.relation and isinstance(value, Mapping) and not _is_key_object(collection, member, value):
            payload.to_one[member] = parse_payload(collection.target_of(member), value, max_depth, (*path, name))
        else:
            _add_value(payload, member, value)
    return payload


def _add_value(payload: Payload, member: Field, value: Any) -> None:
    """Add the value of a column; the mask of a secret stands for the stored value, so it is left out."""
    collection = payload.collection
    if not (member.concealed and value == MASK):
        key_or_value = _extract_key(collection, member, value)
        payload.values[member] = to_column_value(collection, member, key_or_value, payload.path)
    elif isinstance(value, ConcealedValue):
        payload.values[member] = value.secret


@lru_cache(maxsize=64)
def required_fields(collection: Collection) -> tuple[Field, ...]:
    """Return the fields that a new row must have: they are not nullable and have no default."""
    columns = (member for member in collection.fields.values() if member.column is not None)
    return tuple(
        member
        for member in columns
        if member is not collection.key and not member.stored.nullable and member.stored.server_default is None
    )


def to_column_value(collection: Collection, member: Field, value: Any, path: FieldPath = ()) -> Any:
    """Return a value converted to what the field's column stores.

    Raises:
        RollcallError: As `parse_payload`.
    """
    if value is None:
        if not member.stored.nullable:
            raise FailedValidation(member.name, "nnull", path)
        return None
    if member.relation or member is collection.key:
        return _convert_key(collection, member, value)
    try:
        return _convert(collection, member, value)
    except ValueError as error:
        raise InvalidPayload(f'"{member.name}" in {collection.name}: {error}') from None


def _convert(collection: Collection, member: Field, value: Any) -> Any:
    match member.kind:
        case "json":
            return _json_value(value)
        case "csv":
            words = value.split(",") if isinstance(value, str) else value
            if not isinstance(words, list | tuple):
                raise ValueError("Expected a list of strings")
            return [_text_value(word) for word in words]
        case "integer" | "bigInteger":
            return _integer_value(collection, member, value)
        case "string" | "hash":
            text = _text_value(value)
            max_length = getattr(member.stored.type, "length", None)
            if max_length and len(text) > max_length and member.name != "password":  # only its hash is stored
                raise ValueTooLong(collection.name, member.name, None if member.concealed else text)
            return text
        case _:
            return _rounded(collection, member, coerce(member.kind, value))


def _text_value(value: Any) -> str:
    if isinstance(value, bool):
        raise ValueError("Expected a string")
    return storable_text(value)


def _integer_value(collection: Collection, member: Field, value: Any) -> int:
    try:
        number = int(value) if not isinstance(value, bool) and float(value).is_integer() else None
    except (ValueError, TypeError, OverflowError):
        number = None
    if number is None:
        raise ValueError("Expected an integer")
    if not -INTEGER_BOUNDS[member.kind] <= number < INTEGER_BOUNDS[member.kind]:
        raise ValueOutOfRange(collection.name, member.name, number)
    return number


def _rounded(collection: Collection, member: Field, value: Any) -> Any:
    """Return a time with the digits that clients receive, and a decimal with those of its column."""
    if isinstance(value, datetime):  # a filter with the time that clients receive must find the row
        return value.replace(microsecond=value.microsecond // 1000 * 1000)
    return _rounded_decimal(collection, member, value) if isinstance(value, Decimal) else value


def _rounded_decimal(collection: Collection, member: Field, value: Decimal) -> Decimal:
    """Return a decimal rounded as PostgreSQL rounds it."""
    precision = getattr(member.stored.type, "precision", None)
    with localcontext(prec=MAX_DECIMAL_DIGITS * 2):
        number = value.quantize(Decimal(1).scaleb(-member.scale), ROUND_HALF_UP)
    if precision is not None and number and number.adjusted() >= precision - member.scale:
        raise ValueOutOfRange(collection.name, member.name, str(value))
    return number


def _json_value(value: Any) -> Any:
    """Return a JSON value. A text is parsed as JSON, as Directus does."""
    try:
        parsed = orjson.loads(value) if isinstance(value, str) else value
    except orjson.JSONDecodeError:
        raise ValueError(f"Expected JSON, such as a list, nested at most {MAX_JSON_DEPTH} levels deep") from None
    return normalized_json(parsed, max_values=MAX_JSON_VALUES)


def parse_key(collection: Collection, value: Any) -> Any:
    """Return a value as a key of the collection.

    Raises:
        Forbidden: The value cannot be a key, so no row has it.
    """
    try:
        key = coerce(collection.key.kind, value)
    except ValueError:
        key = None
    if key is None or isinstance(value, bool) or isinstance(key, float):
        raise Forbidden
    return key


def _convert_key(collection: Collection, member: Field, value: Any) -> Any:
    if member is collection.key:
        return parse_key(collection, value)
    try:
        return parse_key(collection.target_of(member), value)
    except Forbidden:
        raise InvalidForeignKey(collection.name, member.name, _short_text(value)) from None


def _short_text(value: Any) -> str | None:
    return str(value)[:100] if isinstance(value, str | int | float) else None


def _is_key_object(collection: Collection, member: Field, value: Mapping[str, Any]) -> bool:
    return value.keys() == {collection.target_of(member).key.name}


def _extract_key(collection: Collection, member: Field, value: Any) -> Any:
    """Return the key in an object that consists of it alone; return any other value unchanged."""
    is_object = member.relation and isinstance(value, Mapping)
    return value[collection.target_of(member).key.name] if is_object else value


def _parse_to_many(
    collection: Collection, member: Field, value: Any, max_depth: int, path: FieldPath
) -> ReplaceRelated | RelatedChanges:
    path = (*path, member.name)
    if isinstance(value, Mapping):
        if not value.keys() <= RELATED_CHANGE_KEYS:
            raise _related_error(member)
        create, update, delete = (_require_list(member, value.get(part)) for part in ("create", "update", "delete"))
        related = collection.target_of(member)
        created = [_parse_child(collection, member, item, max_depth, path) for item in create]
        updated = [_parse_child(collection, member, item, max_depth, path) for item in update]
        if any(payload.key is None for payload in updated):
            raise InvalidPayload(f'Every row that "{member.name}" updates must have its {related.key.name}')
        return RelatedChanges(
            created, updated, [parse_key(related, _extract_key(collection, member, item)) for item in delete]
        )
    return ReplaceRelated(
        [_parse_related(collection, member, item, max_depth, path) for item in _require_list(member, value)]
    )


def _related_error(member: Field) -> InvalidPayload:
    return InvalidPayload(f'"{member.name}" must be a list, or an object with "create", "update" and "delete"')


def _require_list(member: Field, value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise _related_error(member)
    return value


def _parse_related(
    collection: Collection, member: Field, item: Any, max_depth: int, path: FieldPath
) -> Reference | Payload:
    if isinstance(item, Mapping) and not _is_key_object(collection, member, item):
        return _parse_child(collection, member, item, max_depth, path)
    return Reference(parse_key(collection.target_of(member), _extract_key(collection, member, item)))


def _parse_child(collection: Collection, member: Field, item: Any, max_depth: int, path: FieldPath) -> Payload:
    """Parse a row that will reference this one, without its foreign key, for which Directus' clients send `+`."""
    foreign_key = str(member.link.foreign_key.name)
    if isinstance(item, Mapping) and not isinstance(item.get(foreign_key), Mapping):
        item = {name: value for name, value in item.items() if name != foreign_key}
    return parse_payload(collection.target_of(member), item, max_depth, path)


def _location(collection: Collection, path: FieldPath) -> str:
    return f'"{".".join(path)}"' if path else f"The payload for {collection.name}"
