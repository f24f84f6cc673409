"""What `$CURRENT_USER`, `$CURRENT_ROLES`, `$NOW(-1 day)` and their kin stand for."""

from datetime import datetime
from typing import Any

from app.core.clock import adjusted
from app.policy.rules import Access
from app.query.collection import Kind
from app.query.filter import Variable
from app.query.operators import coerce


def known_values(variable: Variable, kind: Kind, access: Access, now: datetime) -> tuple[Any, ...]:
    """The values a variable has without asking the database, those that fit the kind of field they meet.

    None at all where the caller is nobody, has no role, or the value is of another kind: a rule on it then
    matches nothing.
    """
    return tuple(
        filter(lambda value: value is not None, (_fitting(kind, value) for value in _values(variable, access, now)))
    )


def _values(variable: Variable, access: Access, now: datetime) -> tuple[Any, ...]:
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
            return (adjusted(now, variable.argument) if variable.argument else now,)


def _fitting(kind: Kind, value: Any) -> Any:
    try:
        return coerce(kind, value)
    except ValueError:
        return None
