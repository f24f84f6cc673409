"""Former passwords: their hashes, with which a new password of the same user is compared."""

from typing import Any

import orjson
from sqlalchemy import Select, Text, cast, delete, insert, literal, select

from app.db.models import PASSWORD_HISTORY, User
from app.db.statement import bind_param
from app.db.transaction import WriteTransaction
from app.query.sql_functions import JSONArray, JSONRows
from app.repositories.services import Services

_USERS: Any = User.__table__
_ROWS = PASSWORD_HISTORY.c


def _newest(user: Any, count: Any) -> Select[Any]:
    return select(_ROWS.id, _ROWS.hash).where(_ROWS.user == user).order_by(_ROWS.id.desc()).limit(count)


def _select_hashes() -> Select[Any]:
    user, count = bind_param("user", _USERS.c.id.type), bind_param("count", _ROWS.id.type)
    former = _newest(user, count).subquery()
    found = select(literal(0).label("is_former"), _USERS.c.password).where(_USERS.c.id == user)
    rows = found.union_all(select(literal(1), former.c.hash)).subquery()
    return select(cast(JSONRows(JSONArray(*rows.c)), Text)).select_from(rows)


_HASHES = _select_hashes()  # built once, because the reader caches the compiled form of each statement object


async def read_password_hashes(services: Services, user: str, count: int) -> tuple[str | None, list[str]]:
    """Return the hash of a user's password, None without one, and those of the `count` passwords before it."""
    rows = orjson.loads((await services.reader.fetch(_HASHES, {"user": user, "count": count}))[0] or "[]")
    current = next((hashed for is_former, hashed in rows if not is_former), None)
    return current, [hashed for is_former, hashed in rows if is_former]


async def add_former_password(writer: WriteTransaction, services: Services, user: str, hashed: str) -> None:
    """Store the hash of a password that is being replaced, and delete the oldest ones that are no longer compared."""
    count = services.settings.password_history - 1  # the current password is compared too
    if count > 0:
        row = {"user": user, "hash": hashed, "created": services.clock()}
        await writer.execute(insert(PASSWORD_HISTORY).values(row))
    if count >= 0:
        newest = _newest(user, count).with_only_columns(_ROWS.id)
        await writer.execute(delete(PASSWORD_HISTORY).where(_ROWS.user == user, _ROWS.id.not_in(newest)))
