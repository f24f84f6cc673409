"""What a client writes to one row: its values, the rows it points at, and the rows that point at it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import orjson

from app.core.errors import (
    FailedValidation,
    Forbidden,
    InvalidForeignKey,
    InvalidPayload,
    ValueOutOfRange,
    ValueTooLong,
)
from app.query.collection import Collection, Field, target
from app.query.filter import UnknownField
from app.query.legacy_fields import LEGACY_FIELD_NAMES
from app.query.operators import INTEGER_BOUNDS, coerce
from app.query.sql_expressions import MASK

MAX_JSON_DEPTH = 100
"""Levels of a value that is JSON."""
RELATED_CHANGE_KEYS = {"create", "update", "delete"}
_UNTOLD = re.compile("[\0\ud800-\udfff]")
FieldPath = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """A row that is there already, by its key; writing it changes nothing of that row."""

    key: Any


@dataclass(slots=True)
class Payload:
    """What is written to one row.

    `values` are those of its own columns, a key where a relation is to be linked; `ones` the rows it points at that
    are written along with it, `many` those that point at it. `shorthand` holds what is spelled as Directus 10 did.
    `path` leads here through the payloads around it.
    """

    collection: Collection
    values: dict[Field, Any] = field(default_factory=dict)
    to_one: dict[Field, "Payload"] = field(default_factory=dict)
    to_many: dict[Field, "ReplaceRelated | RelatedChanges"] = field(default_factory=dict)
    legacy: dict[str, Any] = field(default_factory=dict)
    path: FieldPath = ()

    @property
    def key(self) -> Any:
        """The key it names, if it does."""
        return self.values.get(self.collection.key)

    @property
    def fields(self) -> frozenset[Field]:
        """The fields it writes, the key aside where it only says which row."""
        return frozenset((*self.values, *self.to_one, *self.to_many))

    def nested(self) -> Iterator["Payload"]:
        """The payloads directly within it."""
        yield from self.to_one.values()
        for written in self.to_many.values():
            yield from written.payloads()

    def walk(self) -> Iterator["Payload"]:
        """It and all payloads within it."""
        yield self
        for inner in self.nested():
            yield from inner.walk()


@dataclass(frozen=True, slots=True)
class ReplaceRelated:
    """The rows that shall point here, and no others."""

    items: Sequence[Reference | Payload]

    def payloads(self) -> Iterator[Payload]:
        """The payloads among them."""
        return (item for item in self.items if isinstance(item, Payload))


@dataclass(frozen=True, slots=True)
class RelatedChanges:
    """Rows to make, to change, and to let go; those not named stay as they are."""

    create: Sequence[Payload]
    update: Sequence[Payload]
    delete: Sequence[Any]

    def payloads(self) -> Iterator[Payload]:
        """The payloads among them."""
        yield from self.create
        yield from self.update


def parse_payload(collection: Collection, raw: Any, max_depth: int, path: FieldPath = ()) -> Payload:
    """An object as a client gives it -> what it writes, each value as its column holds it.

    Payloads lie within one another at most `deepest` times. Raises InvalidPayload for what can't be read, UnknownField
    for a field that isn't there, FailedValidation for a null where there can be none, ValueTooLong, ValueOutOfRange,
    InvalidForeignKey for a key that can't be one, and Forbidden for a key of its own that can't be one.
    """
    if not isinstance(raw, Mapping):
        raise InvalidPayload(f"{_place(collection, path)} has to be an object")
    if len(path) > max_depth:
        raise InvalidPayload(f"Objects may lie within one another at most {max_depth} times")
    written = Payload(collection, path=path)
    for name, value in raw.items():
        member = collection.fields.get(name)
        if name in LEGACY_FIELD_NAMES.get(collection.name, ()):
            written.legacy[name] = value
        elif member is None:
            raise UnknownField(collection, str(name))
        elif member.many:
            if value is not None:  # a client that spells every field out means nothing by it
                written.to_many[member] = _many(member, value, max_depth, path)
        elif member.relation and isinstance(value, Mapping) and not _only_key(member, value):
            written.to_one[member] = parse_payload(target(member), value, max_depth, (*path, name))
        elif not (member.concealed and value == MASK):
            written.values[member] = to_column_value(collection, member, _key_of(member, value), path)
    return written


@lru_cache(maxsize=64)
def required_fields(collection: Collection) -> tuple[Field, ...]:
    """The fields that a new row can't do without: they can't be null, and nothing else gives them a value."""
    columns = (member for member in collection.fields.values() if member.column is not None)
    return tuple(
        member
        for member in columns
        if member is not collection.key and not member.stored.nullable and member.stored.server_default is None
    )


def to_column_value(collection: Collection, member: Field, value: Any, path: FieldPath = ()) -> Any:
    """A value as the field's column holds it; raises as `parse_payload` does."""
    if value is None:
        if not member.stored.nullable:
            raise FailedValidation(member.name, "nnull", path)
        return None
    if member.relation or member is collection.key:
        return _as_key(collection, member, value)
    try:
        return _stored(collection, member, value)
    except ValueError as problem:
        raise InvalidPayload(f'"{member.name}" in {collection.name}: {problem}') from None


