"""Bootstrap: migrates the database and creates the first admin, the public policy and the settings if missing."""

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.core.config import Settings
from app.core.email_addresses import email_spellings
from app.core.errors import OperatorError, RollcallError
from app.core.hashing import hash_password
from app.db import seeds
from app.db.database import Database
from app.db.email_index import duplicate_spellings, ensure_email_index
from app.db.migrate import migrate_up_in_transaction
from app.db.models import Access, Policy, Role, User
from app.db.models import Settings as SettingsRow
from app.passwords.generation import generate_password
from app.policy.role_tree import select_active_admins
from app.repositories.rules.password_policy import check_quality


@dataclass(frozen=True, slots=True)
class BootstrapResult:
    """What bootstrap did: the email of the admin it created, if any, and the password if it was generated.

    `duplicate_emails` are emails that several users share, ignoring case and the spelling of the domain. While there
    are any that differ in case only, the database cannot enforce unique emails; only Rollcall's own writes check them.
    """

    admin: str | None = None
    password: str | None = field(default=None, repr=False)
    duplicate_emails: tuple[str, ...] = ()


async def bootstrap(database: Database, settings: Settings) -> BootstrapResult:
    """Migrate the database and, unless it has an active admin, create one with the public policy and settings.

    If there is an active admin, no row is changed, so bootstrap can be repeated.

    Raises:
        OperatorError: The migration failed, ADMIN_EMAIL belongs to a user who is no active admin, or ADMIN_PASSWORD is
            not acceptable.
    """
    configured_password = settings.admin_password.get_secret_value() if settings.admin_password else None
    password = configured_password or generate_password(settings.password_min_length)

    async def work(connection: AsyncConnection) -> BootstrapResult:
        await migrate_up_in_transaction(connection)
        duplicates = await connection.run_sync(ensure_email_index)
        duplicate_emails = tuple(duplicates + await connection.run_sync(duplicate_spellings))
        if await active_admin(connection):
            return BootstrapResult(duplicate_emails=duplicate_emails)  # what is missing may be deleted on purpose
        _check_admin_password(password, settings)
        await _create_public_policy(connection)
        if not await _count(connection, SettingsRow.__table__):
            await _insert(connection, SettingsRow, project_id=str(uuid4()), **seeds.SETTINGS)
        await _create_admin(connection, settings, password)
        return BootstrapResult(settings.admin_email, None if configured_password else password, duplicate_emails)

    return await database.run_in_transaction(work)


async def active_admin(connection: AsyncConnection) -> tuple[str, str | None] | None:
    """Return the id and the email of an active admin, or None."""
    row = (await connection.execute(select_active_admins().limit(1))).first()
    return (str(row[0]), row[1]) if row else None


async def _create_public_policy(connection: AsyncConnection) -> None:
    public_access = select(func.count()).where(Access.role_id.is_(None), Access.user_id.is_(None))
    if await connection.scalar(public_access):
        return
    if not await connection.scalar(select(func.count()).where(Policy.id == seeds.PUBLIC_POLICY["id"])):
        await _insert(connection, Policy, **seeds.PUBLIC_POLICY)
    await _insert(connection, Access, id=str(uuid4()), policy=seeds.PUBLIC_POLICY["id"], sort=1)


def _check_admin_password(password: str, settings: Settings) -> None:
    try:
        check_quality(password, settings)
    except RollcallError as error:
        raise OperatorError(f"ADMIN_PASSWORD: {error.text}") from None


async def _create_admin(connection: AsyncConnection, settings: Settings, password: str) -> None:
    spellings = [spelling.lower() for spelling in email_spellings(settings.admin_email)]
    same_email = select(func.count()).where(func.lower(User.email).in_(spellings))
    if await connection.scalar(same_email):
        raise OperatorError(
            "There is no active admin, and ADMIN_EMAIL belongs to another user. Set it to an unused email address."
        )
    role, policy = str(uuid4()), str(uuid4())
    await _insert(connection, Policy, id=policy, **seeds.ADMIN_POLICY)
    await _insert(connection, Role, id=role, **seeds.ADMIN_ROLE)
    await _insert(connection, Access, id=str(uuid4()), role=role, policy=policy)
    token = settings.admin_token.get_secret_value() if settings.admin_token else None
    hashed = hash_password(password, settings.hash_cost)
    user = {**seeds.ADMIN_USER, "email": settings.admin_email, "token": token, "role": role}
    await _insert(connection, User, id=str(uuid4()), password=hashed, **user)


async def _insert(connection: AsyncConnection, model: Any, **values: Any) -> None:
    await connection.execute(insert(model.__table__).values(values))


async def _count(connection: AsyncConnection, table: Any) -> int:
    return int(await connection.scalar(select(func.count()).select_from(table)) or 0)
