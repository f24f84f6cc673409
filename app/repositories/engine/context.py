"""What business rules see of the unit of work: its context, and the facts it collects for the checks at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from app.core.caller import Caller
from app.db.transaction import WriteTransaction
from app.policy.permission_summary import PermissionGrant
from app.policy.rules import Access
from app.query.collection import Collection, Field
from app.query.payload import Payload
from app.repositories.engine.table import RowStore
from app.repositories.services import Services, UserLimits

RowValues = dict[Field, Any]


@dataclass(slots=True)
class AffectedRights:
    """What a write may have granted, or taken from somebody: looked into once all of it is written."""

    roles: set[str] = field(default_factory=set)
    """Roles that somebody was given, or that others now inherit from."""
    policies: set[str] = field(default_factory=set)
    """Policies that were attached to a role, to a user, or to everybody."""
    edited: set[str] = field(default_factory=set)
    """Policies that say something else than before."""
    permissions: set[int] = field(default_factory=set)
    users: set[str] = field(default_factory=set)
    """Other people whose credentials were changed."""
    admins: bool = False
    """Whether somebody may have ceased to be an admin, or to get in."""
    counts: bool = False
    """Whether there may be more users of a kind."""

    def requires_exclusive_lock(self, limits: UserLimits) -> bool:
        """Whether what is looked into has to stay as it is until the end."""
        return self.admins or (self.counts and limits != UserLimits())


@dataclass(frozen=True, slots=True)
class WrittenRow:
    """A row that was written, and which fields of it: it has to be within its writer's rules afterwards too."""

    action: str
    collection: Collection
    key: Any
    fields: frozenset[Field]


@dataclass(slots=True)
class TouchedFiles:
    """The contents in the storage that one transaction is about, by their names."""

    laid: set[str] = field(default_factory=set)
    """Those that lie there for the rows it writes."""
    bared: set[str] = field(default_factory=set)
    """Those that no row of it needs any more: they go once it is certain that it came to be."""


class WriteContext(Protocol):
    """One caller's writes within one transaction, as collection rules and directory checks see them."""

    writer: WriteTransaction
    caller: Caller
    access: Access
    """The caller's access when the transaction began."""
    services: Services
    now: datetime
    affected: AffectedRights
    files: TouchedFiles
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

    async def grants(self) -> Sequence[PermissionGrant]:
        """Return the permissions the caller held before the first write; empty for admins."""
        ...
