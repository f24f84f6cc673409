"""The filters of the list of users: from the parameters of its address to a filter of the API."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.query.coercion import coerce
from app.query.operators import ORDERED_KINDS
from app.studio.form_errors import FormErrors, Translate
from app.studio.pages.users.user_fields import RELATION, Choices, UserField

Parameters = Mapping[str, str]
Condition = dict[str, Any]

SEARCHED = ("first_name", "last_name", "email")
MAX_WORDS = 8
NO_ROLE, NEVER = "none", "never"
LAST_ACCESS: Mapping[str, Condition] = {
    "day": {"_gte": "$NOW(-1 day)"},
    "week": {"_gte": "$NOW(-7 days)"},
    "month": {"_gte": "$NOW(-30 days)"},
    "quarter": {"_lt": "$NOW(-90 days)"},
    NEVER: {"_null": True},
}
BOOLEANS = ("true", "false")
TEXT_KINDS = ("string", "uuid")
MOMENTS = ("dateTime", "timestamp")
END_OF_DAY = "T23:59:59.999Z"
"""What completes the last day of a range to its last moment."""
OPERATORS = {"is": "_eq", "from": "_gte", "to": "_lte"}


def last_access_choices(translate: Translate, *, with_never: bool) -> Choices:
    """Return the choices of the filter on the last access."""
    _ = translate
    never = ((NEVER, _("Never")),) if with_never else ()
    return (
        ("day", _("In the last 24 hours")),
        ("week", _("In the last 7 days")),
        ("month", _("In the last 30 days")),
        ("quarter", _("Not for 90 days")),
        *never,
    )


@dataclass(frozen=True, slots=True)
class UserFilter:
    """The filter of an address: its conditions, the parameters that count, and the messages of those that do not."""

    conditions: tuple[Condition, ...]
    parameters: Parameters
    errors: FormErrors

    @property
    def has_custom(self) -> bool:
        """Whether there is a filter on a custom field."""
        return any("." in name for name in self.parameters)


def search_conditions(text: str, searched: list[str]) -> list[Condition]:
    """Return a condition for each word of a search: it is a part of one of the fields.

    So "anna nov" finds Anna Novak, which the API's own search, of one field at a time, does not.
    """
    words = text.split()[:MAX_WORDS]
    return [{"_or": [{field: {"_icontains": word}} for field in searched]} for word in words if searched]


def parse_filter(
    parameters: Parameters, readable: Mapping[str, UserField], translate: Translate, keys: Parameters
) -> UserFilter:
    """Return the filter that the parameters ask for; `readable` are the fields that the caller may filter by.

    `keys` are the ids of the rows that parameters of relations name.

    The parameters of custom fields are `is.FIELD`, `has.FIELD`, `from.FIELD` and `to.FIELD`.
    """
    conditions: list[Condition] = []
    used: dict[str, str] = {}
    errors: FormErrors = {}
    for name, value, field in _filled(parameters, readable):
        try:
            conditions.append(_condition(name.partition(".")[0], field, keys.get(name, value)))
        except ValueError:
            errors[name] = translate("This value is not valid for this filter.")
        used[name] = value
    return UserFilter(tuple(conditions), used, errors)


def _filled(parameters: Parameters, readable: Mapping[str, UserField]) -> Iterator[tuple[str, str, UserField]]:
    for name, value in parameters.items():
        operator, _, field = name.partition(".")
        known = readable.get(field or operator)
        if value.strip() and known is not None and (operator if field else known.kind) in _OPERATORS_OF[bool(field)]:
            yield name, value.strip(), known


_OPERATORS_OF = {True: ("is", "has", "from", "to"), False: ("status", "role", "last_access")}
"""The operators of custom fields, and the built-in fields that are parameters themselves."""


def _condition(operator: str, field: UserField, value: str) -> Condition:
    """Return one condition.

    Raises:
        ValueError: The field does not support the operator or the value.
    """
    condition: Condition
    match operator:
        case "role" | "last_access" if value in (NO_ROLE, NEVER) and not field.shows_null:
            raise ValueError(operator)
        case "status":
            condition = {"_eq": value}
        case "role":
            condition = {"id": {"_null": True} if value == NO_ROLE else {"_eq": coerce("uuid", value)}}
        case "last_access" if value in LAST_ACCESS:
            condition = dict(LAST_ACCESS[value])
        case "is" if field.kind == RELATION:
            condition = {"id": {"_eq": coerce(field.target_key, value)}}  # type: ignore[arg-type]  # as below
        case "has" if field.kind == "string":
            condition = {"_icontains": value}
        case "is" if field.kind == "boolean" and value in BOOLEANS:
            condition = {"_eq": value == "true"}
        case "is" | "from" | "to" if field.kind in ORDERED_KINDS or (operator == "is" and field.kind in TEXT_KINDS):
            value += END_OF_DAY if operator == "to" and field.kind in MOMENTS and "T" not in value else ""
            coerce(field.kind, value)  # type: ignore[arg-type]  # a kind of the registry
            condition = {OPERATORS[operator]: value}
        case _:
            raise ValueError(operator)
    return {field.name: condition}
