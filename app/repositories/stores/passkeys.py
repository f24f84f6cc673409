"""Passkeys as they are stored."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import BigInteger, Boolean, Select, String, Text, and_, cast, delete, func, insert, or_, select, update

from app.core.timestamps import StoredTime, format_timestamp, parse_stored_time
from app.db.base import Timestamp, UUIDText
from app.db.models import PASSKEYS
from app.db.statement import bind_param
from app.db.transaction import WriteTransaction
from app.passkeys.relying_party import NewCredential
from app.query.sql_functions import JSONArray, JSONRows
from app.repositories.services import Services

TIMES = ("created", "last_used", "counter_rejected")
"""The fields of a passkey that are times."""
_PASSKEYS = PASSKEYS.c
_IS_PASSKEY = _PASSKEYS.id == bind_param("passkey", UUIDText())
_COUNT = bind_param("count", BigInteger())
_HAS_INCREASED = or_(_PASSKEYS.sign_count < _COUNT, and_(_PASSKEYS.sign_count == 0, _COUNT == 0))
"""Authenticators without a counter always present 0 (WebAuthn, section 6.1.1)."""

# Built once, because readers and transactions cache the compiled form of each statement object.
_LISTED = ("id", "name", "transports", "synced", "backed_up", "created", "last_used", "counter_rejected")
_STORED = ("id", "user", "credential_id", "public_key")
RECORD_USE = (
    update(PASSKEYS)
    .where(_IS_PASSKEY, _HAS_INCREASED)
    .values(
        sign_count=_COUNT,
        backed_up=bind_param("backed_up", Boolean()),
        last_used=bind_param("now", Timestamp()),
    )
    .returning(_PASSKEYS.id)
)
REJECT_COUNTER = (
    update(PASSKEYS).where(_IS_PASSKEY).values(counter_rejected=bind_param("now", Timestamp())).returning(_PASSKEYS.id)
)


@dataclass(frozen=True, slots=True)
class Passkey:
    """A passkey as clients see it.

    `synced` is whether its provider may copy it to other devices, `backed_up` whether it has done so.
    `counter_rejected` is when the counter of its authenticator last had not increased, as with a copied one.
    """

    id: str
    name: str
    transports: list[str]
    synced: bool
    backed_up: bool
    created: StoredTime
    last_used: StoredTime | None
    counter_rejected: StoredTime | None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as in a response, with times as timestamp strings."""
        times = {name: getattr(self, name) for name in TIMES}
        return asdict(self) | {name: time and format_timestamp(time) for name, time in times.items()}


@dataclass(frozen=True, slots=True)
class StoredCredential:
    """What a sign-in needs of a passkey; `credential_id` and `public_key` are base64url."""

    id: str
    user: str
    credential_id: str
    public_key: str = field(repr=False)


def _as_json(rows: Select[Any]) -> Select[Any]:
    ordered = rows.subquery()
    return select(cast(JSONRows(JSONArray(*ordered.c)), Text)).select_from(ordered)


_BY_CREDENTIAL = _as_json(
    select(*(_PASSKEYS[name] for name in _STORED)).where(_PASSKEYS.credential_id == bind_param("credential", String()))
)
_OF_USER = _as_json(
    select(*(cast(_PASSKEYS[name], Text) if name == "transports" else _PASSKEYS[name] for name in _LISTED))
    .where(_PASSKEYS.user == bind_param("user", UUIDText()))
    .order_by(_PASSKEYS.created.desc(), _PASSKEYS.id)
)
_CREDENTIALS_OF_USER = _as_json(
    select(*(_PASSKEYS[name] for name in _STORED)).where(_PASSKEYS.user == bind_param("user", UUIDText()))
)


async def list_passkeys(services: Services, user: str) -> list[Passkey]:
    """Return a user's passkeys, the newest first."""
    rows = orjson.loads((await services.reader.fetch(_OF_USER, {"user": user}))[0])
    return [_parse(row) for row in rows]


async def find_credential(services: Services, credential_id: str) -> StoredCredential | None:
    """Return the passkey with a credential id, None if there is none."""
    rows = orjson.loads((await services.reader.fetch(_BY_CREDENTIAL, {"credential": credential_id}))[0])
    return StoredCredential(*rows[0]) if rows else None


async def list_credentials(services: Services, user: str) -> list[StoredCredential]:
    """Return what sign-ins need of a user's passkeys."""
    rows = orjson.loads((await services.reader.fetch(_CREDENTIALS_OF_USER, {"user": user}))[0])
    return [StoredCredential(*row) for row in rows]


def _parse(row: list[Any]) -> Passkey:
    key, name, transports, synced, backed_up, *times = row
    created, last_used, rejected = (time and parse_stored_time(time) for time in times)
    listed = transports.split(",") if transports else []
    return Passkey(key, name, listed, bool(synced), bool(backed_up), created, last_used, rejected)


class PasskeyStore:
    """Writes passkeys within one transaction."""

    def __init__(self, writer: WriteTransaction, services: Services) -> None:
        self._writer, self._services = writer, services

    async def count(self, user: str) -> int:
        """Return how many passkeys a user has."""
        count: int = (await self._writer.execute(select(func.count()).where(_PASSKEYS.user == user)))[0][0]
        return count

    async def create(self, user: str, name: str, credential: NewCredential) -> Passkey:
        """Store a passkey and return it as clients see it; raises IntegrityError if its credential is stored."""
        created = Passkey(
            str(uuid4()),
            name,
            list(credential.transports),
            credential.synced,
            credential.backed_up,
            self._services.clock(),
            last_used=None,
            counter_rejected=None,
        )
        values = asdict(created) | {"transports": created.transports or None, "user": user}
        values |= {"credential_id": credential.id, "public_key": credential.public_key}
        await self._writer.execute(insert(PASSKEYS).values(**values, sign_count=credential.sign_count))
        return created

    async def rename(self, passkey: str, user: str, name: str) -> bool:
        """Rename a passkey; return whether the user has it."""
        return await self._changed(update(PASSKEYS).values(name=name), passkey, user)

    async def delete(self, passkey: str, user: str) -> bool:
        """Delete a passkey; return whether the user had it."""
        return await self._changed(delete(PASSKEYS), passkey, user)

    async def delete_all(self, user: str) -> list[str]:
        """Delete all passkeys of a user and return their ids."""
        deleted = await self._writer.execute(delete(PASSKEYS).where(_PASSKEYS.user == user).returning(_PASSKEYS.id))
        return [str(row[0]) for row in deleted]

    async def record_use(self, passkey: str, sign_count: int, *, backed_up: bool) -> bool:
        """Store the counter of a passkey; return whether the passkey still exists and the counter had increased.

        A counter that had not increased leaves the passkey as it is, except for the time at which this happened.
        """
        bindings = {"passkey": passkey, "count": sign_count, "backed_up": backed_up, "now": self._services.clock()}
        if await self._writer.execute(RECORD_USE, bindings):
            return True
        await self._writer.execute(REJECT_COUNTER, bindings)
        return False

    async def _changed(self, statement: Any, passkey: str, user: str) -> bool:
        is_own = (_PASSKEYS.id == passkey) & (_PASSKEYS.user == user)
        return bool(await self._writer.execute(statement.where(is_own).returning(_PASSKEYS.id)))


def credential_ids(credentials: Iterable[StoredCredential]) -> list[str]:
    """Return the credential ids of passkeys."""
    return [one.credential_id for one in credentials]
