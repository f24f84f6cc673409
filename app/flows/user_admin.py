"""User administration for operators, with system permissions: for the command line, not for any endpoint."""

from collections.abc import AsyncIterator
from typing import Any

from app.core.caller import SYSTEM
from app.core.errors import InvalidPayload
from app.db.models import PASSKEYS
from app.db.transaction import WriteTransaction
from app.query.results import Row
from app.repositories.directory import Directory
from app.repositories.engine.audit_log import AuditLog
from app.repositories.repository import UserRepository
from app.repositories.services import Services
from app.repositories.stores.login_attempts import reset_all
from app.repositories.stores.passkeys import PasskeyStore

PAGE_SIZE = 500


class UserAdmin:
    """Administers users with system permissions. Every method raises as the repositories do."""

    def __init__(self, services: Services) -> None:
        self._services, self._directory = services, Directory(SYSTEM, services)

    async def create(self, email: str, password: str, role: str | None = None, *, admin: bool = False) -> None:
        """Create an active user with the role of this name, or with admin access."""
        values: dict[str, Any] = {"email": email, "password": password, "status": "active"}
        if role is not None:
            values["role"] = await self._role(role)
        if admin:
            values["policies"] = [{"policy": await self._admin_policy()}]
        await self._users.create_one(values)

    async def set_password(self, email: str, password: str) -> None:
        """Set a user's password and end the user's sessions."""
        await self._users.update_one(await self._user(email), {"password": password})

    async def disable_tfa(self, email: str) -> None:
        """Disable a user's two-factor authentication."""
        await self._users.update_one(await self._user(email), {"tfa_secret": None})

    async def disable_passkeys(self, email: str) -> None:
        """Revoke all passkeys of a user."""
        user = await self._user(email)

        async def revoke(writer: WriteTransaction) -> None:
            audit_log = AuditLog(writer, None, SYSTEM, self._directory.client_info())
            for key in await PasskeyStore(writer, self._services).delete_all(user):
                await audit_log.record_in("delete", PASSKEYS.name, key)

        await self._services.database.run_write(revoke, exclusive=False)

    async def unlock(self) -> None:
        """End all lockouts: the attempt counters store only hashes, so a single user's can't be selected."""
        await reset_all(self._services)

    async def make_admin(self, email: str) -> None:
        """Activate a user and grant admin access with a policy attached to the user."""
        user = await self._user(email)
        attached = {"create": [{"policy": await self._admin_policy()}]}
        await self._users.update_one(user, {"status": "active", "policies": attached})

    async def suspend(self, email: str) -> None:
        """Suspend a user and end the user's sessions."""
        await self._users.update_one(await self._user(email), {"status": "suspended"})

    async def all(self) -> AsyncIterator[Row]:
        """Yield every user, ordered by email, as `email`, `status` and the name of the `role`."""
        size = min(PAGE_SIZE, self._directory.services.limits.max_rows or PAGE_SIZE)
        query = {"fields": ["email", "status", "role.name"], "sort": ["email", "id"], "limit": size}
        page = 1
        while rows := await self._users.read_by_query({**query, "page": page}):
            for row in rows:
                yield {**row, "role": row["role"] and row["role"]["name"]}
            page += 1

    @property
    def _users(self) -> UserRepository:
        return self._directory["users"]

    async def _user(self, email: str) -> str:
        user = await self._users.get_user_by_email(email)
        if user is None:
            raise InvalidPayload(f"There is no user with the email {email}")
        return str(user["id"])

    async def _role(self, name: str) -> str:
        keys = await self._directory["roles"].get_keys_by_query({"filter": {"name": {"_eq": name}}})
        if len(keys) != 1:
            raise InvalidPayload(f"There {'is no role' if not keys else 'are several roles'} named {name}")
        return str(keys[0])

    async def _admin_policy(self) -> Any:
        """Return a policy with unconditional admin access, by its id, or as a new one if there is none."""
        unconditional = {"admin_access": {"_eq": True}, "ip_access": {"_empty": True}, "enforce_tfa": {"_eq": False}}
        keys = await self._directory["policies"].get_keys_by_query({"filter": unconditional, "sort": ["name"]})
        if keys:
            return {"id": keys[0]}
        return {"name": "Administrator", "admin_access": True, "app_access": True}
