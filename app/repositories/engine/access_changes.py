"""Which writes may change what anyone may do, so that they must not run beside other writes."""

from app.query.collection import USERS
from app.query.payload import Payload

CONCURRENT_COLLECTIONS = {"directus_users", "directus_files", "directus_folders"}
"""Collections whose rows can be written concurrently, as long as no user's access changes."""
ACCESS_FIELDS = {USERS.fields["role"], USERS.fields["status"]}


def changes_access(action: str, payload: Payload) -> bool:
    """Return whether writing a payload, or one nested in it, may change access rights."""
    return any(_changes_access(action, nested) for nested in payload.walk())


def _changes_access(action: str, payload: Payload) -> bool:
    if payload.collection.name not in CONCURRENT_COLLECTIONS or payload.legacy:
        return True
    return bool(payload.to_many) or (action != "create" and bool(ACCESS_FIELDS & payload.fields))
