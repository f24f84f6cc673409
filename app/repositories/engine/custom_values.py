"""The values of custom fields that the server sets or changes, as their specials in `directus_fields` say."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import uuid4

import orjson

from app.core.errors import Forbidden, InvalidPayload, InvalidQuery
from app.core.request_budget import RequestBudget
from app.passwords.hasher_pool import HashedPassword
from app.policy.rules import Access, Rule
from app.query.coercion import coerce
from app.query.collection import Collection, Field
from app.query.filter import MATCH_ALL, parse_filter
from app.query.payload import Payload
from app.repositories.services import Services


class HashedValue(HashedPassword):
    """The hash of a field's value, with the value itself until the row is written, because validations refer to it."""

    plain: str

    @classmethod
    def of(cls, hashed: HashedPassword, plain: str) -> "HashedValue":
        """Return a hash with the value it was computed from."""
        value = cls(hashed)
        value.plain = plain
        return value


def created_values(collection: Collection, access: Access, now: datetime, values: Mapping[Field, Any]) -> Any:
    """Return the values that the server sets in a new row, whatever the client sent; a key only if it sent none."""
    keys = {field: str(uuid4()) for field in _with_special(collection, "uuid") if values.get(field) is None}
    return keys | _authored_values(collection, access, now, "created")


def updated_values(collection: Collection, access: Access, now: datetime) -> dict[Field, Any]:
    """Return the values that the server sets whenever a row changes, whatever the client sent."""
    return _authored_values(collection, access, now, "updated")


async def hash_values(values: dict[Field, Any], services: Services, budget: RequestBudget) -> None:
    """Replace the values of hashed fields by their hashes, except empty ones and those that are hashes already.

    Raises:
        InvalidPayload: The request sets more passwords than it may.
    """
    for field, value in values.items():
        if field.is_hashed and value and not isinstance(value, HashedPassword):
            budget.spend_hashes(1)
            values[field] = HashedValue.of(await services.passwords.hash(value), value)


def values_as_sent(values: Mapping[Field, Any]) -> dict[Field, Any]:
    """Return values with those that are hashed already as the client sent them."""
    return {field: value.plain if isinstance(value, HashedValue) else value for field, value in values.items()}


def has_hashed_values(payload: Payload) -> bool:
    """Return whether a payload sets a hashed custom field."""
    return any(field.is_hashed and value for field, value in payload.values.items())


def field_rules(collection: Collection, values: Mapping[Field, Any]) -> list[Rule]:
    """Return the validations of the custom fields that are written, as rules.

    Raises:
        InvalidPayload: The validation of a field can't be read, so that no value satisfies it.
    """
    return [_field_rule(collection, field) for field in values if field.validation]


@lru_cache(maxsize=1024)
def _field_rule(collection: Collection, field: Field) -> Rule:
    try:
        raw = orjson.loads(field.validation or "{}") or {}
        validation = parse_filter(collection, raw, stored=True, for_payload=True)
    except (InvalidQuery, Forbidden, orjson.JSONDecodeError, AttributeError, TypeError):
        raise InvalidPayload(
            f'Values of "{field.name}" are validated with a filter that can\'t be read; an admin must correct it'
        ) from None
    return Rule(MATCH_ALL, frozenset(), validation=validation)


def _authored_values(collection: Collection, access: Access, now: datetime, event: str) -> dict[Field, Any]:
    moment = now.astimezone(UTC)
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    times = {field: coerce(field.kind, moment) for field in _with_special(collection, f"date-{event}")}
    users = dict.fromkeys(_with_special(collection, f"user-{event}"), access.user)
    return times | users | dict.fromkeys(_with_special(collection, f"role-{event}"), access.state.role)


@lru_cache(maxsize=1024)
def _with_special(collection: Collection, special: str) -> tuple[Field, ...]:
    return tuple(field for field in collection.fields.values() if special in field.special)
