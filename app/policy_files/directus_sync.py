"""Reads the roles, policies and permissions of a dump of directus-sync, https://github.com/tractr/directus-sync.

A dump names rows by `_syncId`: the id that a row had when it was first dumped, or a fixed word for the rows that each
Directus has. JSON is read as YAML, which it is, so that errors name lines.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from app.policy_files.document_reader import canonical_id, check_document
from app.policy_files.located import Entry, Located, suggestion
from app.policy_files.policy_document import (
    ACTIONS,
    PERMISSION_VALUES,
    POLICY_DEFAULTS,
    ROLE_DEFAULTS,
    RULES,
    Attachment,
    EntryReference,
    PermissionEntry,
    PolicyDocument,
    PolicyEntry,
    RoleEntry,
)
from app.policy_files.yaml_reader import read_yaml

ROLES, POLICIES, PERMISSIONS = FILES = ("roles.json", "policies.json", "permissions.json")
PUBLIC_POLICY = "_sync_default_public_policy"
SYNC_ID = "_syncId"
FLAGS = ("enforce_tfa", "admin_access", "app_access")

Attached = dict[str, list[Attachment]]
"""The attachments by the `_syncId` of their role."""


def read_dump(files: Mapping[str, bytes], folder: Path) -> PolicyDocument:
    """Return the document of the files of a dump.

    directus-sync stores an attachment to a user like one to the public, without a role. Only that of the public policy
    of Directus is taken for one to the public; others are left out with a warning.

    Raises:
        DocumentError: A file is invalid, or a permission belongs to a policy that is not in the dump.
    """
    items = {name: list(_items(name, files, folder)) for name in FILES}
    roles, policies = _by_sync_id(items[ROLES]), _by_sync_id(items[POLICIES])
    permissions: dict[str, list[PermissionEntry]] = {}
    for entry in items[PERMISSIONS]:
        policy = _known(entry.require("policy"), policies, f"policy {{}} in {POLICIES}")
        permissions.setdefault(policy, []).append(_permission(entry))
    attachments = _Attachments({}, [], [])
    for sync_id, entry in policies.items():
        _add_attachments(attachments, sync_id, entry, roles)
    return check_document(
        PolicyDocument(
            tuple(_role(sync_id, entry, roles, attachments.by_role) for sync_id, entry in roles.items()),
            tuple(_policy(sync_id, entry, permissions.get(sync_id, [])) for sync_id, entry in policies.items()),
            tuple(attachments.public) if attachments.public else None,
            public_is_complete=False,
            warnings=tuple(attachments.warnings),
        )
    )


class _Attachments(NamedTuple):
    """The attachments by the `_syncId` of their role, those to the public, and warnings about others."""

    by_role: Attached
    public: list[Attachment]
    warnings: list[str]


def _add_attachments(attachments: _Attachments, sync_id: str, policy: Entry, roles: Mapping[str, Entry]) -> None:
    """Add what a policy is attached to."""
    reference = _reference(sync_id, policy)
    for item in policy.items("roles"):
        holder = Entry("an item of 'roles'", item.mapping("an item of 'roles'"), item.at)
        sort, role = holder.get("sort"), holder.get("role")
        attachment = Attachment(reference, None if sort is None else sort.integer("'sort'"))
        if role is not None:
            name = _known(role, roles, f"role {{}} in {ROLES}")
            attachments.by_role.setdefault(name, []).append(attachment)
        elif sync_id == PUBLIC_POLICY:
            attachments.public.append(attachment)
        else:
            attachments.warnings.append(
                f"{item.at}: the policy {reference} is attached to a user or to the public, "
                "which a dump does not distinguish. This attachment is left out."
            )


def _by_sync_id(entries: Iterable[Entry]) -> dict[str, Entry]:
    by_id: dict[str, Entry] = {}
    for entry in entries:
        value = entry.require(SYNC_ID)
        if by_id.setdefault(value.text(SYNC_ID), entry) is not entry:
            raise value.at.error(f"the {SYNC_ID} {value.value!r} occurs twice.")
    return by_id


def _known(value: Located, entries: Mapping[str, Entry], what: str) -> str:
    """Return a `_syncId` that is one of those of the entries."""
    if (name := value.text(SYNC_ID)) not in entries:
        raise value.at.error(f"there is no {what.format(repr(name))}.")
    return name


def _items(name: str, files: Mapping[str, bytes], folder: Path) -> Iterator[Entry]:
    content = files.get(name, b"[]")
    located = read_yaml(content if content.strip() else b"[]", str(folder / name))
    for item in located.items("the file"):
        yield Entry("an item", item.mapping("an item"), item.at)


def _role(sync_id: str, entry: Entry, roles: Mapping[str, Entry], attached: Attached) -> RoleEntry:
    parent = entry.get("parent")
    above = None if parent is None else _known(parent, roles, f"role {{}} in {ROLES}")
    return RoleEntry(
        canonical_id(sync_id),
        entry.require("name").text("'name'"),
        entry.at,
        _values(entry, ROLE_DEFAULTS),
        None if above is None else _reference(above, roles[above]),
        tuple(attached.get(sync_id, ())),
    )


def _policy(sync_id: str, entry: Entry, permissions: list[PermissionEntry]) -> PolicyEntry:
    flags = {name: entry.optional_flag(name) for name in FLAGS}
    values = {**_values(entry, POLICY_DEFAULTS, flags), "ip_access": entry.texts("ip_access") or None}
    name = entry.require("name").text("'name'")
    return PolicyEntry(canonical_id(sync_id), name, entry.at, values, tuple(permissions))


def _permission(entry: Entry) -> PermissionEntry:
    action = entry.require("action")
    if (name := action.text("'action'")) not in ACTIONS:
        raise action.at.error(f"there is no action {name!r}. {suggestion(name, ACTIONS)}")
    located: dict[str, Located] = {key: entry.values[key] for key in PERMISSION_VALUES if key in entry.values}
    rules = {key: None if (rule := entry.get(key)) is None else rule.plain() for key in RULES}
    values = {"fields": entry.texts("fields") or None, **rules}
    return PermissionEntry(entry.require("collection").text("'collection'"), name, values, entry.at, located)


def _values(entry: Entry, defaults: Mapping[str, Any], others: Mapping[str, Any] | None = None) -> dict[str, Any]:
    others = others or {}
    return {
        name: others[name] if name in others else _text(entry, name, default)
        for name, default in defaults.items()
        if name != "ip_access"
    }


def _text(entry: Entry, name: str, default: str | None) -> str | None:
    text = entry.optional_text(name)
    return default if text is None else text


def _reference(sync_id: str, entry: Entry) -> EntryReference:
    return EntryReference(canonical_id(sync_id), entry.require("name").text("'name'"), entry.at)
