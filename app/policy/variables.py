"""What `$CURRENT_USER`, `$CURRENT_ROLES`, `$NOW(-1 day)` and their kin stand for."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.core.bindings import BoundParameter, SlotList
from app.core.clock import adjusted
from app.policy.rules import Access
from app.query.collection import FieldKind
from app.query.filter import Variable
from app.query.operators import BINDABLE, coerce, coerce_list


def resolve_variable(
    variable: Variable, kind: FieldKind, access: Access, now: datetime | BoundParameter, *, listed: bool = False
) -> tuple[Any, ...]:
    """The values a variable has without asking the database, those that fit the kind of field they meet.

    In a plan a whole list is one Bound where it may stand in a list (`listed`).

    None at all where the caller is nobody, has no role, or the value is of another kind: a rule on it then
    matches nothing.
    """
    values = _values(variable, access, now)
    if listed and isinstance(values, SlotList) and kind in BINDABLE:
        return (coerce_list(kind, values),)
    return tuple(filter(lambda value: value is not None, (_fitting(kind, value) for value in values)))


def _values(variable: Variable, access: Access, now: datetime | BoundParameter) -> Sequence[Any]:
    match variable.name:
        case "CURRENT_USER":
            return (access.user,)
        case "CURRENT_ROLE":
            return (access.standing.role,)
        case "CURRENT_ROLES":
            return access.roles
        case "CURRENT_POLICIES":
            return access.policies
        case _:
            return (_moment(now, variable.argument) if variable.argument else now,)


def _moment(now: datetime | BoundParameter, argument: str) -> datetime | BoundParameter:
    if isinstance(now, BoundParameter):
        at = now.compute
        return BoundParameter(
            f"{now.name}{argument}", now.sources, now.sample, lambda given: adjusted(at(given), argument)
        )
    return adjusted(now, argument)


def _fitting(kind: FieldKind, value: Any) -> Any:
    try:
        return coerce(kind, value)
    except ValueError:
        return None
