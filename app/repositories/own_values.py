"""The values that the variables of permissions have for a caller, as JSON, for reports about the permissions."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from app.core.caller import SYSTEM
from app.core.errors import InvalidQuery
from app.core.timestamps import format_timestamp
from app.policy.permission_summary import PermissionGrant
from app.policy.preset_values import find_variables, is_list_variable, replace_variables
from app.policy.rules import Access
from app.policy.variables import resolve_variable
from app.query.collection import USERS, Registry
from app.query.filter import Variable
from app.query.results import Row
from app.repositories.repository import Repository
from app.repositories.services import Services


async def with_preset_values(
    grants: Iterable[PermissionGrant], access: Access, services: Services
) -> list[PermissionGrant]:
    """Return permissions with the variables in their presets replaced by their values for a caller.

    Presets whose variables are invalid stay as they are: a write that needs them reports the error.
    """
    grants = list(grants)
    variables = [_variables(services.registry, grant) for grant in grants]
    known = {text: variable for found in variables for text, variable in found.items()}
    values = await _own_values(known, access, services) if known else {}
    return [
        replace(grant, presets=replace_variables(grant.presets, values)) if found else grant
        for grant, found in zip(grants, variables, strict=True)
    ]


def _variables(registry: Registry, grant: PermissionGrant) -> dict[str, Variable]:
    try:
        return find_variables(registry, grant.presets)
    except InvalidQuery:
        return {}


async def _own_values(variables: Mapping[str, Variable], access: Access, services: Services) -> dict[str, Any]:
    paths = {text: _own_path(variable) for text, variable in variables.items() if _is_readable(variable)}
    row = await _own_row(paths.values(), access, services)
    values: dict[str, Any] = {text: _value_at(row, path.split(".")) for text, path in paths.items()}
    for text, variable in variables.items():
        if not variable.path:
            values[text] = _value_without_path(variable, access, services)
    return {text: values.get(text) for text in variables}


def _is_readable(variable: Variable) -> bool:
    """Return whether a variable is a path in the caller's row without a secret in it."""
    return bool(variable.path) and not any(field.concealed for field in variable.path)


def _own_path(variable: Variable) -> str:
    """Return a variable's path from the caller's row to a field that is no relation."""
    start = () if variable.name == "CURRENT_USER" else ("role",)
    end = (USERS.key.name,) if variable.path[-1].relation else ()
    return ".".join((*start, *(field.name for field in variable.path), *end))


async def _own_row(paths: Iterable[str], access: Access, services: Services) -> Row:
    """Return the fields of the caller's row, whatever the caller may read: permissions depend on what is stored."""
    fields = list(paths)
    users = Repository(services.registry.own(USERS), SYSTEM, services)
    return await users.read_one(access.user, {"fields": fields}) if fields else {}


def _value_at(value: Any, path: list[str]) -> Any:
    if isinstance(value, list):
        return [_value_at(item, path) for item in value]
    return _value_at(value.get(path[0]), path[1:]) if path and isinstance(value, dict) else value


def _value_without_path(variable: Variable, access: Access, services: Services) -> Any:
    if variable.name == "NOW":
        (moment,) = resolve_variable(variable, "timestamp", access, services.clock())
        return format_timestamp(moment)
    values = resolve_variable(variable, "string", access, services.clock())
    return list(values) if is_list_variable(variable) else next(iter(values), None)
