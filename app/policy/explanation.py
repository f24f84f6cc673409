"""Why a user may or may not do something, as data: each policy with its origin, and each of its permissions."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

OriginKind = Literal["user", "role", "ancestor", "public"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a policy comes from: the access row that attaches it to the user, a role, or the public."""

    kind: OriginKind
    access: str
    role: str | None = None
    role_name: str | None = None
    expires: str | None = None
    """When the access row expires, or when it did."""
    expired: bool = False

    @property
    def text(self) -> str:
        """The origin in words."""
        if self.expires is None:
            return self._holder
        return f"{self._holder}, {'expired since' if self.expired else 'until'} {self.expires}"

    @property
    def _holder(self) -> str:
        match self.kind:
            case "user":
                return "attached to the user"
            case "role":
                return f'from the role "{self.role_name}"'
            case "ancestor":
                return f'from the role "{self.role_name}", above the user\'s role'
            case "public":
                return "public, because the user has no role"


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of a rule, and whether the item fulfils it; None without an item."""

    text: str
    matches: bool | None


@dataclass(frozen=True, slots=True)
class ExplainedPermission:
    """A permission for the collection and the action; `id` is None for one that app access includes.

    `matches_item` and `includes_field` are None if the question names no item or no field. `problem` says why the
    permission grants nothing. Texts of its rule are left out for users who explain their own access.
    """

    id: int | str | None
    fields: tuple[str, ...]
    includes_field: bool | None
    matches_item: bool | None
    problem: str | None = None
    checks_written_row: bool = False
    """Whether a row, as it is created or updated, must match the rule of a permission."""
    conditions: tuple[Condition, ...] = ()
    rule: Any = None
    validation: Any = None
    presets: Any = None

    @property
    def name(self) -> str:
        """How sentences call it."""
        return "the permission of app access" if self.id is None else f"permission {self.id}"

    @property
    def grants(self) -> bool:
        """Whether the permission allows what the question is about."""
        return self.problem is None and self.matches_item is not False and self.includes_field is not False

    @property
    def lacks_only_a_match(self) -> bool:
        """Whether the permission would allow it if its rule matched the item."""
        return self.problem is None and self.matches_item is False and self.includes_field is not False

    @property
    def lacks_only_the_field(self) -> bool:
        """Whether the permission would allow it if it listed the field."""
        return self.problem is None and self.matches_item is not False and self.includes_field is False


@dataclass(frozen=True, slots=True)
class ExplainedPolicy:
    """A policy of the user; it is in force, or it is not at the address of the question, or it has expired."""

    id: str
    name: str
    origins: tuple[Origin, ...]
    in_force: bool
    ip_access: tuple[str, ...]
    admin_access: bool
    app_access: bool
    permissions: tuple[ExplainedPermission, ...]

    @property
    def would_allow(self) -> bool:
        """Whether the policy allows what the question is about wherever it is in force."""
        return self.admin_access or any(permission.grants for permission in self.permissions)

    @property
    def expired(self) -> bool:
        """Whether every access row that attaches the policy has expired."""
        return bool(self.origins) and all(origin.expired for origin in self.origins)

    @property
    def text(self) -> str:
        """The policy and its origins in words."""
        return f'policy "{self.name}" ({", ".join(origin.text for origin in self.origins)})'


@dataclass(frozen=True, slots=True)
class Explanation:
    """The answer to a question about access.

    `reasons` are sentences, `enough` are changes of which each alone would allow it, as far as permissions decide.
    """

    allowed: bool
    user: str | None
    status: str | None
    collection: str
    action: str
    item: str | None
    field: str | None
    ip: str | None
    reasons: tuple[str, ...]
    enough: tuple[str, ...]
    policies: tuple[ExplainedPolicy, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a question is about, in the words of sentences."""

    action: str
    collection: str
    item: str | None
    field: str | None

    @property
    def text(self) -> str:
        """For example `read "email" of this item in directus_users`."""
        field = f'"{self.field}" of ' if self.field else ""
        target = "this item in " if self.item else ("rows of " if field else "")
        return f"{self.action} {field}{target}{self.collection}"


def reasons(subject: Subject, policies: tuple[ExplainedPolicy, ...]) -> Iterator[str]:
    """Yield what each policy contributes, in sentences."""
    for policy in policies:
        if policy.expired:
            yield f"{_start(policy.text)} is not in force: it has expired."
        elif not policy.in_force:
            yield (
                f"{_start(policy.text)} is not in force at this address: it applies at "
                f"{', '.join(policy.ip_access)} only."
            )
        elif policy.admin_access:
            yield f"{_start(policy.text)} has admin access, which allows everything."
        else:
            yield from (_permission_reason(subject, policy, permission) for permission in policy.permissions)
    if not any(policy.permissions or (policy.admin_access and policy.in_force) for policy in policies):
        yield f"No policy of the user has a permission to {subject.action} {subject.collection}."


def _permission_reason(subject: Subject, policy: ExplainedPolicy, permission: ExplainedPermission) -> str:
    start = f"{_start(permission.name)} of {policy.text}"
    if permission.problem is not None:
        return f"{start} grants nothing: {permission.problem}."
    if permission.grants:
        after = " The row must match its rule after the write, too." if permission.checks_written_row else ""
        return f"{start} allows to {subject.text}.{after}"
    failed = [condition.text for condition in permission.conditions if condition.matches is False]
    parts = []
    if permission.matches_item is False:
        parts.append("its rule does not match this item" + (f" ({'; '.join(failed)} is false)" if failed else ""))
    if permission.includes_field is False:
        parts.append(f'its fields do not include "{subject.field}"')
    return f"{start} does not allow it: {' and '.join(parts)}."


def changes_that_would_allow(subject: Subject, policies: tuple[ExplainedPolicy, ...]) -> Iterator[str]:
    """Yield changes of which each alone would allow what the question is about."""
    for policy in policies:
        if policy.expired:
            if policy.would_allow:
                yield f'Set a later "expires" on the access row of {policy.text}, or remove it.'
            continue
        if not policy.in_force:
            if policy.would_allow:
                yield f"Use an address that {policy.text} allows: {', '.join(policy.ip_access)}."
            continue
        for permission in policy.permissions:
            if permission.lacks_only_the_field:
                yield f'Add "{subject.field}" to the fields of {permission.name} of policy "{policy.name}".'
            if permission.lacks_only_a_match:
                yield f'Change the rule of {permission.name} of policy "{policy.name}" so that it matches this item.'
    field = f' with the field "{subject.field}"' if subject.field else ""
    yield (
        f"Add a permission to {subject.action} {subject.collection}{field} to a policy of the user, or attach a policy "
        "that has one to the user or its role."
    )


def _start(text: str) -> str:
    return text[:1].upper() + text[1:]
