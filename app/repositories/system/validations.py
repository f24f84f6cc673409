"""The validation of a custom field: a filter that written values must match."""

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sqlalchemy import Column, Text

from app.core.errors import InvalidPayload
from app.policy.unreadable_rules import PARSE_ERRORS, unreadable_reason
from app.query.collection import Collection, Field, FieldKind
from app.query.filter import parse_filter
from app.repositories.system.field_types import ALIAS, TYPES


def check_validation(owner: Collection, name: str, type_: str, validation: Any) -> None:
    """Check that a field of this name and type can have a validation.

    Raises:
        InvalidPayload: It isn't a filter of the collection's fields, so that no value would ever satisfy it.
    """
    if not validation or type_ == ALIAS or type_ not in TYPES:
        return
    kind: FieldKind = "string" if type_ == "text" else type_  # type: ignore[assignment]  # all others are named alike
    field = Field(name, kind, Column(name, Text()))
    collection = replace(owner, fields=MappingProxyType({**owner.fields, name: field}))
    try:
        parse_filter(collection, validation, stored=True, for_payload=True)
    except PARSE_ERRORS as error:
        raise InvalidPayload(f'"meta.validation" is no filter: {unreadable_reason(error)}') from None
