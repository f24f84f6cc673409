"""The specials of fields: marks that say how values are converted, filled in or hidden."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.core.errors import InvalidPayload
from app.repositories.system.field_types import ALIAS

MAX_SPECIAL_LENGTH = 64

_TIMES, _KEYS = ("date", "dateTime", "timestamp"), ("uuid",)
SPECIALS: Mapping[str, tuple[str, ...]] = {
    "cast-json": ("json",),
    "cast-csv": ("csv",),
    "cast-boolean": ("boolean",),
    "cast-timestamp": ("timestamp",),
    "cast-datetime": ("dateTime",),
    "conceal": ("string", "text", "hash"),
    "hash": ("hash",),
    "uuid": _KEYS,
    "date-created": _TIMES,
    "date-updated": _TIMES,
    "user-created": _KEYS,
    "user-updated": _KEYS,
    "role-created": _KEYS,
    "role-updated": _KEYS,
    "m2o": ("uuid", "integer"),
    "file": _KEYS,
    "o2m": (ALIAS,),
    "alias": (ALIAS,),
    "no-data": (ALIAS,),
    "group": (ALIAS,),
}
"""The specials, each with the types of the fields that may have it."""


def parse_special(value: Any) -> list[str] | None:
    """Return the specials of a payload: a list of known names, or such names with commas between them.

    Raises:
        InvalidPayload: It is something else, or too long.
    """
    names = value.split(",") if isinstance(value, str) else value
    if names is None or names == [""]:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) and name in SPECIALS for name in names):
        raise InvalidPayload(f'"meta.special" must be a list of [{", ".join(SPECIALS)}]')
    if len(",".join(names)) > MAX_SPECIAL_LENGTH:
        raise InvalidPayload(f'"meta.special" must have at most {MAX_SPECIAL_LENGTH} characters')
    return names


def check_special(special: Iterable[str], type_: str) -> None:
    """Raise InvalidPayload for a special that fields of this type cannot have."""
    for name in special:
        if type_ not in SPECIALS[name]:
            types = " or ".join(SPECIALS[name])
            raise InvalidPayload(f'The special "{name}" needs a field of the type {types}, not {type_}')
