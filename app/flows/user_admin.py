"""For the night when nobody can sign in: what whoever holds the server may do to users, without any door."""

import secrets
from collections.abc import AsyncIterator
from typing import Any

from app.core.caller import SYSTEM
from app.core.errors import InvalidPayload
from app.query.results import Row
from app.repositories.directory import Directory
from app.repositories.repository import UserRepository
from app.repositories.services import Services
from app.repositories.stores.login_attempts import reset_all

PAGE_SIZE = 500


def generate_password() -> str:
    """A password that nobody has had yet."""
    return secrets.token_urlsafe(12)


class UserAdmin:
    """The users, in the hands of whoever holds the server. Everything raises as the repositories do."""

    def __init__(self, services: Services) -> None:
        self._services, self._directory = services, Directory(SYSTEM, services)

    async def create(self, email: str, password: str, role: str | None = None, *, admin: bool = False) -> None:
        """Makes an active user, with the role of that name, or as an admin."""
        values: dict[str, Any] = {"email": email, "password": password, "status": "active"}
        if role is not None:
            values["role"] = await self._role(role)
        if admin:
            values["policies"] = [{"policy": await self._admin_policy()}]
        await self._users.create_one(values)

    async def set_password(self, email: str, password: str) -> None:
        """Gives a user another password, and ends its sessions."""
        await self._users.update_one(await self._user(email), {"password": password})

    async def disable_tfa(self, email: str) -> None:
        """Takes a user's second factor away."""
        await self._users.update_one(await self._user(email), {"tfa_secret": None})

    async def unlock(self) -> None:
        """Lets everybody try to sign in again who failed too often; which address failed where is kept as hashes."""
        await reset_all(self._services)

    async def make_admin(self, email: str) -> None:
        """Makes a user an active admin, by a policy of its own."""
        user = await self._user(email)
        attached = {"create": [{"policy": await self._admin_policy()}]}
        await self._users.update_one(user, {"status": "active", "policies": attached})

    async def suspend(self, email: str) -> None:
        """Suspends a user, and ends its sessions."""
        await self._users.update_one(await self._user(email), {"status": "suspended"})

    async def all(self) -> AsyncIterator[Row]:
        """Every user, in the order of their addresses: `email`, `status` and the `role` by its name."""
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
        found = await self._users.get_user_by_email(email)
        if found is None:
            raise InvalidPayload(f"There is no user with the address {email}")
        return str(found["id"])

    async def _role(self, name: str) -> str:
        found = await self._directory["roles"].get_keys_by_query({"filter": {"name": {"_eq": name}}})
        if len(found) != 1:
            raise InvalidPayload(f"There {'is no role' if not found else 'are several roles'} named {name}")
        return str(found[0])

    async def _admin_policy(self) -> Any:
        """A policy that makes an admin anywhere; one is made where there is none."""
        everywhere = {"admin_access": {"_eq": True}, "ip_access": {"_empty": True}, "enforce_tfa": {"_eq": False}}
        found = await self._directory["policies"].get_keys_by_query({"filter": everywhere, "sort": ["name"]})
        if found:
            return {"id": found[0]}
        return {"name": "Administrator", "admin_access": True, "app_access": True}
