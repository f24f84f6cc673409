"""The fields that store regular expressions, which are compiled before they are stored."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.core.ecmascript_regex import InvalidRegex
from app.core.errors import InvalidPayload
from app.query.collection import PERMISSIONS, SETTINGS, Field
from app.query.filter_regexes import regexes_in
from app.repositories.engine.context import RowValues, WriteContext

REGEX_FIELDS: Mapping[Field, Callable[[Any], Iterable[str]]] = {
    SETTINGS.fields["auth_password_policy"]: lambda policy: (policy,),
    SETTINGS.fields["public_registration_email_filter"]: regexes_in,
    PERMISSIONS.fields["permissions"]: regexes_in,
    PERMISSIONS.fields["validation"]: regexes_in,
}
"""The fields, each with a function that returns the regular expressions in its value."""


async def check_regexes(work: WriteContext, values: RowValues) -> None:
    """Check the regular expressions in written values.

    Raises:
        InvalidPayload: One cannot be compiled, or all of them together take too long.
    """
    for field in REGEX_FIELDS.keys() & values.keys():
        for pattern in REGEX_FIELDS[field](values[field]) if values[field] else ():
            try:
                await work.services.regexes.check(pattern, work.budget)
            except InvalidRegex as error:
                raise InvalidPayload(f'"{field.name}" contains an invalid regular expression: {error}') from None
