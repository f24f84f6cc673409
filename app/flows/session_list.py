"""Where one is signed in, and signing out there from here; an admin does so for anybody."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from app.core.errors import Forbidden, InvalidCredentials, TwoFactorSetupRequired
from app.core.values import format_timestamp
from app.db.transaction import WriteTransaction
from app.query.collection import USERS
from app.query.payload import parse_key
from app.repositories.directory import Directory
from app.repositories.stores.sessions import SessionStore, list_active_sessions


@dataclass(frozen=True, slots=True)
class SessionView:
    """A session as it is told of: from where it was begun, and until when it is good.

    `id` is made of its token, but doesn't give it away. `current` says that the caller asks from this one, which only
    the signed token of a session cookie shows: who shows another token asks from none.
    """

    id: str
    ip: str | None
    user_agent: str | None
    origin: str | None
    expires: datetime
    current: bool

    def as_dict(self) -> dict[str, Any]:
        """The same, its moment spelled as the wire has it."""
        return asdict(self) | {"expires": format_timestamp(self.expires)}


class SessionListService:
    """The caller's sessions.

    With `user` given they are that user's; unless that is the caller itself, it takes an admin. Everything raises
    InvalidCredentials where nobody asks, Forbidden where it takes an admin.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def all(self, user: str | None = None) -> list[SessionView]:
        """The sessions that go on, the one that lasts longest first."""
        whose = await self._whose(user)
        return [
            SessionView(one.handle, one.ip, one.user_agent, one.origin, one.expires, one.current)
            for one in await list_active_sessions(self._services, whose, self._directory.caller.session)
        ]

    async def revoke(self, session: str | None = None, user: str | None = None) -> int:
        """Ends the session with this id, or all but the one that the caller asks from; how many that were."""
        whose = await self._whose(user)

        async def work(writer: WriteTransaction) -> int:
            sessions = SessionStore(writer, self._services)
            if session is not None:
                return await sessions.end_one(whose, session)
            return await sessions.end_others(whose, self._directory.caller.session)

        return await self._services.database.run_write(work, exclusive=False)

    async def _whose(self, user: str | None) -> str:
        access = await self._directory.fresh_access()
        if access.user is None:
            raise InvalidCredentials
        if access.tfa_setup_required:
            raise TwoFactorSetupRequired
        wanted = access.user if user is None else str(parse_key(USERS, user))
        if wanted != access.user and not access.admin:
            raise Forbidden
        return wanted
