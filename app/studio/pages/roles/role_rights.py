"""What a caller may do with a role and its users, so that its page offers nothing else."""

from dataclasses import dataclass

from app.studio.page_request import PageRequest
from app.studio.rights import Rights


@dataclass(frozen=True, slots=True)
class RoleRights:
    """What the page of a role offers."""

    edit: bool
    delete: bool
    see_users: bool
    """Whether the caller can see which users have the role."""
    assign: bool
    """Whether the caller may change the role of users."""
    invite: bool
    create_users: bool
    resend: bool
    revoke: bool
    see_policies: bool
    attach: bool
    detach: bool


async def role_rights(request: PageRequest, role: str) -> RoleRights:
    """Return what the caller may do with a role."""
    rights = await request.rights()
    roles = request.directory["roles"]
    see_users = _all_fields(rights, "read", "users", "id", "role")
    see_invitations = see_users and _all_fields(rights, "read", "users", "email", "status")
    may_create = _all_fields(rights, "create", "users", "email", "role")
    may_name_policies = rights.may_field("read", "policies", "id")
    see_policies = may_name_policies and _all_fields(rights, "read", "access", "id", "role", "policy")
    return RoleRights(
        edit=bool(editable_fields(rights)) and await roles.may("update", role),
        delete=rights.may("delete", "roles") and await roles.may("delete", role),
        see_users=see_users,
        assign=rights.may_field("read", "users", "id") and rights.may_field("update", "users", "role"),
        invite=may_create,
        create_users=may_create,
        resend=may_create and see_invitations,
        revoke=rights.may("delete", "users") and see_invitations,
        see_policies=see_policies,
        attach=see_policies and _all_fields(rights, "create", "access", "role", "policy"),
        detach=see_policies and rights.may("delete", "access"),
    )


def editable_fields(rights: Rights) -> list[str]:
    """Return the fields of a role that the caller may both see and change."""
    return rights.fields("update", "roles", rights.fields("read", "roles", ROLE_FIELDS))


ROLE_FIELDS = ("name", "description", "icon", "parent")
"""The fields of the form of a role."""


def _all_fields(rights: Rights, action: str, collection: str, *fields: str) -> bool:
    return rights.fields(action, collection, fields) == list(fields)
