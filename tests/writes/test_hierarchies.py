"""No role and no folder becomes its own ancestor, by whatever write, also by two at once."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from app.core.caller import SYSTEM
from app.core.errors import RollcallError
from app.db.models import Folder, Role
from app.testing import open_system
from tests.base_data import static_token, uid
from tests.http.test_graphql import ADA, PATH, bearer
from tests.writes.editors import make_permission

A, B, C = (uid(f"node-{name}") for name in "abc")
MODELS: dict[str, Any] = {"folders": Folder, "roles": Role}
REPETITIONS = 5


@pytest_asyncio.fixture(params=MODELS)
async def collection(request, client, editors):
    """The name of a collection with three rows, C in B in A."""
    rows = [{"id": key, "name": "node", "parent": parent} for key, parent in ((A, None), (B, A), (C, B))]
    assert (await client.post(f"/{request.param}", json=rows, headers=ADA)).status_code == 200
    return request.param


async def parents(system, collection):
    model = MODELS[collection]
    async with system.database.transaction() as connection:
        rows = await connection.execute(select(model.__table__).where(model.name == "node"))
        return {row.id: row.parent for row in rows}


CYCLES = {
    # method, path below the collection, body
    "its own parent": ("PATCH", f"/{A}", {"parent": A}),
    "its child's child": ("PATCH", f"/{A}", {"parent": B}),
    "its grandchild's child": ("PATCH", f"/{A}", {"parent": C}),
    "as an object": ("PATCH", f"/{A}", {"parent": {"id": C}}),
    "several rows alike": ("PATCH", "", {"keys": [C, A], "data": {"parent": B}}),
    "each row with its own": ("PATCH", "", [{"id": B, "parent": None}, {"id": A, "parent": C}, {"id": B, "parent": A}]),
    "nested": ("PATCH", f"/{C}", {"parent": {"id": A, "parent": C}}),
    "a new row in itself": ("POST", "", {"id": uid("new"), "name": "node", "parent": uid("new")}),
}


@pytest.mark.parametrize("case", CYCLES)
async def test_a_cycle_is_rejected_over_rest(client, editors, collection, case):
    method, path, body = CYCLES[case]
    before = await parents(editors, collection)
    response = await client.request(method, f"/{collection}{path}", json=body, headers=ADA)

    assert response.status_code == 400, response.text
    reason = response.json()["errors"][0]["extensions"]["reason"]
    assert reason.startswith(f"A {collection[:-1]} cannot ")
    assert await parents(editors, collection) == before


@pytest.mark.parametrize("parent", [A, B, C])
async def test_a_cycle_is_rejected_over_graphql(client, editors, collection, parent):
    query = f'mutation {{ update_{collection}_item(id: "{A}", data: {{ parent: {{ id: "{parent}" }} }}) {{ id }} }}'
    response = await client.post(PATH, json={"query": query}, headers=ADA)

    assert response.json()["errors"][0]["extensions"]["reason"].startswith(f"A {collection[:-1]} cannot ")
    assert (await parents(editors, collection))[A] is None


async def test_a_row_may_move_to_any_other_row(client, editors, collection):
    moves = [{"id": B, "parent": None}, {"id": A, "parent": C}]

    assert (await client.patch(f"/{collection}", json=moves, headers=ADA)).status_code == 200
    assert await parents(editors, collection) == {A: C, B: None, C: B}


async def test_a_cycle_by_a_preset_is_rejected(client, editors):
    await client.post("/folders", json=[{"id": A, "name": "node"}, {"id": B, "name": "node", "parent": A}], headers=ADA)
    preset = {"presets": {"parent": B}, "permissions": {}}
    await editors.load(
        {"directus_permissions": [make_permission(900, "Writers", "update", "folders", "name") | preset]}
    )
    response = await client.patch(f"/folders/{A}", json={"name": "node"}, headers=bearer(static_token("wes")))

    assert response.status_code == 400, response.text
    assert await parents(editors, "folders") == {A: None, B: A}


async def test_of_two_moves_at_once_that_form_a_cycle_one_fails(editors, collection):
    async with open_system(editors.settings) as other:
        for _ in range(REPETITIONS):
            rows, others = editors.directory(SYSTEM)[collection], other.directory(SYSTEM)[collection]
            await rows.update_many([B, C], {"parent": A})
            results = await asyncio.gather(
                rows.update_one(B, {"parent": C}), others.update_one(C, {"parent": B}), return_exceptions=True
            )
            failures = [result for result in results if isinstance(result, BaseException)]
            assert len(failures) == 1
            assert isinstance(failures[0], RollcallError)
            assert failures[0].code == "INVALID_PAYLOAD"
