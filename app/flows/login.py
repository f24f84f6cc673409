"""Signing in: an address and a password, and a code where there is a second factor, in exchange for tokens."""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import Text, delete, insert, literal, select, true, update

from app.core.caller import Caller, Via
from app.core.config import Settings, signing_secret
from app.core.errors import InvalidCredentials, InvalidOtp
from app.core.security import fits_secret, sign_access_token
from app.db.models import Session, User
from app.db.writer import Writer
from app.query import functions as sql
from app.query.collection import USERS
from app.repositories.base import Services
from app.repositories.directory import Directory
from app.repositories.trail import Trail

REFRESH_BYTES = 48
"""Random bytes of a refresh token: 64 characters."""
PROVIDER = "default"
"""Whose passwords are ours to judge."""

_USERS: Any = User.__table__
_SESSIONS: Any = Session.__table__


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody shows of himself."""

    email: str
    password: str = field(repr=False)
    otp: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What somebody who has signed in is given; `expires` is how long the access token is good."""

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    expires: timedelta


@dataclass(frozen=True, slots=True)
class SignIn:
    """Takes credentials for tokens. Whatever becomes of it, it takes as long: at least `stall`."""

    services: Services
    secret: str = field(repr=False)
    access_ttl: timedelta
    refresh_ttl: timedelta
    stall: timedelta
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    @classmethod
    def over(cls, services: Services, settings: Settings) -> "SignIn":
        """Signing in with what the settings say of tokens and times."""
        return cls(
            services,
            signing_secret(settings),
            settings.access_token_ttl,
            settings.refresh_token_ttl,
            settings.login_stall_time,
        )

    async def tokens(self, shown: Credentials, asking: Caller, via: Via) -> Tokens:
        """Tokens for an active user with a password here; `asking` is who the request claims to come from.

        Raises InvalidCredentials for everybody else, whatever the reason, for a wrong password, and where that claim
        is false; InvalidOtp where the password is right and the code of the second factor isn't, ServiceUnavailable
        while the database is away.
        """
        begun = time.perf_counter()
        try:
            await Directory(asking, self.services).access()
            return await self._tokens(shown, asking.ip, via)
        finally:
            await self.sleep(max(0.0, self.stall.total_seconds() - (time.perf_counter() - begun)))

    async def _tokens(self, shown: Credentials, ip: str | None, via: Via) -> Tokens:
        user = await self._user(shown)
        caller = Caller(user=user, ip=ip)
        access = await Directory(caller, self.services).access()
        refresh = secrets.token_urlsafe(REFRESH_BYTES)
        await self.services.database.change(lambda writer: self._begin(writer, caller, via, refresh), alone=False)
        signed = sign_access_token(
            self.secret,
            user,
            role=access.standing.role,
            admin_access=access.admin,
            app_access=access.app,
            ttl=self.access_ttl,
            now=self.services.clock(),
        )
        return Tokens(signed, refresh, self.access_ttl)

    async def _user(self, shown: Credentials) -> str:
        """Whose credentials these are; the same work is done for an address that nobody has."""
        key, password, status, provider, secret = await self.services.reader.fetch(_claimed(shown.email))
        right = await self.services.passwords.verified(shown.password, password)
        if not right or status != "active" or provider != PROVIDER:
            raise InvalidCredentials
        if secret is not None and not (shown.otp and fits_secret(shown.otp, secret, self.services.clock())):
            raise InvalidOtp
        return str(key)

    async def _begin(self, writer: Writer, caller: Caller, via: Via, refresh: str) -> None:
        """A session, and what is told of it; sessions that are over leave with it."""
        now = self.services.clock()
        session = {
            "token": refresh,
            "user": caller.user,
            "expires": now + self.refresh_ttl,
            "ip": caller.ip,
            "user_agent": via.user_agent,
            "origin": via.origin and via.origin[:255],
        }
        for statement in (
            delete(_SESSIONS).where(_SESSIONS.c.expires < now),
            insert(_SESSIONS).values(session),
            update(_USERS).where(_USERS.c.id == caller.user).values(last_access=now),
        ):
            await writer.all(writer.compile(statement))
        await Trail(writer, caller.user, caller, via).record("login", USERS, caller.user)


def _claimed(email: str) -> Any:
    """One row: what tells whether somebody with an address may sign in; of nothing where there is nobody."""
    columns = (_USERS.c[name] for name in ("id", "password", "status", "provider", "tfa_secret"))
    known = None if "\0" in email else email  # what no database can hold is nobody's
    wanted = sql.fold(_USERS.c.email) == sql.fold(literal(known, Text()))
    found = select(*columns).where(wanted).order_by(_USERS.c.id).limit(1).subquery()
    one = select(literal(1).label("one")).subquery()
    return select(*found.c).select_from(one.outerjoin(found, true()))
