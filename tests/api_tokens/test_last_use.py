"""The last use of API tokens is written in batches, and never while a request is handled."""

from datetime import UTC, datetime, timedelta

from app.repositories.last_access import LastAccessTracker
from app.repositories.stores.api_tokens import list_api_tokens
from tests.api_tokens.tokens import caller_with, create_token
from tests.base_data import uid
from tests.flows.clock import FrozenClock

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
QUERY = "{ users_me { id } }"


async def last_uses(system):
    tokens = await list_api_tokens(system.services, uid("ed"))
    return {token.id: (token.last_used, token.last_used_ip) for token in tokens}


async def test_a_flush_writes_when_and_from_where_tokens_were_used(restored_db):
    first, second, unused = [await create_token(restored_db, "ed") for _ in range(3)]
    await restored_db.execute(QUERY, caller=caller_with(first.secret, "192.0.2.1"))
    await restored_db.execute(QUERY, caller=caller_with(first.secret, "192.0.2.2"))
    await restored_db.execute(QUERY, caller=caller_with(second.secret, "2001:db8::1"))
    before = await last_uses(restored_db)
    await restored_db.services.last_access.flush()
    after = await last_uses(restored_db)

    assert set(before.values()) == {(None, None)}
    assert [after[token.token.id][1] for token in (first, second, unused)] == ["192.0.2.2", "2001:db8::1", None]
    assert after[first.token.id][0] == after[second.token.id][0] is not None


async def test_a_refused_request_is_no_use(restored_db):
    token = await create_token(restored_db, "ed", ip_access=["198.51.100.1"])
    await restored_db.execute(QUERY, caller=caller_with(token.secret, "192.0.2.1"))
    await restored_db.services.last_access.flush()

    assert await last_uses(restored_db) == {token.token.id: (None, None)}


async def test_an_earlier_use_never_replaces_a_later_one(restored_db):
    token = (await create_token(restored_db, "ed")).token.id
    for moment, ip in ((NOON, "192.0.2.1"), (NOON - timedelta(hours=1), "192.0.2.2")):
        tracker = LastAccessTracker(restored_db.database, FrozenClock(moment))
        tracker.record_token(token, ip)
        await tracker.flush()

    assert await last_uses(restored_db) == {token: (NOON, "192.0.2.1")}
