"""Reads a document from the located values of a file."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from app.core.ip_addresses import is_ip_rule
from app.core.timestamps import format_timestamp, parse_date
from app.core.values import canonical_uuid
from app.policy_files.located import DocumentError, Entry, Located, suggestion
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

SECTIONS = ("roles", "policies", "public", "tests")
ATTACHMENT_VALUES = ("sort", "expires")
FLAGS = ("enforce_tfa", "admin_access", "app_access")


def read_document(located: Located) -> PolicyDocument:
    """Return the document of one file.

    Raises:
        DocumentError: A key is unknown, a value has the wrong type, or something is described twice.
    """
    sections = located.entry("the file", SECTIONS)
    public = sections.get("public")
    return check_document(
        PolicyDocument(
            tuple(_role(item) for item in sections.items("roles")),
            tuple(_policy(item) for item in sections.items("policies")),
            None if public is None else _attachments(public.entry("'public'", ("policies",))),
            tests=tuple(sections.items("tests")),
        )
    )


def merge(documents: Iterable[PolicyDocument]) -> PolicyDocument:
    """Return one document with the content of several.

    Raises:
        DocumentError: Two of them describe the same.
    """
    parts = list(documents)
    described = [part.public for part in parts if part.public is not None]
    for other in described[1:]:
        where = other[0].policy.at if other else None
        raise DocumentError(f"{f'{where}: ' if where else ''}the policies of the public are described twice.")
    return check_document(
        PolicyDocument(
            tuple(role for part in parts for role in part.roles),
            tuple(policy for part in parts for policy in part.policies),
            described[0] if described else None,
            tests=tuple(test for part in parts for test in part.tests),
        )
    )


def check_document(document: PolicyDocument) -> PolicyDocument:
    """Return the document itself.

    Raises:
        DocumentError: Two roles or two policies have the same id, or the same name and not both an id.
    """
    for kind, entries in (("role", document.roles), ("policy", document.policies)):
        _check_unique(kind, entries)
    return document


def canonical_id(text: str) -> str | None:
    """Return an id as the database stores it; None if the text is no id."""
    try:
        return canonical_uuid(text) if len(text) == 36 else None
    except ValueError:
        return None


def reference_to(value: Located, name: str) -> EntryReference:
    """Return a reference: a text that is an id or a name, or a mapping with `id`, `name` or both.

    Raises:
        DocumentError: It is neither.
    """
    if isinstance(value.value, dict):
        entry = value.entry(name, ("id", "name"))
        reference = EntryReference(_id(entry), entry.optional_text("name"), value.at)
        if reference.id is None and reference.name is None:
            raise value.at.error(f"{name} needs 'id' or 'name'.")
        return reference
    text = value.text(name)
    key = canonical_id(text)
    return EntryReference(key, None if key else text, value.at)


def _check_unique(kind: str, entries: Iterable[RoleEntry | PolicyEntry]) -> None:
    ids: dict[str, RoleEntry | PolicyEntry] = {}
    names: dict[str, RoleEntry | PolicyEntry] = {}
    for entry in entries:
        if entry.id is not None and (other := ids.setdefault(entry.id, entry)) is not entry:
            raise entry.at.error(f"the {kind} {entry.id} occurs twice, first in {other.at}.")
        other = names.setdefault(entry.name, entry)
        if other is not entry and None in (entry.id, other.id):
            raise entry.at.error(f'the {kind} "{entry.name}" occurs twice, first in {other.at}. Give each an id.')


def _role(value: Located) -> RoleEntry:
    entry = value.entry("a role", ("id", "name", *ROLE_DEFAULTS, "parent", "policies"))
    parent = entry.get("parent")
    return RoleEntry(
        _id(entry),
        _name(entry),
        value.at,
        {name: _text_or_default(entry, name, default) for name, default in ROLE_DEFAULTS.items()},
        None if parent is None else reference_to(parent, "'parent'"),
        _attachments(entry),
    )


def _policy(value: Located) -> PolicyEntry:
    entry = value.entry("a policy", ("id", "name", *POLICY_DEFAULTS, "permissions"))
    readers: Mapping[str, Callable[[str], Any]] = {
        "ip_access": lambda _: _addresses(entry),
        **dict.fromkeys(FLAGS, entry.optional_flag),
    }
    values = {
        name: readers[name](name) if name in readers else _text_or_default(entry, name, default)
        for name, default in POLICY_DEFAULTS.items()
    }
    permissions = tuple(_permission(item) for item in entry.items("permissions"))
    return PolicyEntry(_id(entry), _name(entry), value.at, values, permissions)


def _permission(value: Located) -> PermissionEntry:
    entry = value.entry("a permission", ("collection", "action", *PERMISSION_VALUES))
    action = entry.require("action")
    if (name := action.text("'action'")) not in ACTIONS:
        raise action.at.error(f"there is no action {name!r}. {suggestion(name, ACTIONS)}")
    rules: dict[str, Any] = {}
    for key in RULES:
        rule = entry.get(key)
        if rule is not None:
            rule.mapping(repr(key))
        rules[key] = None if rule is None else rule.plain()
    located = {key: entry.values[key] for key in PERMISSION_VALUES if key in entry.values}
    return PermissionEntry(
        entry.require("collection").text("'collection'"),
        name,
        {"fields": _fields(entry), **rules},
        value.at,
        located,
    )


def _fields(entry: Entry) -> list[str] | None:
    names = entry.texts("fields")
    for item, name in zip(entry.items("fields"), names or (), strict=True):
        if "," in name:
            raise item.at.error("a field must not contain a comma. Use one item for each field.")
    return names or None


def _addresses(entry: Entry) -> list[str] | None:
    addresses = entry.texts("ip_access")
    for item, address in zip(entry.items("ip_access"), addresses or (), strict=True):
        if not is_ip_rule(address):
            raise item.at.error(f"{address!r} is no IP address, network or range.")
    return addresses or None


def _attachments(entry: Entry) -> tuple[Attachment, ...]:
    return tuple(_attachment(item) for item in entry.items("policies"))


def _attachment(value: Located) -> Attachment:
    name = "an item of 'policies'"
    if not isinstance(value.value, dict):
        return Attachment(reference_to(value, name))
    entry = value.entry(name, ("id", "name", *ATTACHMENT_VALUES))
    rest = {key: item for key, item in entry.values.items() if key not in ATTACHMENT_VALUES}
    sort, expires = entry.get("sort"), entry.get("expires")
    return Attachment(
        reference_to(Located(rest, value.at, value.key_positions), name),
        None if sort is None else sort.integer("'sort'"),
        None if expires is None else _time(expires),
    )


def _time(value: Located) -> str | None:
    try:
        return format_timestamp(parse_date(value.text("'expires'")))
    except ValueError as error:
        raise value.at.error(f"'expires': {error}.") from None


def _id(entry: Entry) -> str | None:
    value = entry.get("id")
    if value is None:
        return None
    if (key := canonical_id(value.text("'id'"))) is None:
        raise value.at.error(f"{value.value!r} is no id. It must be a UUID.")
    return key


def _name(entry: Entry) -> str:
    return entry.require("name").text("'name'")


def _text_or_default(entry: Entry, name: str, default: str | None) -> str | None:
    text = entry.optional_text(name)
    return default if text is None else text
