"""Records that a write changed the access of users, for a Directus on the same database."""

from app.repositories.engine.context import WriteContext
from app.repositories.stores.directus_nodes import count_user_change


async def record_user_changes(work: WriteContext) -> None:
    """Record, in the transaction of the write, that it changed the role or status of users, or deleted users.

    Writes to roles, policies, access rows and permissions need no record, because triggers change the access version.
    """
    if work.affected.user_access:
        await count_user_change(work.writer)
