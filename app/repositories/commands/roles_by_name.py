"""Finds roles by name, as sign-ins through an LDAP directory do with the names of groups."""

from collections.abc import Collection
from typing import Any

import orjson
from sqlalchemy import Text, cast, func, select

from app.core.values import is_storable
from app.db.models import Role
from app.db.statement import bind_param
from app.query.bind_types import ListParam
from app.query.sql_functions import InList, JSONArray, JSONRows
from app.repositories.services import Services

_ROLES: Any = Role.__table__
_NAMED = (
    select(_ROLES.c.id.label("c0"))
    .where(InList(func.lower(_ROLES.c.name), bind_param("names", ListParam(Text()))))
    .order_by(func.lower(_ROLES.c.name), _ROLES.c.id)
    .limit(1)
    .subquery()
)
# Built once, because the reader caches the compiled form of each statement object.
_FIRST_NAMED = select(cast(JSONRows(JSONArray(*_NAMED.c)), Text)).select_from(_NAMED)


async def find_role_by_name(services: Services, names: Collection[str]) -> str | None:
    """Return the first role, in alphabetical order, that has one of these names, whatever their case."""
    wanted = sorted({name.lower() for name in names if is_storable(name)})
    if not wanted:
        return None
    rows = orjson.loads((await services.reader.fetch(_FIRST_NAMED, {"names": wanted}))[0])
    return str(rows[0][0]) if rows else None
