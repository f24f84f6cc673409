"""Writes the stored roles and policies as a document, always in the same order and format."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.core.errors import OperatorError
from app.db.base import dump_json
from app.db.database import Database
from app.db.transaction import WriteTransaction
from app.policy_files.document_reader import ATTACHMENT_VALUES
from app.policy_files.policy_document import ACTIONS, PERMISSION_VALUES, POLICY_DEFAULTS, ROLE_DEFAULTS, RULES
from app.policy_files.secret_presets import without_secrets
from app.policy_files.stored_rights import StoredRights, StoredRow, read_stored_rights
from app.policy_files.yaml_writer import InlineMapping, write_yaml
from app.query.collection import Registry


async def export_rights(database: Database, registry: Registry) -> str:
    """Return the document of what a database stores at one moment.

    Raises:
        OperatorError: As `export_text`.
        ServiceUnavailable: The database is unavailable.
    """

    async def read(writer: WriteTransaction) -> str:
        return export_text(await read_stored_rights(writer), registry)

    return await database.run_write(read, exclusive=False)


def export_text(stored: StoredRights, registry: Registry) -> str:
    """Return the document with everything that is stored, secrets in presets excepted.

    Raises:
        OperatorError: A permission's rule is no mapping, so a document cannot hold it.
    """
    roles = {role["id"]: role for role in stored.roles}
    policies = {policy["id"]: policy for policy in stored.policies}
    document: dict[str, Any] = {
        "roles": [_role(role, roles, policies, stored) for role in _by_name(stored.roles)],
        "policies": [_policy(policy, stored, registry) for policy in _by_name(stored.policies)],
        "public": {"policies": _attachments(stored.attachments_of(None), policies)},
    }
    return write_yaml(document)


def _role(
    role: StoredRow, roles: Mapping[str, StoredRow], policies: Mapping[str, StoredRow], stored: StoredRights
) -> dict[str, Any]:
    entry = {"id": role["id"], "name": role["name"], **_changed(role, ROLE_DEFAULTS)}
    if role["parent"] is not None:
        entry["parent"] = _reference(roles[role["parent"]])
    if attached := _attachments(stored.attachments_of(role["id"]), policies):
        entry["policies"] = attached
    return entry


def _policy(policy: StoredRow, stored: StoredRights, registry: Registry) -> dict[str, Any]:
    entry = {"id": policy["id"], "name": policy["name"], **_changed(policy, POLICY_DEFAULTS)}
    permissions = sorted(
        (_permission(row, policy, registry) for row in stored.permissions_of(policy["id"])), key=_permission_order
    )
    if permissions:
        entry["permissions"] = permissions
    return entry


def _permission(row: StoredRow, policy: StoredRow, registry: Registry) -> dict[str, Any]:
    for name in RULES:
        if row[name] is not None and not isinstance(row[name], dict):
            raise OperatorError(
                f'Permission {row["id"]} of policy "{policy["name"]}" cannot be exported: its {name} are no object.'
            )
    values = {name: row[name] for name in PERMISSION_VALUES} | {
        "presets": without_secrets(row["presets"], row["collection"], registry)
    }
    present = {name: _sorted(value) for name, value in values.items() if value not in (None, [])}
    return {"collection": row["collection"], "action": row["action"], **present}


def _permission_order(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    action = entry["action"]
    number = ACTIONS.index(action) if action in ACTIONS else len(ACTIONS)
    return entry["collection"], number, dump_json(entry)


def _attachments(rows: Iterable[StoredRow], policies: Mapping[str, StoredRow]) -> list[Any]:
    """Return references to the attached policies, in order; a policy that is attached twice once."""
    first: dict[str, StoredRow] = {}
    for row in sorted(rows, key=lambda row: attachment_order(row["sort"], policies[row["policy"]])):
        first.setdefault(row["policy"], row)
    return [
        InlineMapping(
            _reference(policies[key]) | {name: row[name] for name in ATTACHMENT_VALUES if row[name] is not None}
        )
        for key, row in first.items()
    ]


def attachment_order(sort: int | None, policy: StoredRow) -> tuple[Any, ...]:
    """Return the key that orders the policies attached to the same: by number, then by name."""
    return sort is None, sort or 0, policy["name"], policy["id"]


def _reference(row: StoredRow) -> InlineMapping:
    return InlineMapping({"id": row["id"], "name": row["name"]})


def _changed(row: StoredRow, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that are not the default ones; an empty list is the same as none."""
    return {name: row[name] for name, default in defaults.items() if row[name] not in (default, [])}


def _by_name(rows: Sequence[StoredRow]) -> list[StoredRow]:
    return sorted(rows, key=lambda row: (row["name"], row["id"]))


def _sorted(value: Any) -> Any:
    """Return a value with the keys of all mappings in order; lists stay as they are."""
    match value:
        case dict():
            return {key: _sorted(value[key]) for key in sorted(value)}
        case list():
            return [_sorted(item) for item in value]
        case _:
            return value
