"""The changes that make the stored rights those of a document, in the order in which they can be written."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from app.db.base import dump_json
from app.policy_files.located import Position
from app.policy_files.matching import EntryMatch, Matcher
from app.policy_files.policy_document import (
    Attachment,
    PermissionEntry,
    PolicyDocument,
    PolicyEntry,
    RoleEntry,
)
from app.policy_files.secret_presets import secrets_of
from app.policy_files.stored_rights import StoredRights, StoredRow
from app.query.collection import Registry

ChangeKind = Literal["create", "update", "delete"]
CollectionName = Literal["roles", "policies", "permissions", "access"]


@dataclass(frozen=True, slots=True)
class RightsChange:
    """A row that is created, updated or deleted.

    `values` are those to write, `before` the stored ones of the same fields. `subject` names the row for people; names
    in it are JSON texts, so that no terminal takes a part for a command. `at` is where the document describes the row,
    None for what it does not.
    """

    kind: ChangeKind
    collection: CollectionName
    key: Any
    subject: str
    values: Mapping[str, Any]
    before: Mapping[str, Any]
    at: Position | None
    entry: PermissionEntry | None = None
    """The permission of the document that is created or updated."""
    names: Mapping[str, str] = field(default_factory=dict)
    """The names of the roles whose ids are among the values."""


def changes_to(
    document: PolicyDocument, stored: StoredRights, registry: Registry, *, prune: bool = False
) -> list[RightsChange]:
    """Return the changes to the stored rights; with `prune`, roles and policies that are not described are deleted.

    Raises:
        DocumentError: A reference or an entry has no match, or several.
    """
    return list(_Comparison(document, stored, registry).changes(prune=prune))


class _Comparison:
    """Compares one document with the stored rights."""

    def __init__(self, document: PolicyDocument, stored: StoredRights, registry: Registry) -> None:
        self._document, self._stored, self._registry = document, stored, registry
        self._roles: Matcher[RoleEntry] = Matcher("role", document.roles, stored.roles)
        self._policies: Matcher[PolicyEntry] = Matcher("policy", document.policies, stored.policies)
        self._names = {row["id"]: row["name"] for row in (*stored.roles, *stored.policies)}
        self._names |= {match.key: match.entry.name for match in self._roles.matches}
        self._names |= {match.key: match.entry.name for match in self._policies.matches}

    def changes(self, *, prune: bool) -> Iterator[RightsChange]:
        for role in self._parents_first():
            yield from self._row_changes("roles", role, self._role_values(role.entry))
        for policy in self._policies.matches:
            yield from self._row_changes("policies", policy, {"name": policy.entry.name, **policy.entry.values})
        for policy in self._policies.matches:
            yield from self._permission_changes(policy)
        for role in self._roles.matches:
            yield from self._attachment_changes(role.key, role.entry.policies, role.entry.at, is_complete=True)
        if (public := self._document.public) is not None:
            yield from self._attachment_changes(None, public, None, is_complete=self._document.public_is_complete)
        if prune:
            yield from self._deletions()

    def _deletions(self) -> Iterator[RightsChange]:
        for row in self._policies.unmatched:
            yield RightsChange("delete", "policies", row["id"], f"policy {dump_json(row['name'])}", {}, {}, None)
        for row in self._roles.unmatched:
            yield RightsChange("delete", "roles", row["id"], f"role {dump_json(row['name'])}", {}, {}, None)

    def _role_values(self, entry: RoleEntry) -> dict[str, Any]:
        parent = None if entry.parent is None else self._roles.resolve(entry.parent)
        return {"name": entry.name, **entry.values, "parent": parent}

    def _parents_first(self) -> list[EntryMatch[RoleEntry]]:
        """Return the roles, each after its parent, so that no order of updates makes a temporary cycle."""
        by_key = {match.key: match for match in self._roles.matches}
        ordered: dict[str, EntryMatch[RoleEntry]] = {}

        for match in self._roles.matches:
            path: dict[str, EntryMatch[RoleEntry]] = {}
            current: EntryMatch[RoleEntry] | None = match
            while current is not None and current.key not in ordered:
                if current.key in path:
                    raise current.entry.at.error(f'the role "{current.entry.name}" is an ancestor of itself.')
                path[current.key] = current
                parent = current.entry.parent
                current = None if parent is None else by_key.get(self._roles.resolve(parent))
            ordered |= {step.key: step for step in reversed(path.values())}
        return list(ordered.values())

    def _row_changes(
        self, collection: CollectionName, match: EntryMatch[Any], values: Mapping[str, Any]
    ) -> Iterator[RightsChange]:
        kind = "role" if collection == "roles" else "policy"
        subject, at = f"{kind} {dump_json(match.entry.name)}", match.entry.at
        if match.stored is None:
            created = {"id": match.key, **values}
            yield RightsChange("create", collection, match.key, subject, created, {}, at, names=self._names)
        elif changed := _difference(values, match.stored):
            before = {name: match.stored[name] for name in changed}
            yield RightsChange("update", collection, match.key, subject, changed, before, at, names=self._names)

    def _permission_changes(self, match: EntryMatch[PolicyEntry]) -> Iterator[RightsChange]:
        """Pair entries with stored permissions of the same collection and action, equal ones first."""
        name = dump_json(match.entry.name)
        remaining = self._stored.permissions_of(match.key) if match.stored is not None else []
        unpaired: list[tuple[PermissionEntry, Mapping[str, Any]]] = []
        for entry in match.entry.permissions:
            equal = next((row for row in remaining if self._is_same(entry, row)), None)
            if equal is None:
                unpaired.append((entry, entry.values))
            else:
                remaining.remove(equal)
        for entry, values in unpaired:
            subject = f"permission of policy {name} to {entry.action} {entry.collection}"
            row = next((row for row in remaining if _has_target(row, entry)), None)
            if row is None:
                created = {"policy": match.key, "collection": entry.collection, "action": entry.action, **values}
                yield RightsChange("create", "permissions", None, subject, created, {}, entry.at, entry)
                continue
            remaining.remove(row)
            changed = _difference(self._with_secrets(entry, row), row)
            before = {name: row[name] for name in changed}
            yield RightsChange("update", "permissions", row["id"], subject, changed, before, entry.at, entry)
        for row in remaining:
            subject = f"permission of policy {name} to {row['action']} {row['collection']}"
            yield RightsChange("delete", "permissions", row["id"], subject, {}, {}, match.entry.at)

    def _is_same(self, entry: PermissionEntry, row: StoredRow) -> bool:
        return _has_target(row, entry) and not _difference(self._with_secrets(entry, row), row)

    def _with_secrets(self, entry: PermissionEntry, row: StoredRow) -> Mapping[str, Any]:
        """Return the values of an entry with the stored presets of secret fields, which no document contains."""
        secrets = secrets_of(row["presets"], entry.collection, self._registry)
        return {**entry.values, "presets": {**(entry.values["presets"] or {}), **secrets}} if secrets else entry.values

    def _attachment_changes(
        self, role: str | None, attachments: Sequence[Attachment], at: Position | None, *, is_complete: bool
    ) -> Iterator[RightsChange]:
        holder = "the public" if role is None else f"role {dump_json(self._names[role])}"
        stored: dict[str, StoredRow] = {}
        rows = sorted(self._stored.attachments_of(role), key=lambda row: (row["sort"] is None, row["sort"] or 0))
        duplicates = [row for row in rows if stored.setdefault(row["policy"], row) is not row]
        for policy, attachment in self._resolved(attachments).items():
            stored_row = stored.pop(policy, None)
            subject = f"policy {dump_json(self._names[policy])} of {holder}"
            if stored_row is None:
                values = {"role": role, "policy": policy, **attachment.values}
                yield RightsChange("create", "access", None, subject, values, {}, attachment.policy.at)
            elif changed := _difference(attachment.values, stored_row):
                before = {name: stored_row[name] for name in changed}
                yield RightsChange("update", "access", stored_row["id"], subject, changed, before, attachment.policy.at)
        for row in (*stored.values(), *duplicates) if is_complete else ():
            subject = f"policy {dump_json(self._names[row['policy']])} of {holder}"
            yield RightsChange("delete", "access", row["id"], subject, {}, {}, at)

    def _resolved(self, attachments: Iterable[Attachment]) -> dict[str, Attachment]:
        resolved: dict[str, Attachment] = {}
        for attachment in attachments:
            policy = self._policies.resolve(attachment.policy)
            if resolved.setdefault(policy, attachment) is not attachment:
                raise attachment.policy.at.error(f"the policy {attachment.policy} is attached twice.")
        return resolved


def _has_target(row: StoredRow, entry: PermissionEntry) -> bool:
    return (row["collection"], row["action"]) == (entry.collection, entry.action)


def _difference(values: Mapping[str, Any], row: StoredRow) -> dict[str, Any]:
    """Return the values that are not stored yet; an empty list is the same as none."""
    return {name: value for name, value in values.items() if _canonical(value) != _canonical(row[name])}


def _canonical(value: Any) -> str | None:
    """Return a text that is the same for equal JSON values, whatever the order of keys; 1 and true are not equal."""
    return None if value in (None, []) else json.dumps(value, sort_keys=True)
