"""Staying signed in, and signing out."""

from app.core.caller import ResponseCookie
from app.core.config import signing_secret
from app.core.errors import InvalidCredentials, InvalidPayload
from app.core.tokens import verify_access_token
from app.db.transaction import WriteTransaction
from app.flows.tokens import TokenMode, Tokens, issue_tokens, session_ttl
from app.repositories.commands.accounts import AccountStore
from app.repositories.directory import Directory
from app.repositories.stores.sessions import SessionGrant, SessionStore


class SessionService:
    """A session's refreshes and its end, for whoever stands at the door with its token.

    In session mode that is the signed token of the session cookie, otherwise a refresh token: given, or in cookie mode
    that of its cookie.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def refresh(self, given: str | None, mode: TokenMode) -> Tokens:
        """New tokens for old ones.

        Raises InvalidPayload where no token is shown, InvalidCredentials where it is that of no session, or its user
        isn't active any more, and in session mode what reading a signed token raises.
        """
        begun = await self._begun(given, mode)
        account = await AccountStore(self._services).by_id(begun.user)
        if account is None or not account.can_use_password:
            raise InvalidCredentials
        second = account.tfa_secret is not None
        return await issue_tokens(self._services, begun, mode, self._directory.caller.ip, second_factor=second)

    async def logout(self, given: str | None, mode: TokenMode) -> ResponseCookie:
        """Signs out; nothing is said of a token that was none. What is given back takes the cookie away.

        Raises InvalidPayload where no token is shown, and as reading a signed token does.
        """
        shown = self._shown(given, mode)
        stored = self._session(shown) if mode is TokenMode.SESSION else None

        async def work(writer: WriteTransaction) -> None:
            sessions = SessionStore(writer, self._services)
            await sessions.end(stored or sessions.stored(shown))

        await self._services.database.run_write(work, exclusive=False)
        return ResponseCookie("session" if mode is TokenMode.SESSION else "refresh")

    async def _begun(self, given: str | None, mode: TokenMode) -> SessionGrant:
        shown, ttl = self._shown(given, mode), session_ttl(self._services, mode)
        stored = self._session(shown) if mode is TokenMode.SESSION else None

        async def work(writer: WriteTransaction) -> SessionGrant | None:
            sessions = SessionStore(writer, self._services)
            if stored is None:
                return await sessions.rotate(shown, ttl)
            return await sessions.rotate_with_grace(stored, ttl, self._directory.caller, self._directory.client_info())

        begun = await self._services.database.run_write(work, exclusive=False)
        if begun is None:
            raise InvalidCredentials
        return begun

    def _shown(self, given: str | None, mode: TokenMode) -> str:
        settings, cookies = self._services.settings, self._directory.client_info().cookies
        if mode is TokenMode.SESSION:
            shown = cookies.get(settings.session_cookie_name)
        elif mode is TokenMode.COOKIE:
            shown = given or cookies.get(settings.refresh_token_cookie_name)
        else:  # what a cookie hides from scripts isn't told to them for having it refreshed
            shown = given
        if not shown:
            raise InvalidPayload("The refresh token is required in either the payload or cookie")
        return shown

    def _session(self, signed: str) -> str:
        """The session that a signed token belongs to."""
        session = verify_access_token(signed, signing_secret(self._services.settings)).session
        if session is None:
            raise InvalidCredentials
        return session
