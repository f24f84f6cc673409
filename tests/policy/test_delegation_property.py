"""Delegation as a property: after an accepted write nobody can do more than before, or than its author could."""

from collections import Counter
from copy import deepcopy

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.core.caller import Caller
from app.core.errors import RollcallError
from app.flows.import_export import TABLES
from tests.base_data import static_token
from tests.policy.delegation_reference import IPS, World, excess
from tests.policy.delegation_strategies import NAMES, USERS, WRITER, WRITES, worlds, writes
from tests.policy.strategies import replace

WRITES_PER_EXAMPLE = 5
TAKING = {"take a user", "take a user by its role", "strip and take a user"}


@pytest.fixture
def outcomes():
    """Count the outcomes of the writes; so that the property means something, many kinds of writes must have both."""
    counts: Counter[tuple[str, bool]] = Counter()
    yield counts
    accepted, rejected = ({kind for kind, outcome in counts if outcome is code} for code in (True, False))
    assert len(accepted & rejected) > len(WRITES) / 3
    assert sum(count for (_, is_accepted), count in counts.items() if is_accepted) > counts.total() / 4


async def stored_world(system):
    """Return the tables that decide about rights, as stored."""
    tables = {}
    async with system.database.transaction() as connection:
        for name in NAMES:
            rows = (await connection.execute(select(TABLES[f"directus_{name}"]))).mappings().all()
            tables[name] = [dict(row) for row in rows]
    return World(tables)


def judge(before, after, taken):
    """Return what someone can do after a write and could not before, nor could the writer; None if there is nothing."""
    held = before.holders()
    writer, public = held["user", WRITER], held["public", None]
    for holder, policies in after.holders().items():
        if found := excess(policies, writer, held.get(holder, frozenset()), public):
            return holder, *found
    for world in (before, after) if taken else ():
        if found := excess(world.of_user(taken), writer, frozenset(), public):
            return "taken", *found
    return None


def taken_user(kind, arguments):
    """Return the key of the user whose credentials a write sets, None if it sets none."""
    if kind not in TAKING:
        return None
    return next(key for key in USERS if key in repr(arguments))


@settings(max_examples=settings().max_examples // 2)  # each example replaces all rows
@given(data=st.data())
async def test_no_accepted_write_grants_more_than_its_author_has(scratch_db, outcomes, data):
    tables = data.draw(worlds())
    await replace(scratch_db, deepcopy(tables))
    before = await stored_world(scratch_db)
    assume(not any(policy.admin for policy in before.of_user(WRITER)))
    for _ in range(WRITES_PER_EXAMPLE):
        kind, collection, method, *arguments = data.draw(writes(before.tables))
        caller = Caller(token=static_token(WRITER), ip=data.draw(st.sampled_from(IPS)))
        try:
            await getattr(scratch_db.directory(caller)[collection], method)(*arguments)
        except RollcallError:
            outcomes[kind, False] += 1
            continue
        outcomes[kind, True] += 1
        after = await stored_world(scratch_db)
        assert judge(before, after, taken_user(kind, arguments)) is None, (kind, arguments)
        before = after
