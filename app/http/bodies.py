"""What a body may say: an object of named texts, each of them checked, and refused in Directus' words."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.core.errors import InvalidPayload
from app.http.params import parse_json
from app.repositories.directory import Directory

Kind = Callable[[Any], str | None]
"""What is wrong with a value, in words that follow its name; None where nothing is."""

URI = re.compile(r"[a-z][a-z\d+.-]*:[!-~]+", re.ASCII | re.IGNORECASE)
NO_TEXT = "must be a string"


@dataclass(frozen=True, slots=True)
class Form:
    """The names that a body may have, and what each has to be; `missing` says of one that it isn't there."""

    required: Mapping[str, Kind] = field(default_factory=dict)
    optional: Mapping[str, Kind] = field(default_factory=dict)
    missing: str = "is required"

    def read(self, given: Any) -> dict[str, Any]:
        """What a body says; InvalidPayload where that isn't an object of these names. What is null may be left out."""
        if not isinstance(given, dict):
            raise InvalidPayload('"value" must be of type object')
        for name, kind in {**self.required, **self.optional}.items():
            if name in self.required and name not in given:
                raise InvalidPayload(f'"{name}" {self.missing}')
            left_out = name in self.optional and given.get(name) is None
            if not left_out and (wrong := kind(given[name])):
                raise InvalidPayload(f'"{name}" {wrong}')
        for name in given:
            if name not in self.required and name not in self.optional:
                raise InvalidPayload(f'"{name}" is not allowed')
        return {name: value for name, value in given.items() if value is not None}


def parse_body(raw: bytes, content_type: bytes, directory: Directory) -> Any:
    """What a body says in JSON, and an empty object where there is none; InvalidPayload where it isn't JSON.

    An empty one has to be called JSON too where one of our cookies comes along: a page of somebody else's can have a
    browser send that cookie, but not say so without being allowed to.
    """
    settings, cookies = directory.services.settings, directory.via().cookies
    ours = settings.session_cookie_name in cookies or settings.refresh_token_cookie_name in cookies
    if raw or content_type or ours:
        return parse_json(raw or b"{}", content_type)
    return {}


def any_text(value: Any) -> str | None:
    """A text, even an empty one."""
    return None if isinstance(value, str) else NO_TEXT


def text(value: Any) -> str | None:
    """A text with something in it."""
    return any_text(value) or (None if value else "is not allowed to be empty")


def email(value: Any) -> str | None:
    """What may be an address; whether it is one, those judge who write to it."""
    return text(value) or (None if "@" in value.strip("@") else "must be a valid email")


def emails(value: Any) -> str | None:
    """An address, or a list of them."""
    if not isinstance(value, list):
        return email(value) if isinstance(value, str) else "must be a string or an array of strings"
    if not value:
        return "must contain at least 1 items"
    return next(
        (f"must hold valid emails: [{at}] {wrong}" for at, one in enumerate(value) if (wrong := email(one))), None
    )


def guid(value: Any) -> str | None:
    """A key."""
    if wrong := any_text(value):
        return wrong
    try:
        UUID(value)
    except ValueError:
        return "must be a valid GUID"
    return None


def uri(value: Any) -> str | None:
    """An absolute address of something."""
    return any_text(value) or (None if URI.fullmatch(value) else "must be a valid uri")
