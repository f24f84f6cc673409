"""Refresh and logout of sessions."""

from app.core.caller import ResponseCookie
from app.core.config import signing_secret
from app.core.errors import InvalidCredentials, InvalidPayload
from app.core.tokens import verify_access_token
from app.db.transaction import WriteTransaction
from app.flows.single_sign_on.renewal import confirmed_by_provider, may_renew
from app.flows.tokens import TokenMode, Tokens, issue_tokens, session_ttl
from app.repositories.commands.accounts import AccountStore
from app.repositories.directory import Directory
from app.repositories.stores.sessions import SessionGrant, SessionStore, to_stored_token


class SessionService:
    """Refreshes and ends sessions.

    A session is identified by its token: in session mode the signed token of the session cookie, in cookie mode the
    refresh token passed or that of its cookie, in JSON mode the refresh token passed.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def refresh(self, refresh_token: str | None, mode: TokenMode) -> Tokens:
        """Replace a session's token and return new tokens.

        Raises:
            InvalidPayload: There is no token.
            InvalidCredentials: No session has this token, or its user is no longer active.
            InvalidToken, TokenExpired: In session mode, the signed token is invalid or expired. In any mode, the user's
                provider does not let the user stay signed in, which ends the session.
            ServiceUnavailable: The database, or the provider of the user, is unavailable.
        """
        grant = await self._rotate(refresh_token, mode)
        account = await AccountStore(self._services).by_id(grant.user)
        if account is None or not may_renew(account, self._services):
            raise InvalidCredentials
        has_tfa = account.has_second_factor
        return await issue_tokens(self._services, grant, mode, self._directory.caller.ip, has_tfa=has_tfa)

    async def logout(self, refresh_token: str | None, mode: TokenMode) -> ResponseCookie:
        """End a session, if the token has one, and return the cookie that clears the client's.

        Raises:
            InvalidPayload: There is no token.
            InvalidCredentials, InvalidToken, TokenExpired: In session mode, the signed token is invalid or expired.
        """
        token = self._token(refresh_token, mode)
        stored = self._stored_session(token) if mode is TokenMode.SESSION else None

        async def end(writer: WriteTransaction) -> None:
            sessions = SessionStore(writer, self._services)
            await sessions.end(stored or to_stored_token(token, self._services))

        await self._services.database.run_write(end, exclusive=False)
        return ResponseCookie("session" if mode is TokenMode.SESSION else "refresh")

    async def _rotate(self, refresh_token: str | None, mode: TokenMode) -> SessionGrant:
        token, ttl = self._token(refresh_token, mode), session_ttl(self._services, mode)
        stored = self._stored_session(token) if mode is TokenMode.SESSION else None

        async def rotate(writer: WriteTransaction) -> SessionGrant | None:
            sessions = SessionStore(writer, self._services)
            if stored is None:
                return await sessions.rotate(token, ttl)
            return await sessions.rotate_with_grace(stored, ttl, self._directory.caller, self._directory.client_info())

        async with confirmed_by_provider(self._services, stored or to_stored_token(token, self._services)):
            grant = await self._services.database.run_write(rotate, exclusive=False)
        if grant is None:
            raise InvalidCredentials
        return grant

    def _token(self, refresh_token: str | None, mode: TokenMode) -> str:
        settings, cookies = self._services.settings, self._directory.client_info().cookies
        if mode is TokenMode.SESSION:
            token = cookies.get(settings.session_cookie_name)
        elif mode is TokenMode.COOKIE:
            token = refresh_token or cookies.get(settings.refresh_token_cookie_name)
        else:  # never the cookie's: JSON mode would return its successor, which the cookie hides from scripts
            token = refresh_token
        if not token:
            raise InvalidPayload("The refresh token is required in either the payload or cookie")
        return token

    def _stored_session(self, signed: str) -> str:
        """Return the stored form of the session that a signed token belongs to."""
        session = verify_access_token(signed, signing_secret(self._services.settings)).session
        if session is None:
            raise InvalidCredentials
        return session
