"""A server at which users have passkeys, and clients of it through REST and GraphQL."""

import pytest
import pytest_asyncio
from sqlalchemy import delete, func, select

from app.db.models import USED_CODES, Session
from tests.base_data import uid
from tests.flows.conftest import inviters, inviters_db
from tests.http.clients import PASSWORD, data_of, login, send
from tests.http.conftest import members
from tests.http.test_graphql import bearer, served
from tests.passkeys.authenticator import ORIGIN, Authenticator

__all__ = ["inviters", "inviters_db", "members"]

OWN = "/users/me/passkeys"
OPTIONS, LOGIN = "/auth/passkey/options", "/auth/passkey/login"


@pytest_asyncio.fixture(scope="session")
async def passkey_client(inviters_db):
    settings = inviters_db.settings.model_copy(update={"public_url": f"{ORIGIN}/"})
    async with served(settings) as client:
        yield client


@pytest.fixture
def users(passkey_client, members):
    """The users of a server at which passkeys are available."""
    return Users(passkey_client, members)


class Users:
    """Registers passkeys and signs in with them over REST."""

    def __init__(self, client, system):
        self.client, self.system = client, system

    async def headers(self, name="vi", **more):
        """Return the headers of a user who signs in with the password."""
        response = await login(self.client, f"{name}@example.com", **more)
        return bearer(data_of(response)["access_token"])

    async def send(self, method, path, body=None, headers=None, **options):
        return await send(self.client, method, path, body, headers=headers, **options)

    async def options(self, use="sign_in"):
        return data_of(await self.send("POST", OPTIONS, {"use": use}))

    async def registration_options(self, headers, **proof):
        return data_of(await self.send("POST", f"{OWN}/options", proof or {"password": PASSWORD}, headers))

    async def register(self, name="vi", authenticator=None, headers=None, proof=None, label="Laptop"):
        """Return a new authenticator whose passkey a user has registered, and the passkey's id."""
        headers = headers or await self.headers(name)
        authenticator = authenticator or Authenticator()
        options = await self.registration_options(headers, **(proof or {}))
        body = {"name": label, "challenge_token": options["challenge_token"]}
        body["credential"] = authenticator.create(options["public_key"])
        return authenticator, data_of(await self.send("POST", OWN, body, headers))["id"]

    async def prove(self, authenticator, use="sign_in", **changes):
        """Return the body with which an authenticator proves its passkey."""
        options = await self.options(use)
        credential = authenticator.get(options["public_key"], **changes)
        return {"challenge_token": options["challenge_token"], "credential": credential}

    async def sign_in(self, authenticator, **more):
        return await self.send("POST", LOGIN, {**await self.prove(authenticator), **more})

    async def log_in_with_both(self, authenticator, name="vi", password=PASSWORD):
        """Sign in with a password, and a passkey as the second factor."""
        proof = await self.prove(authenticator, "second_factor")
        return await self.send("POST", LOGIN, {**proof, "email": f"{name}@example.com", "password": password})

    async def passkeys(self, headers):
        return data_of(await self.send("GET", OWN, headers=headers))

    async def enforce_tfa(self, policy="Viewers"):
        await self.system.load({"directus_policies": [{"id": uid(f"policy-{policy}"), "enforce_tfa": True}]})

    async def forget_used_codes(self):
        """Let one-time passwords be accepted again."""
        async with self.system.database.transaction() as connection:
            await connection.execute(delete(USED_CODES))

    async def count_sessions(self):
        async with self.system.database.transaction() as connection:
            return await connection.scalar(select(func.count()).select_from(Session))
