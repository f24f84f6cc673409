"""Roles, policies, permissions and attachments as they are stored, read within one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select

from app.core.timestamps import format_timestamp
from app.db.models import ACCESS_EXPIRY, Access, Permission, Policy, Role
from app.db.transaction import WriteTransaction
from app.policy.access_expiry import WITH_EXPIRY
from app.policy_files.policy_document import PERMISSION_VALUES, POLICY_DEFAULTS, ROLE_DEFAULTS

_ROLES, _POLICIES, _PERMISSIONS, _ACCESS = Role.__table__, Policy.__table__, Permission.__table__, Access.__table__
ATTACHMENT_COLUMNS = ("id", "role", "policy", "sort")
ATTACHMENTS = (
    select(*(_ACCESS.c[name] for name in ATTACHMENT_COLUMNS), ACCESS_EXPIRY.c.expires)
    .select_from(WITH_EXPIRY)
    .where(_ACCESS.c.user.is_(None))
    .order_by(_ACCESS.c.id)
)
StoredRow = Mapping[str, Any]
ROLE_COLUMNS = ("id", "name", *ROLE_DEFAULTS, "parent")
POLICY_COLUMNS = ("id", "name", *POLICY_DEFAULTS)
PERMISSION_COLUMNS = ("id", "policy", "collection", "action", *PERMISSION_VALUES)


@dataclass(frozen=True, slots=True)
class StoredRights:
    """The stored roles and policies, the permissions by policy, and the attachments by role, None for the public.

    Attachments are access rows without a user.
    """

    roles: Sequence[StoredRow]
    policies: Sequence[StoredRow]
    _permissions: Mapping[str, Sequence[StoredRow]]
    _attachments: Mapping[str | None, Sequence[StoredRow]]

    def permissions_of(self, policy: str) -> list[StoredRow]:
        """Return the permissions of a policy, in the order of their ids."""
        return list(self._permissions.get(policy, ()))

    def attachments_of(self, role: str | None) -> list[StoredRow]:
        """Return what is attached to a role, or to the public for None, in the order of its ids."""
        return list(self._attachments.get(role, ()))


async def read_stored_rights(writer: WriteTransaction) -> StoredRights:
    """Return the rows as this transaction sees them."""
    attachments = [
        {**row, "expires": format_timestamp(row["expires"]) if row["expires"] else None}
        for row in await _rows(writer, ATTACHMENTS, (*ATTACHMENT_COLUMNS, "expires"))
    ]
    return StoredRights(
        await _rows(writer, _select(_ROLES, ROLE_COLUMNS).order_by(_ROLES.c.id), ROLE_COLUMNS),
        await _rows(writer, _select(_POLICIES, POLICY_COLUMNS).order_by(_POLICIES.c.id), POLICY_COLUMNS),
        _grouped(
            await _rows(
                writer, _select(_PERMISSIONS, PERMISSION_COLUMNS).order_by(_PERMISSIONS.c.id), PERMISSION_COLUMNS
            ),
            "policy",
        ),
        _grouped(attachments, "role"),
    )


def _grouped(rows: Iterable[StoredRow], name: str) -> Mapping[Any, Sequence[StoredRow]]:
    groups: dict[Any, list[StoredRow]] = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return groups


def _select(table: Any, names: Sequence[str]) -> Select[Any]:
    return select(*(table.c[name] for name in names))


async def _rows(writer: WriteTransaction, statement: Select[Any], names: Sequence[str]) -> list[StoredRow]:
    rows = await writer.rows(writer.prepare(statement))
    return [dict(zip(names, row, strict=True)) for row in rows]
