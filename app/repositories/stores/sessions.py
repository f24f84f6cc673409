"""Sessions in Directus' table: started by a login, renewed by a refresh, ended by a logout.

A session that is replaced stays valid for a grace period and points to its successor with `next_token`. A session, its
predecessor and its successor form a chain, which ends as a whole.
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Text, and_, cast, delete, insert, or_, select, update

from app.core.caller import Caller, ClientInfo
from app.core.timestamps import StoredTime, parse_stored_time
from app.core.values import is_storable
from app.db.models import Session, User
from app.db.statement import bind_param
from app.db.transaction import WriteTransaction
from app.query.sql_functions import JSONArray, JSONRows
from app.repositories.services import Services

TOKEN_BYTES = 48
"""Random bytes of a token: 64 characters."""
MAX_ORIGIN_LENGTH, MAX_IP_LENGTH = 255, 255
PUBLIC_ID_LENGTH = 16
"""In characters."""

_SESSIONS: Any = Session.__table__
_USERS: Any = User.__table__


def _parameter(column: Any, name: str = "") -> Any:
    return bind_param(name or column.name, column.type)


_COLUMNS = ("token", "user", "expires", "ip", "user_agent", "origin")
_IS_SESSION = _SESSIONS.c.token == _parameter(_SESSIONS.c.token)
_NOW = _parameter(_SESSIONS.c.expires, "now")
_IS_VALID = and_(_IS_SESSION, _SESSIONS.c.expires >= _NOW, _SESSIONS.c.user.is_not(None))
_IS_NEWEST = and_(_IS_VALID, _SESSIONS.c.next_token.is_(None))
_SUCCESSOR_TOKEN = select(_SESSIONS.c.next_token).where(_IS_SESSION).scalar_subquery()
_IN_CHAIN = or_(
    _IS_SESSION, _SESSIONS.c.token == _SUCCESSOR_TOKEN, _SESSIONS.c.next_token == _parameter(_SESSIONS.c.token)
)
"""Matches a session, its predecessor and its successor."""
_NEW_TOKEN, _NEW_EXPIRES = _parameter(_SESSIONS.c.token, "new"), _parameter(_SESSIONS.c.expires, "until")
_UPDATE_NEWEST = update(_SESSIONS).where(_IS_NEWEST).returning(_SESSIONS.c.user)

# Built once, because transactions cache the compiled form of each statement object.
INSERT_SESSION = insert(_SESSIONS).values({name: _parameter(_SESSIONS.c[name]) for name in _COLUMNS})
REPLACE_TOKEN = _UPDATE_NEWEST.values(token=_NEW_TOKEN, expires=_NEW_EXPIRES)
SET_SUCCESSOR = _UPDATE_NEWEST.values(next_token=_NEW_TOKEN, expires=_NEW_EXPIRES)
DELETE_CHAIN = delete(_SESSIONS).where(_IN_CHAIN).returning(_SESSIONS.c.user)
_USER_OF_NEWEST = select(select(_SESSIONS.c.user).where(_IS_NEWEST).scalar_subquery())
UPDATE_LAST_ACCESS = update(_USERS).where(_USERS.c.id == _parameter(_USERS.c.id, "user")).values(last_access=_NOW)


@dataclass(frozen=True, slots=True)
class SessionGrant:
    """A new session, or the renewal of one: its user, its token in plain and stored form, and its expiry."""

    user: str
    token: str = field(repr=False)
    stored_token: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A session without a successor, with the client that started it."""

    stored_token: str = field(repr=False)
    ip: str | None
    user_agent: str | None
    origin: str | None
    expires: StoredTime
    current: bool
    """Whether it is the caller's own session."""

    @property
    def public_id(self) -> str:
        """The id that identifies the session to clients but does not authenticate them."""
        return public_session_id(self.stored_token)


def public_session_id(stored_token: str) -> str:
    """Return the public id of the session with this stored token."""
    return hashlib.sha256(stored_token.encode()).hexdigest()[:PUBLIC_ID_LENGTH]


def to_stored_token(token: str, services: Services) -> str:
    """Return the form in which a refresh token is stored."""
    if not is_storable(token):
        return ""  # no session has this token
    storage_form = services.settings.refresh_token_store
    return hashlib.sha256(token.encode()).hexdigest() if storage_form == "hashed" else token


async def user_of_newest_session(services: Services, stored_token: str) -> str | None:
    """Return the user of a valid session without a successor, None if there is none."""
    rows = await services.reader.fetch(_USER_OF_NEWEST, {"token": stored_token, "now": services.clock()})
    return None if rows[0] is None else str(rows[0])


async def list_active_sessions(services: Services, user: str, current_token: str | None) -> list[ActiveSession]:
    """Return a user's active sessions, latest expiry first.

    A session with a successor is not included, even in its grace period. `current_token` is the stored token of the
    caller's own session, if there is one.
    """
    columns = [_SESSIONS.c[name] for name in ("token", "next_token", "ip", "user_agent", "origin", "expires")]
    is_active = (_SESSIONS.c.user == user) & (_SESSIONS.c.expires >= services.clock())
    sessions = select(*columns).where(is_active).order_by(_SESSIONS.c.expires.desc(), _SESSIONS.c.token).subquery()
    rows_as_json = select(cast(JSONRows(JSONArray(*sessions.c)), Text)).select_from(sessions)
    rows = orjson.loads((await services.reader.fetch(rows_as_json))[0])
    chain = {current_token, *(next_token for token, next_token, *_ in rows if token == current_token)} - {None}
    return [
        ActiveSession(token, ip, user_agent, origin, parse_stored_time(expires), token in chain)
        for token, next_token, ip, user_agent, origin, expires in rows
        if next_token is None
    ]


