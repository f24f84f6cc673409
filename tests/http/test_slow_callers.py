"""Slow queries of one caller use only a part of the connections, so that others are answered meanwhile."""

import asyncio

import httpx
import pytest

from tests.http.test_disconnects import READ, send, serving, wait_until_running
from tests.http.test_graphql import ADA, PATH

POOL_SIZE = 4
REQUESTS = {
    "GraphQL": {"query": READ},
    "GraphQL without a plan": {"query": READ.replace("id }", "id @include(if: true) }")},
}


@pytest.mark.parametrize("body", REQUESTS.values(), ids=REQUESTS)
async def test_as_many_slow_queries_as_there_are_connections_keep_no_other_caller_waiting(restored_db, body):
    # without limits on statements, only a free connection lets another caller in before its wait times out
    async with serving(restored_db, db_pool_size=POOL_SIZE, db_queue_timeout=2.0) as base_url:
        slow = [await send(base_url, "POST", PATH, body) for _ in range(POOL_SIZE)]
        await wait_until_running(restored_db)
        async with httpx.AsyncClient(base_url=base_url, timeout=60) as client:
            query = {"query": "{ users_me { email } }"}
            responses = await asyncio.gather(*(client.post(PATH, json=query, headers=ADA) for _ in range(3)))
        for writer in slow:
            writer.close()

    assert [response.json() for response in responses] == [{"data": {"users_me": {"email": "ada@example.com"}}}] * 3
