"""A clock that stands until it is moved, and a person with a password, for stories that take their time."""

import base64
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pyotp
from sqlalchemy import update

from app.core.caller import PUBLIC, Caller
from app.db.models import User
from app.flows.login import Credentials, LoginService
from app.repositories.directory import Directory
from app.testing import TestSystem
from tests.world import cheap_hash, uid

PASSWORD = "correct, but only here"
HASHED = cheap_hash(PASSWORD)
SECRET = "JBSWY3DPEHPK3PXP"  # as long as Directus makes them
OTHER_SECRET = "KRSXG5CTMVRXEZLU"
TOTP_PERIOD = timedelta(seconds=30)


class UnpaddedTOTP(pyotp.TOTP):
    def byte_secret(self):
        return base64.b32decode(self.secret)


@dataclass
class FrozenClock:
    """The moment everything happens at: now, but standing; so that tokens are good."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self):
        return self.now

    def move(self, by=TOTP_PERIOD):
        self.now += by

    def code(self, secret=SECRET):
        """The code that an authenticator shows."""
        return UnpaddedTOTP(secret).at(self.now)


@dataclass
class AccountHarness:
    """A directory whose clock stands, and where nobody is made to wait."""

    system: TestSystem
    clock: FrozenClock

    @property
    def services(self):
        settings = self.system.settings.model_copy(update={"login_stall_time": timedelta(0)})
        return replace(self.system.services, settings=settings, clock=self.clock)

    def as_(self, name=None, **claims):
        """The directory as somebody of the world sees it."""
        return Directory(Caller(user=uid(name), **claims) if name else PUBLIC, self.services)

    async def sign_in(self, name="vi", otp=None, password=PASSWORD, ip="192.0.2.1", **more):
        flow = LoginService(Directory(Caller(ip=ip), self.services))
        return await flow.login(Credentials(f"{name}@example.com", password, otp), **more)

    async def give(self, name, **values):
        """Past everything that is tested."""
        async with self.system.database.transaction() as connection:
            await connection.execute(update(User).where(User.id == uid(name)).values(**values))
