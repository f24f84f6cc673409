"""API tokens for tests: created as the operator creates them, and used as callers."""

from typing import Any

from app.core.api_tokens import hash_api_token
from app.core.caller import SYSTEM, Caller
from app.flows.api_tokens import APITokenService, CreatedAPIToken
from app.repositories.directory import Directory
from app.testing import TestSystem
from tests.base_data import uid

IP = "192.0.2.1"


async def create_token(system: TestSystem, owner: str, **values: Any) -> CreatedAPIToken:
    """Create an API token of a user; `policies` are names of policies."""
    if values.get("policies") is not None:
        values["policies"] = [uid(f"policy-{name}") for name in values["policies"]]
    service = APITokenService(Directory(SYSTEM, system.services))
    return await service.create({"name": "test", **values}, user=uid(owner))


async def token_caller(system: TestSystem, owner: str, ip: str = IP, **values: Any) -> Caller:
    """Create an API token and return the caller who uses it."""
    return caller_with((await create_token(system, owner, **values)).secret, ip)


def caller_with(secret: str, ip: str = IP) -> Caller:
    """Return the caller who uses an API token."""
    return Caller(api_token=hash_api_token(secret), ip=ip)