class SessionStore:
    """Writes sessions within one transaction."""

    def __init__(self, writer: WriteTransaction, services: Services) -> None:
        self._writer, self._services = writer, services
        self._now = services.clock()

    async def begin(self, user: str, ttl: timedelta, caller: Caller, client_info: ClientInfo) -> SessionGrant:
        """Start a session and update the user's `last_access`."""
        grant = self._new_grant(user, ttl)
        await self._insert(grant, caller, client_info)
        return grant

    async def rotate(self, token: str, ttl: timedelta) -> SessionGrant | None:
        """Replace a refresh token, which becomes invalid, and return its session; None if the token is invalid."""
        new = self._new_grant("", ttl)
        changes = {"new": new.stored_token, "until": new.expires}
        rows = await self._writer.execute(
            REPLACE_TOKEN, {"token": to_stored_token(token, self._services), "now": self._now, **changes}
        )
        if not rows:
            return None
        grant = SessionGrant(str(rows[0][0]), new.token, new.stored_token, new.expires)
        await self._update_last_access(grant.user)
        return grant

    async def rotate_with_grace(
        self, stored_token: str, ttl: timedelta, caller: Caller, client_info: ClientInfo
    ) -> SessionGrant | None:
        """Replace a session by a new one and return that; None if the session is invalid.

        The old session stays valid for the grace period. Concurrent refreshes within it, for example from a second
        browser tab, get the same successor, without its token in plain form.
        """
        new = self._new_grant("", ttl)
        grace_end = self._now + self._services.settings.session_refresh_grace_period
        changes = {"new": new.stored_token, "until": grace_end}
        rows = await self._writer.execute(SET_SUCCESSOR, {"token": stored_token, "now": self._now, **changes})
        if not rows:
            return await self._successor(stored_token)
        grant = SessionGrant(str(rows[0][0]), new.token, new.stored_token, new.expires)
        await self._insert(grant, caller, client_info)
        return grant

    async def end(self, stored_token: str) -> str | None:
        """End a session with its predecessor and successor; return its user, None if there is no such session."""
        rows = await self._writer.execute(DELETE_CHAIN, {"token": stored_token})
        return str(rows[0][0]) if rows else None

    async def end_one(self, user: str, public_id: str) -> int:
        """End a user's active session with its chain; return 1, or 0 if there is no such session."""
        tokens = [token for token in await self._active_tokens(user) if public_session_id(token) == public_id]
        for token in tokens:
            await self.end(token)
        return len(tokens)

    async def end_others(self, user: str, except_token: str | None) -> int:
        """End a user's sessions except one, given by its stored token, and its chain; return how many were active."""
        after = (
            await self._writer.execute(select(_SESSIONS.c.next_token).where(_SESSIONS.c.token == except_token))
            if except_token
            else []
        )
        chain = {except_token, *(row[0] for row in after)} - {None}
        not_in_chain = [
            and_(_SESSIONS.c.token != token, _SESSIONS.c.next_token.is_distinct_from(token)) for token in chain
        ]
        active_tokens = await self._active_tokens(user)
        others = delete(_SESSIONS).where(_SESSIONS.c.user == user, *not_in_chain).returning(_SESSIONS.c.token)
        deleted = await self._writer.execute(others)
        return len(active_tokens & {row[0] for row in deleted})

    async def _active_tokens(self, user: str) -> set[str]:
        """Return the stored tokens of a user's active sessions."""
        is_active = and_(_SESSIONS.c.user == user, _SESSIONS.c.next_token.is_(None), _SESSIONS.c.expires >= self._now)
        return {row[0] for row in await self._writer.execute(select(_SESSIONS.c.token).where(is_active))}

    def _new_grant(self, user: str, ttl: timedelta) -> SessionGrant:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        return SessionGrant(user, token, to_stored_token(token, self._services), self._now + ttl)

    async def _successor(self, stored_token: str) -> SessionGrant | None:
        rows = await self._writer.rows(
            self._writer.prepare_cached(_select_successor), {"token": stored_token, "now": self._now}
        )
        return SessionGrant(str(rows[0][0]), "", rows[0][1], rows[0][2]) if rows else None

    async def _insert(self, grant: SessionGrant, caller: Caller, client_info: ClientInfo) -> None:
        session = {
            "token": grant.stored_token,
            "user": grant.user,
            "expires": grant.expires,
            "ip": (caller.ip or "")[:MAX_IP_LENGTH] or None,
            "user_agent": client_info.user_agent,
            "origin": (client_info.origin or "")[:MAX_ORIGIN_LENGTH] or None,
        }
        await self._writer.execute(INSERT_SESSION, session)
        await self._update_last_access(grant.user)

    async def _update_last_access(self, user: str) -> None:
        await self._writer.execute(UPDATE_LAST_ACCESS, {"user": user, "now": self._now})


def _select_successor() -> Any:
    """Return a SELECT of the successor of a valid session."""
    successor = _SESSIONS.alias()
    is_successor = _SESSIONS.c.next_token == successor.c.token
    return (
        select(successor.c.user, successor.c.token, successor.c.expires).join(_SESSIONS, is_successor).where(_IS_VALID)
    )
