"""Lists a user's active sessions and ends them."""

from dataclasses import asdict, dataclass
from typing import Any

from app.core.timestamps import StoredTime, format_timestamp
from app.db.transaction import WriteTransaction
from app.flows.account_owner import account_owner
from app.repositories.directory import Directory
from app.repositories.stores.sessions import SessionStore, list_active_sessions


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as clients see it: where it began, and when it expires.

    `id` is derived from the session's token without revealing it. `current` is true for the session the request was
    sent from; only the signed token of a session cookie identifies it, so it is false with any other token.
    """

    id: str
    ip: str | None
    user_agent: str | None
    origin: str | None
    expires: StoredTime
    current: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as in a response, with `expires` as a timestamp string."""
        return asdict(self) | {"expires": format_timestamp(self.expires)}


class SessionListService:
    """The caller's sessions, or those of another `user`, which requires an admin.

    Every method raises InvalidCredentials for anonymous callers, APITokenRefused for callers with an API token who ask
    for their own, and Forbidden if an admin is required.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def all(self, user: str | None = None) -> list[SessionView]:
        """Return the active sessions, the one that expires last first."""
        owner = await self._owner(user)
        return [
            SessionView(
                session.public_id, session.ip, session.user_agent, session.origin, session.expires, session.current
            )
            for session in await list_active_sessions(self._services, owner, self._directory.caller.session)
        ]

    async def revoke(self, session: str | None = None, user: str | None = None) -> int:
        """End the session with this id, or all except the current one; return how many ended."""
        owner = await self._owner(user)

        async def end(writer: WriteTransaction) -> int:
            sessions = SessionStore(writer, self._services)
            if session is not None:
                return await sessions.end_one(owner, session)
            return await sessions.end_others(owner, self._directory.caller.session)

        return await self._services.database.run_write(end, exclusive=False)

    async def _owner(self, user: str | None) -> str:
        """Return the id of the user whose sessions are requested, after checking that the caller may access them."""
        owner = await account_owner(self._directory, user)
        if owner == (await self._directory.access()).user:
            await self._directory.refuse_api_token()
        return owner
