"""The columns of the list of users, for the fields that the caller may read: what each selects and sorts by."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.errors import Forbidden
from app.studio.page_request import PageRequest
from app.studio.pages.tools.row_reference import reference_selection
from app.studio.pages.users.user_fields import RELATION, UserField, field_labels, table_custom_fields
from app.studio.rights import Rights

NAMES = ("first_name", "last_name")
PLAIN_COLUMNS = ("status", "last_access", "title", "location", "language", "provider", "external_identifier")
DEFAULT_COLUMNS = ("name", "email", "role", "status", "last_access")
KINDS = {"last_access": "timestamp", "status": "status"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `fields` are paths as in exports; the list is sorted by those of `sort`, none if it cannot be."""

    name: str
    label: str
    kind: str
    fields: tuple[str, ...]
    sort: tuple[str, ...]
    selection: str
    target: str = ""
    """The collection that a relation refers to, without its prefix."""


def readable_columns(request: PageRequest, rights: Rights) -> Mapping[str, Column]:
    """Return the columns that the caller may read, by name; the first one is the name of the user.

    Raises:
        Forbidden: The caller may read no user at all.
    """
    if not rights.fields("read", "users", ["id", *NAMES, "email"]):
        raise Forbidden
    labels = field_labels(request.translate)
    columns = [_name_column(request, rights)]
    columns += [_plain(name, labels[name]) for name in rights.listed_fields(["email"])]
    columns += [_role_column(labels["role"])] if may_list_roles(rights) else []
    columns += [_plain(name, labels[name]) for name in rights.listed_fields(PLAIN_COLUMNS)]
    custom = [field for field in table_custom_fields(request) if rights.listed_fields([field.name])]
    columns += [column for column in (_custom(rights, field) for field in custom) if column]
    return {column.name: column for column in columns}


def may_see_roles(rights: Rights) -> bool:
    """Return whether the caller may see which role a user has."""
    may_name = rights.may_follow("users", "role") and rights.may_fields("read", "roles", ["id", "name"])
    return may_name and rights.may_field("read", "users", "role")


def may_list_roles(rights: Rights) -> bool:
    """Return whether the caller may see the roles of other users than itself, unless it sees no other ones."""
    return may_see_roles(rights) and bool(rights.listed_fields(["role"]))


def shows_field(rights: Rights, field: str, key: str | None = None) -> bool:
    """Return whether null in a field of a user means that it is empty: it and what it may refer to are visible.

    `key` is the user; None stands for every user that the caller may see.
    """
    if not rights.shows("users", field, key):
        return False
    target = rights.target("users", field)
    if target is None or rights.shows_all_rows(target, ["id"]):
        return True
    return field == "role" and rights.is_own(key) and not rights.has_role


def may_see_avatars(rights: Rights) -> bool:
    """Return whether the caller may see the pictures of users."""
    return rights.may_field("read", "users", "avatar") and rights.may_field("read", "files", "id")


def _name_column(request: PageRequest, rights: Rights) -> Column:
    names = tuple(rights.fields("read", "users", NAMES))
    fallback = tuple(rights.fields("read", "users", ["id", "email"]))
    selection = [*fallback, *names, *(["avatar { id }"] if may_see_avatars(rights) else [])]
    return Column("name", request.translate("Name"), "name", names or fallback, names[::-1], " ".join(selection))


def _role_column(label: str) -> Column:
    return Column("role", label, "role", ("role.name",), ("role.name",), "role { id name }")


def _custom(rights: Rights, field: UserField) -> Column | None:
    """Return the column of a custom field; None if it refers to rows of which the caller may not read the ids."""
    if field.kind != RELATION:
        return _plain(field.name, field.label, field.kind)
    if not (selection := reference_selection(rights, "users", field.name)):
        return None
    path = (f"{field.name}.{selection.split()[-1]}",)
    return Column(field.name, field.label, RELATION, path, path, f"{field.name} {{ {selection} }}", field.target)


def _plain(name: str, label: str, kind: str = "string") -> Column:
    return Column(name, label, KINDS.get(name, kind), (name,), (name,), name)
