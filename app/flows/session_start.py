"""The start of a session, whichever way its user signed in: hooks, the session itself, and its record."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from app.db.transaction import WriteTransaction
from app.flows.tokens import TokenMode, session_ttl
from app.query.collection import USERS
from app.repositories.directory import Directory
from app.repositories.engine.audit_log import AuditLog
from app.repositories.hooks import LOGIN_EVENT, Accountability, HookEvent, HookSource
from app.repositories.stores.sessions import SessionGrant, SessionStore


class SessionStart:
    """Starts one session within a transaction that verified the user's credentials.

    `after_commit` is what the hooks after a login need once the transaction is committed; None without any.
    """

    def __init__(self, directory: Directory, mode: TokenMode) -> None:
        self._directory, self._services, self._mode = directory, directory.services, mode
        self.after_commit: Callable[[], Coroutine[Any, Any, None]] | None = None

    async def begin(self, writer: WriteTransaction, user: str, email: str | None) -> SessionGrant:
        """Create the session and record the login.

        Raises:
            RollcallError: A hook rejects the login or failed.
        """
        caller, client_info = self._directory.caller, self._directory.client_info()
        await self._run_hooks(user, email)
        sessions = SessionStore(writer, self._services)
        grant = await sessions.begin(user, session_ttl(self._services, self._mode), caller, client_info)
        await AuditLog(writer, user, caller, client_info).record("login", USERS, user)
        return grant

    async def _run_hooks(self, user: str, email: str | None) -> None:
        """Run the hooks before a login, and note those after it."""
        hooks, directory = self._services.hooks, self._directory
        if hooks is None:
            return
        client_info = directory.client_info()
        accountability = Accountability.from_access(await directory.access(), directory.caller, client_info)
        event = HookEvent(LOGIN_EVENT, (user,), {"email": email}, accountability, USERS.name)
        source = HookSource(self._services, directory.caller, client_info)
        await hooks.run_before(event, source)
        if LOGIN_EVENT in hooks.after:
            self.after_commit = partial(hooks.dispatch, [event], source)
