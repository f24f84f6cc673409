"""The effects of changes before they are saved: what a simulation answers, with the names that pages show."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.studio.page_request import PageRequest

SIMULATE = """mutation Simulate($changes: [access_change_input!]!) {
  access_simulate(changes: $changes) {
    effects_total roles_total users_total locked_out_total
    last_admin { message } failed_tests
    effects {
      roles { id name } roles_total users users_total public lockouts
      before { active admin_access app_access enforce_tfa any_access addresses }
      after { active admin_access app_access enforce_tfa any_access addresses }
      actions {
        collection action allowed_before allowed_after fields_gained fields_lost values_changed
        rows { before after gained lost }
        field_rows { fields rows { gained lost } }
        rows_depend_on_user rows_counted
      }
    }
  }
}"""
NAMES = """query Names($ids: [ID]) {
  users(filter: { id: { _in: $ids } }, limit: -1) { id email first_name last_name }
}"""

Change = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ChangeEffects:
    """The answer of a simulation, and the names of its users by id; without a report there was nothing to change."""

    report: Mapping[str, Any] | None
    names: Mapping[str, str] = field(default_factory=dict)


async def change_effects(request: PageRequest, changes: Sequence[Change]) -> ChangeEffects:
    """Return the effects of changes, none of which is saved.

    Raises:
        RollcallError: A change could not be saved, or the caller is no admin.
    """
    if not changes:
        return ChangeEffects(None)
    report = (await request.execute(SIMULATE, {"changes": list(changes)}))["access_simulate"]
    users = sorted({user for effect in report["effects"] for user in effect["users"]})
    rows = (await request.execute(NAMES, {"ids": users}))["users"] if users else []
    return ChangeEffects(report, {row["id"]: _name(row) for row in rows})


def policy_changes(key: str, changed: Mapping[str, Any]) -> Iterator[Change]:
    """Yield the change of a policy's own fields, if there is any."""
    if changed:
        yield {"collection": "policies", "action": "update", "key": key, "data": dict(changed)}


def permission_changes(
    created: Sequence[Mapping[str, Any]], updated: Sequence[Any], values: Mapping[str, Any], deleted: Sequence[Any]
) -> Iterator[Change]:
    """Yield the changes of permissions: new rows, rows that get the same values, and rows that are deleted."""
    for row in created:
        yield {"collection": "permissions", "action": "create", "data": dict(row)}
    if updated:
        yield {"collection": "permissions", "action": "update", "keys": list(updated), "data": dict(values)}
    if deleted:
        yield {"collection": "permissions", "action": "delete", "keys": list(deleted)}


def _name(row: Mapping[str, Any]) -> str:
    full_name = " ".join(filter(None, (row["first_name"], row["last_name"])))
    return str(full_name or row["email"] or row["id"])
