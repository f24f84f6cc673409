"""What remains to be done with a role before anyone can work with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from app.studio.pages.roles.role_members import MemberList
from app.studio.pages.roles.role_policies import HeldPolicy
from app.studio.pages.roles.role_rights import RoleRights
from app.studio.rights import Rights


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do, on the page with this path and query."""

    text: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)


def next_steps(
    role: str,
    rights: Rights,
    may: RoleRights,
    policies: Sequence[HeldPolicy],
    members: MemberList | None,
    translate: Callable[[str], str],
) -> list[Step]:
    """Return the steps that remain, in their order, as far as the caller may take them.

    What the caller cannot see, such as the permissions of a policy, counts as done.
    """
    steps, _ = [], translate
    if may.attach and not policies and rights.may_field("create", "policies", "name"):
        steps.append(Step(_("Create policy for this role"), "/policies/new", {"role": role}))
    if policies and rights.may("create", "permissions") and not any(map(_grants_anything, policies)):
        steps.append(Step(_("Choose permissions"), f"/policies/{policies[0].id}"))
    if may.invite and members is not None and not members.total:
        steps.append(Step(_("Invite users"), f"/roles/{role}/invite"))
    return steps


def _grants_anything(policy: HeldPolicy) -> bool:
    return policy.grants is None or bool(policy.grants) or "admin_access" in policy.flags
