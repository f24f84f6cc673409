"""Writes by query: the query runs before the transaction, and in the transaction only the permissions count."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from app.core.errors import Forbidden, ServiceUnavailable
from app.flows.import_export import import_rows
from app.testing import open_system
from tests.base_data import caller, uid
from tests.conftest import make_settings
from tests.crowd import CROWD_ROWS, DEEP_SORT

ADA, EVE, WES = caller("ada"), caller("eve"), caller("wes")
WILL = {"filter": {"first_name": {"_eq": "Will"}}}
DELETE_PERMISSION, READ_PERMISSION = 104, 100
LONG_QUERY = {"sort": [DEEP_SORT], "limit": 1}

WRITES = {
    "update": lambda users, query: users.update_by_query(query, {"title": "New"}),
    "delete": lambda users, query: users.delete_by_query(query),
}


@pytest.fixture(params=WRITES)
def write(request):
    return WRITES[request.param]


@asynccontextmanager
async def opened_with_limit(system, seconds):
    """The same database with many users in one role, where a query may take this long."""
    await import_rows(system.database, CROWD_ROWS, replace=False)
    async with open_system(make_settings(system.settings.database_url, db_statement_timeout=seconds)) as limited:
        yield limited


async def result_after(system, change, start):
    """Return the result of a write whose query runs while an exclusive write, a change by Ada, is not yet committed."""
    changed, committing = asyncio.Event(), asyncio.Event()

    async def wait(*_):
        changed.set()
        await committing.wait()

    changing = asyncio.ensure_future(change(system.directory(ADA), wait))
    await changed.wait()
    starting = asyncio.ensure_future(start)
    await asyncio.sleep(0.3)
    assert not starting.done()
    committing.set()
    await changing
    return (await asyncio.gather(starting, return_exceptions=True))[0]


def delete(collection, key):
    """A change that deletes a row, for `result_after`."""
    return lambda directory, wait: directory[collection].write(directory[collection].delete_command([key]), wait)


def update(collection, key, values):
    """A change that updates a row, for `result_after`."""
    return lambda directory, wait: directory[collection].write(
        directory[collection].update_command([key], values), wait
    )


async def test_the_rows_that_a_query_selects_are_written_in_its_order(editors, write):
    query = {"filter": {"role": {"_eq": uid("role-Writer")}}, "sort": ["-email"]}

    assert await write(editors.directory(ADA)["users"], query) == [uid("will"), uid("wes"), uid("wanda")]


async def test_a_query_that_takes_too_long_is_stopped_like_a_read(writable_db, write):
    async with opened_with_limit(writable_db, 0.3) as system:
        with pytest.raises(ServiceUnavailable, match=r"longer than the 0\.3 s allowed"):
            await write(system.directory(EVE)["users"], LONG_QUERY)


async def test_no_write_waits_for_the_query_of_another(writable_db, write):
    async with opened_with_limit(writable_db, 600) as system:
        long_write = asyncio.ensure_future(write(system.directory(EVE)["users"], LONG_QUERY))
        await asyncio.sleep(0.1)
        await system.directory(ADA)["users"].update_one(uid("crowd0"), {"status": "suspended"})

        assert not long_write.done()
        long_write.cancel()
        with suppress(asyncio.CancelledError):
            await long_write


@pytest.mark.parametrize("permission", [DELETE_PERMISSION, READ_PERMISSION])
async def test_a_right_that_is_revoked_after_the_query_ran_is_not_used(editors, permission):
    deletion = editors.directory(WES)["users"].delete_by_query(WILL)

    assert isinstance(await result_after(editors, delete("permissions", permission), deletion), Forbidden)
    assert await editors.directory(ADA)["users"].count({"filter": {"id": {"_eq": uid("will")}}}) == 1


async def test_a_right_that_is_granted_after_the_query_ran_selects_the_rows_again(editors):
    everyone = {"permissions": {"email": {"_nnull": True}}}
    await editors.directory(ADA)["permissions"].update_one(DELETE_PERMISSION, everyone)
    deletion = editors.directory(WES)["users"].delete_by_query({"filter": {"email": {"_starts_with": "wanda"}}})
    result = await result_after(editors, update("permissions", READ_PERMISSION, everyone), deletion)

    assert result == [uid("wanda")]


async def test_a_row_that_no_longer_matches_the_permission_is_not_written(editors):
    deletion = editors.directory(WES)["users"].delete_by_query(WILL)

    assert isinstance(
        await result_after(editors, update("users", uid("will"), {"status": "suspended"}), deletion), Forbidden
    )


async def test_a_row_that_is_gone_is_left_out(editors):
    deletion = editors.directory(ADA)["users"].delete_by_query(
        {"filter": {"email": {"_starts_with": "w"}}, "sort": "email"}
    )

    assert await result_after(editors, delete("users", uid("wes")), deletion) == [uid("wanda"), uid("will")]
