"""The answer of a simulation: who gains and loses what, as data."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RowCounts:
    """How many rows a holder has before and after, and how many of them it gains and loses."""

    before: int
    after: int
    gained: int
    lost: int


@dataclass(frozen=True, slots=True)
class FieldRowsChange:
    """Fields that a holder gains or loses on other rows than it gains or loses the rows themselves.

    `rows` is None if they were not counted.
    """

    fields: tuple[str, ...]
    rows: RowCounts | None


@dataclass(frozen=True, slots=True)
class ActionChange:
    """How the right to perform an action on a collection changes.

    `rows` are those on which the action is allowed. It is None for `create`, if they do not change, and if they were
    not counted for lack of time (`rows_counted`). If `rows_depend_on_user`, the counts are those of the effect's first
    user. Lists of fields are `*` if they are all fields of the collection.
    """

    collection: str
    action: str
    allowed_before: bool
    allowed_after: bool
    fields_gained: tuple[str, ...]
    fields_lost: tuple[str, ...]
    values_changed: bool
    rows: RowCounts | None
    field_rows: tuple[FieldRowsChange, ...]
    rows_depend_on_user: bool
    rows_counted: bool


@dataclass(frozen=True, slots=True)
class HolderStanding:
    """What a holder is before or after; `addresses` are the IP rules of its access, None for every address.

    `expires` is when the first of its policies ends, as `2024-01-15T10:30:45.000Z`; None if they last.
    """

    active: bool
    admin_access: bool
    app_access: bool
    enforce_tfa: bool
    any_access: bool
    addresses: tuple[str, ...] | None
    expires: str | None


@dataclass(frozen=True, slots=True)
class NamedRole:
    """A role; its name is the one after the changes, or the last one if they delete it."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Effect:
    """What changes for some holders: the roles and users listed first, and the public.

    `lockouts` says what is lost altogether: `active`, `any_access`, `admin_access`, `app_access`, or `addresses` if
    access is no longer possible from everywhere.
    """

    roles: tuple[NamedRole, ...]
    roles_total: int
    users: tuple[str, ...]
    users_total: int
    public: bool
    before: HolderStanding
    after: HolderStanding
    lockouts: tuple[str, ...]
    actions: tuple[ActionChange, ...]


@dataclass(frozen=True, slots=True)
class LastAdmin:
    """The first change that a real write would refuse, because it would remove or lock out the last admin."""

    change: int
    message: str


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """The effects of changes on access, those on most users first.

    `effects` lists the first of `effects_total`. `locked_out_total` users lose all access. `admins_before` and
    `admins_after` are the numbers of active users with an admin policy.
    """

    changes: int
    ip: str | None
    effects: tuple[Effect, ...]
    effects_total: int
    roles_total: int
    users_total: int
    locked_out_total: int
    admins_before: int
    admins_after: int
    last_admin: LastAdmin | None
    failed_tests: tuple[str, ...] = ()
    """The first failures of tests of policies (POLICY_TESTS), because of which real writes would be refused."""

    @property
    def is_refused(self) -> bool:
        """Whether real writes would be refused."""
        return self.last_admin is not None or bool(self.failed_tests)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)
