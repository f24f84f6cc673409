"""Request bodies of account endpoints: objects whose fields are checked, with the error messages of Directus."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

from app.core.errors import InvalidPayload
from app.flows.passkeys.passkey_sign_in import PASSKEY_USES
from app.flows.tokens import TokenMode
from app.openapi.field_schemas import Schema, closed_object_of, list_of, nullable, object_of

URI = re.compile(r"[a-z][a-z\d+.-]*:[!-~]+", re.ASCII | re.IGNORECASE)
NOT_A_STRING = "must be a string"


@dataclass(frozen=True, slots=True)
class ValueType:
    """A type of values, as a schema and as a check.

    `check` returns what is wrong with a value, as a phrase that follows its name ("must be a string"), or None.
    """

    schema: Schema
    check: Callable[[Any], str | None]


@dataclass(frozen=True, slots=True)
class RequestBody:
    """The fields of a body and their types; `missing_message` says that a required field is missing.

    Other fields are ignored, or rejected if the body is `closed`, each as Directus does.
    """

    required: Mapping[str, ValueType] = field(default_factory=dict)
    optional: Mapping[str, ValueType] = field(default_factory=dict)
    missing_message: str = "is required"
    closed: bool = False

    def parse(self, values: Any) -> dict[str, Any]:
        """Return the expected fields of a body, without those that are null.

        Raises:
            InvalidPayload: The body is not an object with these fields.
        """
        if not isinstance(values, dict):
            raise InvalidPayload('"value" must be of type object')
        expected = {**self.required, **self.optional}
        for name, kind in expected.items():
            if name in self.required and name not in values:
                raise InvalidPayload(f'"{name}" {self.missing_message}')
            is_omitted = name in self.optional and values.get(name) is None
            if not is_omitted and (problem := kind.check(values[name])):
                raise InvalidPayload(f'"{name}" {problem}')
        if self.closed and (unknown := next((name for name in values if name not in expected), None)) is not None:
            raise InvalidPayload(f'"{unknown}" is not allowed')
        return {name: value for name, value in values.items() if name in expected and value is not None}

    @property
    def schema(self) -> Schema:
        """The JSON Schema of the body."""
        properties = {name: kind.schema for name, kind in self.required.items()}
        properties |= {name: nullable(kind.schema) for name, kind in self.optional.items()}
        return (closed_object_of if self.closed else object_of)(properties, *self.required)


def _check_string(value: Any) -> str | None:
    return None if isinstance(value, str) else NOT_A_STRING


def _check_text(value: Any) -> str | None:
    return _check_string(value) or (None if value else "is not allowed to be empty")


def _check_key(value: Any) -> str | None:
    is_key = isinstance(value, str | int) and not isinstance(value, bool) and value != ""
    return None if is_key else "must be a string or a number"


def _check_count(value: Any) -> str | None:
    return None if isinstance(value, int) and not isinstance(value, bool) else "must be an integer"


def _check_email(value: Any) -> str | None:
    return _check_text(value) or (None if "@" in value.strip("@") else "must be a valid email")


def _check_emails(value: Any) -> str | None:
    if not isinstance(value, list):
        return _check_email(value) if isinstance(value, str) else "must be a string or an array of strings"
    if not value:
        return "must contain at least 1 items"
    return next(
        (
            f"must hold valid emails: [{index}] {problem}"
            for index, item in enumerate(value)
            if (problem := _check_email(item))
        ),
        None,
    )


def _check_guid(value: Any) -> str | None:
    if problem := _check_string(value):
        return problem
    try:
        UUID(value)
    except ValueError:
        return "must be a valid GUID"
    return None


def _check_uri(value: Any) -> str | None:
    return _check_string(value) or (None if URI.fullmatch(value) else "must be a valid uri")


def _check_boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be a boolean"


def _check_object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "must be an object"


def _check_passkey_use(value: Any) -> str | None:
    return None if value in PASSKEY_USES else f"must be one of [{', '.join(PASSKEY_USES)}]"


def _check_mode(value: Any) -> str | None:
    return None if value in tuple(TokenMode) else "must be one of [cookie, json, session]"


def _check_list(value: Any) -> str | None:
    return None if isinstance(value, list) else "must be an array"


def _check_items(check: Callable[[Any], str | None], value: Any) -> str | None:
    if problem := _check_list(value):
        return problem
    problems = ((index, check(item)) for index, item in enumerate(value))
    return next((f"[{index}] {problem}" for index, problem in problems if problem), None)


key = ValueType({"oneOf": [{"type": "string", "minLength": 1}, {"type": "integer"}]}, _check_key)
"""The key of a row."""
count = ValueType({"type": "integer", "minimum": 0}, _check_count)
"""A number; the code that uses it knows its range."""
any_text = ValueType({"type": "string"}, _check_string)
"""A string, which may be empty."""
text = ValueType({"type": "string", "minLength": 1}, _check_text)
"""A string that is not empty."""
email = ValueType({"type": "string", "format": "email"}, _check_email)
"""A string with an `@`; the code that uses it as an email address validates it further."""
emails = ValueType({"oneOf": [email.schema, {**list_of(email.schema), "minItems": 1}]}, _check_emails)
"""An email address, or a list of at least one."""
guid = ValueType({"type": "string", "format": "uuid"}, _check_guid)
"""The key of a row."""
uri = ValueType({"type": "string", "format": "uri"}, _check_uri)
"""An absolute URI."""
date = ValueType({"type": "string", "format": "date-time"}, _check_string)
"""A date; the code that uses it validates it further."""
boolean = ValueType({"type": "boolean"}, _check_boolean)
"""True or false."""
credential = ValueType(object_of({}), _check_object)
"""What an authenticator returned, as `PublicKeyCredential.toJSON()` writes it."""
passkey_use = ValueType({"type": "string", "enum": list(PASSKEY_USES)}, _check_passkey_use)
"""What a client wants to prove a passkey for."""
texts = ValueType(list_of(text.schema), partial(_check_items, _check_text))
"""A list of strings that are not empty."""
guids = ValueType({**list_of(guid.schema), "minItems": 1}, partial(_check_items, _check_guid))
"""A list of keys of rows."""
mode = ValueType({"type": "string", "enum": [str(mode) for mode in TokenMode]}, _check_mode)
"""How a client receives and sends its tokens."""

changes = ValueType(
    list_of(
        closed_object_of(
            {
                "collection": {"type": "string", "enum": ["roles", "policies", "access", "permissions", "users"]},
                "action": {"type": "string", "enum": ["create", "update", "delete"]},
                "key": nullable(key.schema),
                "keys": nullable(list_of(key.schema)),
                "data": nullable(object_of({})),
            },
            "collection",
            "action",
        )
    ),
    _check_list,
)
"""Writes to be simulated; the code that runs them checks each."""

EMPTY = RequestBody()

CREDENTIALS = RequestBody({"email": email, "password": any_text}, {"otp": any_text, "mode": mode})
LDAP_CREDENTIALS = RequestBody({"identifier": text, "password": text}, {"otp": any_text, "mode": mode})
LINK_CREDENTIALS = RequestBody({"password": any_text}, {"otp": any_text}, closed=True)
SESSION_TOKEN = RequestBody(optional={"refresh_token": any_text, "mode": mode})
PASSWORD_REQUEST = RequestBody({"email": text}, {"reset_url": text}, missing_message="field is required")
PASSWORD_RESET = RequestBody({"token": text, "password": text}, missing_message="field is required")

INVITATION = RequestBody({"email": emails, "role": guid}, {"invite_url": uri}, closed=True)
INVITATION_REVOCATION = RequestBody({"email": email}, closed=True)
INVITATION_ACCEPTANCE = RequestBody({"token": text, "password": text}, closed=True)
REGISTRATION = RequestBody(
    {"email": email, "password": text},
    {"verification_url": text, "first_name": any_text, "last_name": any_text},
    closed=True,
)
EMAIL_VERIFICATION = RequestBody({"token": text})

PASSWORD_PROOF = RequestBody({"password": text})
OTP = RequestBody({"otp": text})
TFA_ACTIVATION = RequestBody({"secret": text, "otp": text})

PASSKEY_OPTIONS = RequestBody(optional={"use": passkey_use}, closed=True)
PASSKEY_LOGIN = RequestBody(
    {"challenge_token": text, "credential": credential},
    {"email": email, "password": any_text, "mode": mode},
    closed=True,
)
PROOF = RequestBody(
    optional={"password": text, "otp": text, "challenge_token": text, "credential": credential}, closed=True
)
PASSKEY_REGISTRATION = RequestBody({"name": text, "challenge_token": text, "credential": credential}, closed=True)
PASSKEY_NAME = RequestBody({"name": text}, closed=True)

API_TOKEN = RequestBody(
    {"name": text},
    {"expires": date, "read_only": boolean, "policies": guids, "ip_access": texts},
    closed=True,
)

TEXT = RequestBody({"string": text})
TEXT_AND_HASH = RequestBody({"string": text, "hash": text})
ACCESS_QUESTION = RequestBody(
    {"collection": text, "action": text}, {"user": text, "item": key, "field": text, "ip": text}, closed=True
)
HOLDERS_QUESTION = RequestBody(
    {"collection": text, "action": text},
    {"item": key, "field": text, "ip": text, "limit": count, "offset": count, "page": count},
    closed=True,
)
SIMULATED_CHANGES = RequestBody({"changes": changes}, {"ip": text}, closed=True)