def _stored(collection: Collection, member: Field, value: Any) -> Any:
    match member.kind:
        case "json":
            return _json(value)
        case "csv":
            words = value.split(",") if isinstance(value, str) else value
            if not isinstance(words, list | tuple):
                raise ValueError("a list of texts is needed here")
            return [_text(word) for word in words]
        case "integer" | "bigInteger":
            return _whole(collection, member, value)
        case "string" | "hash":
            text = _text(value)
            longest = getattr(member.stored.type, "length", None)
            if longest and len(text) > longest and member.name != "password":  # it is its hash that is stored
                raise ValueTooLong(collection.name, member.name, None if member.concealed else text)
            return text
        case _:
            return coerce(member.kind, value)


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("a text is needed here")
    if _UNTOLD.search(text := str(value)):
        raise ValueError("a text can't hold U+0000 or half a surrogate pair")
    return text


def _whole(collection: Collection, member: Field, value: Any) -> int:
    try:
        number = int(value) if not isinstance(value, bool) and float(value).is_integer() else None
    except (ValueError, TypeError, OverflowError):
        number = None
    if number is None:
        raise ValueError("a whole number is needed here")
    if not abs(number) < INTEGER_BOUNDS[member.kind]:
        raise ValueOutOfRange(collection.name, member.name, number)
    return number


def _json(value: Any) -> Any:
    """Any JSON; a text is read as JSON, as Directus reads it.

    What is nested deeper than anybody means it could be stored, but not be told any more within a list of rows.
    """
    try:
        read = orjson.loads(value) if isinstance(value, str) else value
        told = orjson.loads(orjson.dumps(read))
    except (orjson.JSONDecodeError, TypeError):
        raise ValueError(
            f"JSON is needed here, such as a list or an object, of at most {MAX_JSON_DEPTH} levels"
        ) from None
    if _goes_deeper(told, MAX_JSON_DEPTH):
        raise ValueError(f"at most {MAX_JSON_DEPTH} levels of JSON may lie within one another here")
    return told


def _goes_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        level = [one for one in level if isinstance(one, list | dict)]
        if not level:
            return False
        level = [inner for one in level for inner in (one.values() if isinstance(one, dict) else one)]
    return True


def parse_key(collection: Collection, value: Any) -> Any:
    """The key of a row; Forbidden for what can be no key of the collection, as it leads nowhere."""
    try:
        key = coerce(collection.key.kind, value)
    except ValueError:
        key = None
    if key is None or isinstance(value, bool) or isinstance(key, float):
        raise Forbidden
    return key


def _as_key(collection: Collection, member: Field, value: Any) -> Any:
    if member is collection.key:
        return parse_key(collection, value)
    try:
        return parse_key(target(member), value)
    except Forbidden:
        raise InvalidForeignKey(collection.name, member.name, _shown(value)) from None


def _shown(value: Any) -> str | None:
    return str(value)[:100] if isinstance(value, str | int | float) else None


def _only_key(member: Field, value: Mapping[str, Any]) -> bool:
    return value.keys() == {target(member).key.name}


def _key_of(member: Field, value: Any) -> Any:
    """The key out of an object with nothing but it; anything else as it is."""
    return value[target(member).key.name] if member.relation and isinstance(value, Mapping) else value


def _many(member: Field, value: Any, deepest: int, path: FieldPath) -> ReplaceRelated | RelatedChanges:
    inner = (*path, member.name)
    if isinstance(value, Mapping):
        if not value.keys() <= RELATED_CHANGE_KEYS:
            raise InvalidPayload(f'"{member.name}" has to be a list, or an object with create, update and delete')
        create, update, delete = (_listed(member, value.get(part)) for part in ("create", "update", "delete"))
        there = target(member)
        made = [_pointing(member, item, deepest, inner) for item in create]
        changed = [_pointing(member, item, deepest, inner) for item in update]
        if any(payload.key is None for payload in changed):
            raise InvalidPayload(f'Every row that "{member.name}" updates needs its {there.key.name}')
        return RelatedChanges(made, changed, [parse_key(there, _key_of(member, item)) for item in delete])
    return ReplaceRelated([_item(member, item, deepest, inner) for item in _listed(member, value)])


def _listed(member: Field, value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list | tuple):
        raise InvalidPayload(f'"{member.name}" has to be a list, or an object with create, update and delete')
    return value


def _item(member: Field, item: Any, deepest: int, path: FieldPath) -> Reference | Payload:
    if isinstance(item, Mapping) and not _only_key(member, item):
        return _pointing(member, item, deepest, path)
    return Reference(parse_key(target(member), _key_of(member, item)))


def _pointing(member: Field, item: Any, deepest: int, path: FieldPath) -> Payload:
    """A row that will point back here; what it says of that itself doesn't count: Directus' own clients write `+`."""
    back = str(member.link.foreign.name)
    if isinstance(item, Mapping) and not isinstance(item.get(back), Mapping):
        item = {name: value for name, value in item.items() if name != back}
    return parse_payload(target(member), item, deepest, path)


def _place(collection: Collection, path: FieldPath) -> str:
    return f'"{".".join(path)}"' if path else f"What is written to {collection.name}"
