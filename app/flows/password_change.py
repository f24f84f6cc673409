"""Password change: a user replaces the own password, which only the current one permits."""

from app.core.errors import Forbidden, InvalidCredentials
from app.flows.link_input import check_new_password
from app.flows.login import LoginService
from app.flows.tokens import TokenMode, Tokens, issue_tokens, session_ttl
from app.repositories.commands.accounts import AccountStore
from app.repositories.commands.password_changes import ChangeOwnPassword
from app.repositories.directory import Directory


class PasswordChange:
    """Changes the caller's own password."""

    def __init__(self, directory: Directory) -> None:
        self._directory, self._services = directory, directory.services

    async def change(self, current: str, password: str) -> Tokens:
        """Set a new password, end all sessions of the caller, and return the tokens of a new session.

        The attempt is counted like a login. The new session needs no one-time password: the caller's session had one.

        Raises:
            InvalidCredentials: The current password is wrong, or there were too many attempts.
            Forbidden: The caller may not change the own password.
            RollcallError: The new password is invalid, as a user update raises.
        """
        await self._directory.refuse_api_token()
        user = (await self._directory.fresh_access()).user
        account = await AccountStore(self._services).by_id(user) if user else None
        if account is None or account.email is None:
            raise InvalidCredentials
        check_new_password(password)
        login, email = LoginService(self._directory), account.email
        if (await login.check_password(email, current)).id != account.id:
            raise InvalidCredentials
        users, mode = self._directory["users"], TokenMode.SESSION
        command = ChangeOwnPassword(
            users.update_command([account.id], {"password": password}),
            account.id,
            self._directory.client_info(),
            session_ttl(self._services, mode),
        )
        await users.write(command)
        if command.grant is None:
            raise Forbidden
        await self._services.database.run_write(lambda writer: login.reset_attempts(writer, email), exclusive=False)
        has_tfa = account.has_second_factor
        return await issue_tokens(self._services, command.grant, mode, self._directory.caller.ip, has_tfa=has_tfa)
