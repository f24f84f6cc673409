"""The values of filter variables such as `$CURRENT_USER`, `$CURRENT_ROLES` and `$NOW(-1 day)`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from app.core.bindings import BoundParameter, SlotList
from app.core.clock import adjusted
from app.policy.rules import Access
from app.query.coercion import BINDABLE_KINDS, coerce, coerce_list
from app.query.collection import FieldKind
from app.query.filter import Variable


def resolve_variable(
    variable: Variable, kind: FieldKind, access: Access, now: datetime | BoundParameter, *, in_list: bool = False
) -> tuple[Any, ...]:
    """Return a variable's values without a database query, each coerced to the kind of the field it is compared with.

    If the operator takes a list (`in_list`), a plan binds a list as one BoundParameter, the only item.

    The result is empty if the caller is anonymous, has no role, or the value is of another kind: a rule that uses
    the variable then matches nothing.
    """
    values = _values(variable, access, now)
    if in_list and isinstance(values, SlotList) and kind in BINDABLE_KINDS:
        return (coerce_list(kind, values),)
    return tuple(filter(lambda value: value is not None, (_coerced(kind, value) for value in values)))


def _values(variable: Variable, access: Access, now: datetime | BoundParameter) -> Sequence[Any]:
    match variable.name:
        case "CURRENT_USER":
            return (access.user,)
        case "CURRENT_ROLE":
            return (access.state.role,)
        case "CURRENT_ROLES":
            return access.roles
        case "CURRENT_POLICIES":
            return access.policies
        case _:
            return (_adjusted_now(now, variable.argument) if variable.argument else now,)


def _adjusted_now(now: datetime | BoundParameter, argument: str) -> datetime | BoundParameter:
    if isinstance(now, BoundParameter):
        compute = now.compute
        return BoundParameter(
            f"{now.name}{argument}", now.sources, now.sample, lambda bindings: adjusted(compute(bindings), argument)
        )
    return adjusted(now, argument)


def _coerced(kind: FieldKind, value: Any) -> Any:
    try:
        return coerce(kind, value)
    except ValueError:
        return None
