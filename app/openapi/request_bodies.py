"""What a body may say: an object of named texts, each of them checked, and refused in Directus' words."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.core.errors import InvalidPayload
from app.flows.tokens import TokenMode
from app.openapi.field_schemas import Schema, a_list, closed, nullable

URI = re.compile(r"[a-z][a-z\d+.-]*:[!-~]+", re.ASCII | re.IGNORECASE)
NO_TEXT = "must be a string"


@dataclass(frozen=True, slots=True)
class ValueType:
    """What a value has to be, as a `schema` and as a check.

    `wrong` says what is wrong with a value, in words that follow its name; None where nothing is.
    """

    schema: Schema
    wrong: Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class RequestBody:
    """The names that a body may have, and what each has to be; `missing` says of one that it isn't there."""

    required: Mapping[str, ValueType] = field(default_factory=dict)
    optional: Mapping[str, ValueType] = field(default_factory=dict)
    missing: str = "is required"

    def read(self, given: Any) -> dict[str, Any]:
        """What a body says; InvalidPayload where that isn't an object of these names. What is null may be left out."""
        if not isinstance(given, dict):
            raise InvalidPayload('"value" must be of type object')
        for name, kind in {**self.required, **self.optional}.items():
            if name in self.required and name not in given:
                raise InvalidPayload(f'"{name}" {self.missing}')
            left_out = name in self.optional and given.get(name) is None
            if not left_out and (wrong := kind.wrong(given[name])):
                raise InvalidPayload(f'"{name}" {wrong}')
        for name in given:
            if name not in self.required and name not in self.optional:
                raise InvalidPayload(f'"{name}" is not allowed')
        return {name: value for name, value in given.items() if value is not None}

    @property
    def schema(self) -> Schema:
        """The same for those who fill it in."""
        properties = {name: kind.schema for name, kind in self.required.items()}
        properties |= {name: nullable(kind.schema) for name, kind in self.optional.items()}
        return closed(properties, *self.required)


def _any_text(value: Any) -> str | None:
    return None if isinstance(value, str) else NO_TEXT


def _text(value: Any) -> str | None:
    return _any_text(value) or (None if value else "is not allowed to be empty")


def _email(value: Any) -> str | None:
    return _text(value) or (None if "@" in value.strip("@") else "must be a valid email")


def _emails(value: Any) -> str | None:
    if not isinstance(value, list):
        return _email(value) if isinstance(value, str) else "must be a string or an array of strings"
    if not value:
        return "must contain at least 1 items"
    return next(
        (f"must hold valid emails: [{at}] {wrong}" for at, one in enumerate(value) if (wrong := _email(one))), None
    )


def _guid(value: Any) -> str | None:
    if wrong := _any_text(value):
        return wrong
    try:
        UUID(value)
    except ValueError:
        return "must be a valid GUID"
    return None


def _uri(value: Any) -> str | None:
    return _any_text(value) or (None if URI.fullmatch(value) else "must be a valid uri")


def _mode(value: Any) -> str | None:
    return None if value in tuple(TokenMode) else "must be one of [cookie, json, session]"


any_text = ValueType({"type": "string"}, _any_text)
"""A text, even an empty one."""
text = ValueType({"type": "string", "minLength": 1}, _text)
"""A text with something in it."""
email = ValueType({"type": "string", "format": "email"}, _email)
"""What may be an address; whether it is one, those judge who write to it."""
emails = ValueType({"oneOf": [email.schema, {**a_list(email.schema), "minItems": 1}]}, _emails)
"""An address, or a list of them."""
guid = ValueType({"type": "string", "format": "uuid"}, _guid)
"""A key."""
uri = ValueType({"type": "string", "format": "uri"}, _uri)
"""An absolute address of something."""
mode = ValueType({"type": "string", "enum": [str(mode) for mode in TokenMode]}, _mode)
"""How a client carries its tokens."""

EMPTY = RequestBody()

CREDENTIALS = RequestBody({"email": email, "password": any_text}, {"otp": any_text, "mode": mode})
SESSION = RequestBody(optional={"refresh_token": any_text, "mode": mode})
FORGOTTEN = RequestBody({"email": text}, {"reset_url": text}, missing="field is required")
NEW_PASSWORD = RequestBody({"token": text, "password": text}, missing="field is required")

INVITATION = RequestBody({"email": emails, "role": guid}, {"invite_url": uri})
REVOKED = RequestBody({"email": email})
ACCEPTED = RequestBody({"token": text, "password": text})
REGISTRATION = RequestBody(
    {"email": email, "password": text}, {"verification_url": text, "first_name": any_text, "last_name": any_text}
)
PROVED = RequestBody({"token": text})

PROOF = RequestBody({"password": text})
CODE = RequestBody({"otp": text})
NEW_FACTOR = RequestBody({"secret": text, "otp": text})

TEXT = RequestBody({"string": text})
TEXT_AND_HASH = RequestBody({"string": text, "hash": text})
