"""Exports and erases what is stored about a person, for operators: with system permissions."""

from dataclasses import asdict
from typing import Any

import orjson

from app.core.caller import Caller
from app.core.errors import InvalidPayload
from app.core.timestamps import format_timestamp
from app.db.transaction import WriteTransaction
from app.policy.policy_origins import origins_query
from app.query.collection import ROLES
from app.repositories.commands.user_erasures import EraseUser
from app.repositories.directory import Directory
from app.repositories.personal_data.personal_rows import PersonalDataReader
from app.repositories.personal_data.stored_rows import read_rows, refers_to
from app.repositories.services import Services


async def export_personal_data(services: Services, user: str) -> dict[str, Any]:
    """Return everything stored about a user, without secrets, as read in one transaction.

    Raises:
        InvalidPayload: There is no such user.
    """
    policies = await _read_policies(services, user)

    async def read(writer: WriteTransaction) -> dict[str, Any]:
        reader = PersonalDataReader(writer, services.registry, user)
        row = await reader.read_user()
        if row is None:
            raise InvalidPayload("There is no such user")
        roles = await read_rows(writer, ROLES.name, refers_to(row["role"], "id")) if row["role"] else []
        email: str | None = row["email"]
        references = await reader.count_references()
        return {
            "exported": services.clock().isoformat(timespec="seconds"),
            "user": row,
            "role": roles[0] if roles else None,
            "policies": policies,
            "rows": await reader.read_tables(email),
            "counted_attempts": await reader.count_attempts(email),
            "references": [{name: asdict(one)[name] for name in ("table", "column", "count")} for one in references],
        }

    return await services.database.run_write(read, exclusive=False, background=True)


async def erase_user(directory: Directory, user: str, *, dry_run: bool = False) -> EraseUser:
    """Erase a user in one transaction and return what was done; with `dry_run`, what would be done.

    Raises:
        Forbidden: There is no such user, or the caller is no admin.
        UnprocessableContent: The last admin would go.
    """
    erasure, users = EraseUser(user), directory["users"]
    await (users.dry_run(erasure) if dry_run else users.write(erasure))
    return erasure


async def _read_policies(services: Services, user: str) -> list[dict[str, Any]]:
    """Return the policies of a user, each once for every access row that attaches it."""
    access, _, _ = await services.access_cache.inspect(Caller(user=user))
    rows = orjson.loads((await services.reader.fetch(origins_query(user, access.roles)))[0])
    return [
        {
            "policy": policy,
            "name": name,
            "role": role,
            "role_name": role_name,
            "own": owner is not None,
            "expires": None if expires is None else format_timestamp(expires),
        }
        for _, policy, name, role, role_name, owner, expires in rows
    ]
