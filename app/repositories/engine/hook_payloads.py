"""Payloads as hooks see them: values by field name, secrets masked; and the payload that a hook leaves behind."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.query.collection import Field
from app.query.payload import ConcealedValue, Payload, Reference, RelatedChanges, ReplaceRelated, parse_payload
from app.repositories.engine.audit_log import redacted

NamedValues = dict[str, Any]


def named_values(payload: Payload, *, restorable: bool = False) -> NamedValues:
    """Return the values of a payload by field name, as a client would send them, secrets masked.

    If `restorable`, parsing the values again restores the secrets.
    """
    values = redacted(payload.values)
    if restorable:
        concealed = (field for field, value in payload.values.items() if field.concealed and value is not None)
        values |= {field.name: ConcealedValue(payload.values[field]) for field in concealed}
    to_one = {field.name: named_values(inner, restorable=restorable) for field, inner in payload.to_one.items()}
    to_many = {field.name: _related_values(changes, restorable) for field, changes in payload.to_many.items()}
    return {**values, **to_one, **to_many, **payload.legacy}


def with_changes(payload: Payload, before: NamedValues, after: Mapping[str, Any], max_depth: int) -> Payload:
    """Return the payload with the values that differ between `before` and `after`; itself if none does.

    Raises:
        RollcallError: A new value is invalid, as `parse_payload` raises.
    """
    changed = {name: value for name, value in after.items() if name not in before or before[name] != value}
    if not changed and before.keys() == after.keys():
        return payload
    parsed = parse_payload(payload.collection, changed, max_depth, payload.path)
    kept = after.keys() - changed.keys()

    def merged(old: Mapping[Field, Any], new: Mapping[Field, Any]) -> dict[Field, Any]:
        return {**{field: value for field, value in old.items() if field.name in kept}, **new}

    return Payload(
        payload.collection,
        merged(payload.values, parsed.values),
        merged(payload.to_one, parsed.to_one),
        merged(payload.to_many, parsed.to_many),
        {**{name: value for name, value in payload.legacy.items() if name in kept}, **parsed.legacy},
        payload.path,
    )


def _related_values(changes: ReplaceRelated | RelatedChanges, restorable: bool) -> Any:
    def values(payloads: Iterable[Payload]) -> list[NamedValues]:
        return [named_values(payload, restorable=restorable) for payload in payloads]

    if isinstance(changes, RelatedChanges):
        return {"create": values(changes.create), "update": values(changes.update), "delete": list(changes.delete)}
    return [item.key if isinstance(item, Reference) else values([item])[0] for item in changes.items]
