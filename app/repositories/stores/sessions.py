"""Sessions: begun at a sign-in, carried on by a refresh, ended by signing out; the table is Directus' own."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Text, and_, cast, delete, insert, or_, select, update

from app.core.caller import Caller, ClientInfo
from app.db.models import Session, User
from app.db.statement import bind_param
from app.db.transaction import WriteTransaction
from app.query.sql_functions import JSONArray, JSONRows
from app.repositories.services import Services

TOKEN_BYTES = 48
"""Random bytes of a token: 64 characters."""
LONGEST_ORIGIN, LONGEST_IP = 255, 255
HANDLE = 16
"""Characters of the name that a session is told by."""

_SESSIONS: Any = Session.__table__
_USERS: Any = User.__table__


def _given(column: Any, name: str = "") -> Any:
    return bind_param(name or column.name, column.type)


_TOLD = ("token", "user", "expires", "ip", "user_agent", "origin")
_THIS = _SESSIONS.c.token == _given(_SESSIONS.c.token)
_NOW = _given(_SESSIONS.c.expires, "now")
_GOOD = and_(_THIS, _SESSIONS.c.expires >= _NOW, _SESSIONS.c.user.is_not(None))
_LAST = and_(_GOOD, _SESSIONS.c.next_token.is_(None))
_AFTER = select(_SESSIONS.c.next_token).where(_THIS).scalar_subquery()
_CHAIN = or_(_THIS, _SESSIONS.c.token == _AFTER, _SESSIONS.c.next_token == _given(_SESSIONS.c.token))
"""A session, and what came right before and after it."""
_NEW, _UNTIL = _given(_SESSIONS.c.token, "new"), _given(_SESSIONS.c.expires, "until")
_CHANGED = update(_SESSIONS).where(_LAST).returning(_SESSIONS.c.user)

# What is said to the tables again and again: compiled once, and given its values each time.
BEGIN = insert(_SESSIONS).values({name: _given(_SESSIONS.c[name]) for name in _TOLD})
ROTATE = _CHANGED.values(token=_NEW, expires=_UNTIL)
SUCCEED = _CHANGED.values(next_token=_NEW, expires=_UNTIL)
END = delete(_SESSIONS).where(_CHAIN).returning(_SESSIONS.c.user)
SEE = update(_USERS).where(_USERS.c.id == _given(_USERS.c.id, "user")).values(last_access=_NOW)


@dataclass(frozen=True, slots=True)
class SessionGrant:
    """A session as it goes on: whose it is, its token, the form that token is stored in, and until when it is good."""

    user: str
    token: str = field(repr=False)
    stored_token: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True, slots=True)
class ActiveSession:
    """A session that goes on, and from where it was begun; `handle` names it and opens nothing."""

    stored_token: str = field(repr=False)
    ip: str | None
    user_agent: str | None
    origin: str | None
    expires: datetime
    current: bool
    """Whether it is the one that it is asked from."""

    @property
    def public_id(self) -> str:
        return public_session_id(self.stored_token)


def public_session_id(stored: str) -> str:
    """The name of the session with this stored form."""
    return hashlib.sha256(stored.encode()).hexdigest()[:HANDLE]


async def list_active_sessions(services: Services, user: str, current_token: str | None) -> list[ActiveSession]:
    """The sessions of a user that go on, the one that lasts longest first.

    A session that has a successor isn't one of them, even in its grace; `asking` is the stored form of the one that it
    is asked from, if there is one.
    """
    told = [_SESSIONS.c[name] for name in ("token", "next_token", "ip", "user_agent", "origin", "expires")]
    mine = (_SESSIONS.c.user == user) & (_SESSIONS.c.expires >= services.clock())
    sorted_ = select(*told).where(mine).order_by(_SESSIONS.c.expires.desc(), _SESSIONS.c.token).subquery()
    listed = select(cast(JSONRows(JSONArray(*sorted_.c)), Text)).select_from(sorted_)
    rows = orjson.loads((await services.reader.fetch(listed))[0])
    chain = {current_token, *(after for token, after, *_ in rows if token == current_token)} - {None}
    return [
        ActiveSession(token, ip, user_agent, origin, datetime.fromisoformat(expires).astimezone(UTC), token in chain)
        for token, after, ip, user_agent, origin, expires in rows
        if after is None
    ]


class SessionStore:
    """The sessions, within one transaction."""

    def __init__(self, writer: WriteTransaction, services: Services) -> None:
        self._writer, self._services = writer, services
        self._now = services.clock()

    async def begin(self, user: str, ttl: timedelta, caller: Caller, client_info: ClientInfo) -> SessionGrant:
        """A new session of a user's; that user was here now."""
        begun = self._made(user, ttl)
        await self._insert(begun, caller, client_info)
        return begun

    async def rotate(self, token: str, ttl: timedelta) -> SessionGrant | None:
        """The session of a refresh token, which gets another one: the old is good no more. None where there is none."""
        new = self._made("", ttl)
        changes = {"new": new.stored_token, "until": new.expires}
        found = await self._writer.execute(ROTATE, {"token": self.to_stored_token(token), "now": self._now, **changes})
        if not found:
            return None
        begun = SessionGrant(str(found[0][0]), new.token, new.stored_token, new.expires)
        await self._seen(begun.user)
        return begun

    async def rotate_with_grace(
        self, stored_token: str, ttl: timedelta, caller: Caller, client_info: ClientInfo
    ) -> SessionGrant | None:
        """The session after the one with this stored form, which stays good for a grace of some seconds.

        Whoever asks for the successor again meanwhile, as another tab does, is given the same one.
        """
        new = self._made("", ttl)
        grace = self._now + self._services.settings.session_refresh_grace_period
        changes = {"new": new.stored_token, "until": grace}
        found = await self._writer.execute(SUCCEED, {"token": stored_token, "now": self._now, **changes})
        if not found:
            return await self._successor(stored_token)
        begun = SessionGrant(str(found[0][0]), new.token, new.stored_token, new.expires)
        await self._insert(begun, caller, client_info)
        return begun

    async def end(self, stored_token: str) -> str | None:
        """Ends a session, with what came right before and after it in its chain; whose it was, if there was one."""
        found = await self._writer.execute(END, {"token": stored_token})
        return str(found[0][0]) if found else None

    async def end_one(self, user: str, public_id: str) -> int:
        """Ends a user's session that goes on, by its name, with its chain; 0 where there is none, else 1."""
        named = [stored for stored in await self._going(user) if public_session_id(stored) == public_id]
        for stored in named:
            await self.end(stored)
        return len(named)

    async def end_others(self, user: str, except_token: str | None) -> int:
        """Ends all sessions of a user but the one with this stored form, with its chain; how many of them went on."""
        after = (
            await self._writer.execute(select(_SESSIONS.c.next_token).where(_SESSIONS.c.token == except_token))
            if except_token
            else []
        )
        chain = {except_token, *(row[0] for row in after)} - {None}
        spared = [and_(_SESSIONS.c.token != one, _SESSIONS.c.next_token.is_distinct_from(one)) for one in chain]
        went_on = await self._going(user)
        others = delete(_SESSIONS).where(_SESSIONS.c.user == user, *spared).returning(_SESSIONS.c.token)
        gone = await self._writer.execute(others)
        return len(went_on & {row[0] for row in gone})

    async def _going(self, user: str) -> set[str]:
        """The stored forms of a user's sessions that go on."""
        mine = and_(_SESSIONS.c.user == user, _SESSIONS.c.next_token.is_(None), _SESSIONS.c.expires >= self._now)
        return {row[0] for row in await self._writer.execute(select(_SESSIONS.c.token).where(mine))}

    def to_stored_token(self, token: str) -> str:
        """The form in which a refresh token is stored."""
        how = self._services.settings.refresh_token_store
        if how == "hashed":
            return hashlib.sha256(token.encode()).hexdigest()
        return "" if "\0" in token else token  # what no database can hold is no session's

    def _made(self, user: str, ttl: timedelta) -> SessionGrant:
        token = secrets.token_urlsafe(TOKEN_BYTES)
        return SessionGrant(user, token, self.to_stored_token(token), self._now + ttl)

    async def _successor(self, stored: str) -> SessionGrant | None:
        rows = await self._writer.rows(self._writer.prepare_cached(_after_this), {"token": stored, "now": self._now})
        return SessionGrant(str(rows[0][0]), "", rows[0][1], rows[0][2]) if rows else None

    async def _insert(self, begun: SessionGrant, asking: Caller, via: ClientInfo) -> None:
        session = {
            "token": begun.stored_token,
            "user": begun.user,
            "expires": begun.expires,
            "ip": (asking.ip or "")[:LONGEST_IP] or None,
            "user_agent": via.user_agent,
            "origin": (via.origin or "")[:LONGEST_ORIGIN] or None,
        }
        await self._writer.execute(BEGIN, session)
        await self._seen(begun.user)

    async def _seen(self, user: str) -> None:
        await self._writer.execute(SEE, {"user": user, "now": self._now})


def _after_this() -> Any:
    """What comes after a session that is still good."""
    after = _SESSIONS.alias()
    after_it = _SESSIONS.c.next_token == after.c.token
    return select(after.c.user, after.c.token, after.c.expires).join(_SESSIONS, after_it).where(_GOOD)
