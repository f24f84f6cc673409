"""What business rules see of the unit of work: its context, and the facts it collects for the checks at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from app.core.caller import Caller
from app.core.errors import RollcallError
from app.core.request_budget import RequestBudget
from app.db.transaction import WriteTransaction
from app.policy.grantor_rights import GrantedPolicy
from app.policy.rules import Access
from app.query.collection import ACCESS, PERMISSIONS, POLICIES, ROLES, Collection, Field
from app.query.payload import Payload
from app.repositories.engine.table import RowStore
from app.repositories.services import Services, UserLimits

RowValues = dict[Field, Any]

DEFINING_COLLECTIONS = frozenset(collection.name for collection in (ROLES, POLICIES, ACCESS, PERMISSIONS))
"""The collections whose rows define who may do what."""


@dataclass(slots=True)
class AffectedRights:
    """What a transaction may have changed that depends on other rows, mostly rights; checked after its last write."""

    users: set[str] = field(default_factory=set)
    """Users whose role or attached policies changed."""
    roles: set[str] = field(default_factory=set)
    """Roles whose parent or attached policies changed."""
    public: bool = False
    """Whether the policies attached to the public changed."""
    policies: set[str] = field(default_factory=set)
    """Policies that were created or deleted, or whose flags or permissions changed."""
    activated_users: set[str] = field(default_factory=set)
    """Users who may log in, or accept an invitation, and could not do so before."""
    users_with_new_credentials: set[str] = field(default_factory=set)
    """Users other than the caller whose sign-in fields changed."""
    registration_roles: set[str] = field(default_factory=set)
    """Roles that visitors can give themselves because of a changed setting."""
    admins: bool = False
    """Whether a user may have ceased to be an active admin."""
    definitions: bool = False
    """Whether roles, policies, access rows or permissions were written."""
    user_access: bool = False
    """Whether the role or status of a user changed, or a user was deleted."""
    user_counts: bool = False
    """Whether the number of active users of a kind may have grown."""
    email_with_spellings: bool = False
    """Whether an email was written whose domain has two spellings, which the database does not keep unique."""
    folder_moved: bool = False
    """Whether a folder got another parent."""

    def note_write(self, collection: Collection) -> None:
        """Note that rows of a collection are written or deleted."""
        self.definitions = self.definitions or collection.name in DEFINING_COLLECTIONS

    @property
    def changes_rights(self) -> bool:
        """Whether anyone may have gained a right, or control of a user."""
        return self.public or any(
            (
                self.users,
                self.roles,
                self.policies,
                self.activated_users,
                self.users_with_new_credentials,
                self.registration_roles,
            )
        )

    def requires_exclusive_lock(self, limits: UserLimits) -> bool:
        """Return whether the checks hold only if no other transaction writes meanwhile."""
        reads_other_rows = self.admins or self.folder_moved or self.email_with_spellings
        return reads_other_rows or (self.user_counts and limits != UserLimits())


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """A written row and its written fields; in the end it must still match the rules that allowed the write."""

    action: str
    collection: Collection
    key: Any
    fields: frozenset[Field]


@dataclass(slots=True)
class TouchedFiles:
    """The stored files that one transaction touches, by name."""

    stored: set[str] = field(default_factory=set)
    """Files that were stored for the rows it writes."""
    orphaned: set[str] = field(default_factory=set)
    """Files that no row refers to any longer; they are removed after the commit."""


class WriteContext(Protocol):
    """One caller's writes within one transaction, as collection rules and directory checks see them."""

    writer: WriteTransaction
    caller: Caller
    access: Access
    """The caller's access when the transaction began."""
    services: Services
    budget: RequestBudget
    now: datetime
    affected: AffectedRights
    files: TouchedFiles
    preset_hashes: dict[str, str]
    """The hashes of passwords that come from presets: one for each, because hashing holds up the transaction."""
    last_error: RollcallError | None
    """An error that is raised after all else has succeeded, so that a write that fails anyway does not reveal it."""
    signed_out_self: bool
    """Whether the caller's own row or its sessions are gone."""

    def rows(self, collection: Collection) -> RowStore:
        """Return the stored rows of a collection."""
        ...

    async def update_derived(self, collection: Collection, row: RowValues, values: RowValues) -> None:
        """Update a row as a consequence of another write: recorded, but no permission is required."""
        ...

    async def is_unchanged(self, payload: Payload, row: Mapping[Field, Any]) -> bool:
        """Return whether a payload only repeats what is stored and readable for the caller."""
        ...

    async def readable(self, payload: Payload) -> bool:
        """Return whether the caller may read every field of a payload on that very row."""
        ...

    async def held_policies(self) -> Sequence[GrantedPolicy]:
        """Return the policies attached to the caller before the first write."""
        ...
