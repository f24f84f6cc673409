"""Far pages, whose keys are found before their rows are read, have the same rows as if all rows were read."""

import pytest

from app.core.caller import Caller
from app.graphql.plans.cache import PlanCache
from app.graphql.schema import schema
from app.query import sql_select
from app.repositories.directory import Directory
from tests.base_data import caller

ADA = caller("ada")
CALLERS = (ADA, caller("ed"), caller("vi"), caller("sam"), Caller())
LISTS = (
    "users(limit: $limit, offset: $offset) { id email }",
    'users(limit: $limit, offset: $offset, sort: ["last_access"]) { id role { name } policies { id } }',
    'users(limit: $limit, offset: $offset, sort: ["-role.name", "-email"], search: "a") { id email }',
    "users(limit: $limit, offset: $offset, filter: { role: { name: { _nnull: true } } }) { first_name tags }",
    'roles(limit: $limit, page: $offset) { name users(limit: 2, offset: 1, sort: ["email"]) { email } }',
    "permissions(limit: $limit, offset: $offset) { id collection fields }",
)
WINDOWS = [{"limit": limit, "offset": offset} for limit, offset in ((2, 1), (2, 2), (3, 4), (100, 3), (-1, 2), (0, 1))]


@pytest.fixture
def all_pages_far(monkeypatch):
    """Return a function after whose call each page with an offset is far."""
    return lambda: monkeypatch.setattr(sql_select, "MIN_FAR_OFFSET", 1)


@pytest.mark.sampled
@pytest.mark.parametrize("field", LISTS)
async def test_a_far_page_has_the_same_rows_in_the_same_order(readonly_db, all_pages_far, field):
    query = f"query($limit: Int, $offset: Int) {{ {field} }}"

    async def pages():
        results = [await readonly_db.execute(query, window, caller) for caller in CALLERS for window in WINDOWS]
        return [(result.data, str(result.errors)) for result in results]

    near = await pages()
    all_pages_far()

    assert await pages() == near


@pytest.mark.parametrize("field", LISTS)
async def test_the_plan_of_a_query_serves_near_and_far_pages(readonly_db, all_pages_far, field):
    directory, cache = Directory(ADA, readonly_db.services), PlanCache(schema._schema)
    await readonly_db.services.access_cache.access(ADA)
    query = f"query($limit: Int, $offset: Int) {{ {field} }}"

    async def pages():
        return [await cache.execute(directory, query, window, None) for window in WINDOWS]

    near = await pages()
    all_pages_far()

    assert None not in near
    assert await pages() == near
