"""A directory for the tests of one module, in which Ed may write, and a client of its server."""

from contextlib import AsyncExitStack
from typing import Any

import pytest_asyncio

from app.testing import TestSystem
from tests.base_data import make_access, make_policy, uid
from tests.conftest import BACKENDS, open_copy
from tests.http.test_graphql import served


def _write_permission(number: int, policy: str, collection: str, action: str, **values: Any) -> dict[str, Any]:
    where = {"policy": uid(f"policy-{policy}"), "collection": f"directus_{collection}", "action": action}
    return {"id": number, "fields": "*", "permissions": {}, **where, **values}


WRITERS = {
    "directus_policies": [make_policy("Writers"), make_policy("Sharers")],
    "directus_access": [make_access(name, user="ed") for name in ("Writers", "Sharers")],
    "directus_permissions": [
        _write_permission(50, "Writers", "users", "update", fields="*,token"),
        _write_permission(51, "Writers", "users", "create", fields="*,token"),
        _write_permission(52, "Sharers", "access", "create"),
        _write_permission(53, "Sharers", "access", "read"),
        _write_permission(54, "Sharers", "users", "create", validation={"title": {"_neq": "Chief"}}),
    ],
}
"""Ed may write users by one policy, and attach policies by another, which also forbids a title to new users."""


@pytest_asyncio.fixture(scope="module", params=BACKENDS)
async def system(request, templates, tmp_path_factory):
    async with AsyncExitStack() as stack:
        system: TestSystem = await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("api_tokens"))
        await system.load(WRITERS)
        yield system


@pytest_asyncio.fixture(scope="module")
async def client(system):
    async with served(system.settings) as client:
        yield client
