"""Delegation as a property: after an accepted write nobody can do more than before, or than its author could."""

from collections import Counter
from copy import deepcopy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.core.caller import Caller
from app.core.errors import RollcallError
from app.flows.import_export import TABLES
from app.repositories.rules.delegation import (
    ADMIN_CREDENTIALS_MESSAGE,
    CREDENTIALS_MESSAGE,
    EXCEEDS_OWN_RIGHTS_MESSAGE,
)
from tests.base_data import static_token
from tests.policy.delegation_reference import IPS, World, excess
from tests.policy.delegation_strategies import DRAWN_KEYS, MANAGING, NAMES, USERS, WRITER, WRITES, worlds, writes
from tests.policy.strategies import replace

WRITES_PER_WORLD = 9
MORE = ["change a parent", "change a role of a user", "change a status", "detach a policy", *2 * ["drop a condition"]]
"""Kinds of writes that occur more than once: those that rarely have one of the outcomes, or a visible effect."""
EXAMPLES = settings().max_examples // 6
DELEGATION_MESSAGES = {EXCEEDS_OWN_RIGHTS_MESSAGE, CREDENTIALS_MESSAGE, ADMIN_CREDENTIALS_MESSAGE}
"""The reasons for which a write counts as rejected; rows that an earlier write removed are none of them."""
NEVER_SEEN = {("delete a role", False)}
"""An outcome that is too rare here: see "a deleted parent" in tests/writes/test_grant_conditions.py."""
POSITIONS = {key: number for number, key in enumerate(DRAWN_KEYS)}
TAKING = {"take a user", "take a user by its role", "strip and take a user"}


@pytest.fixture
def outcomes():
    """Count the outcomes of the writes; so that the property means something, each kind of write must have both."""
    counts: Counter[tuple[str, bool]] = Counter()
    yield counts
    possible = {(kind, is_accepted) for kind in WRITES for is_accepted in (True, False)} - NEVER_SEEN
    assert possible <= counts.keys(), possible - counts.keys()


def position(row):
    return row["id"] if isinstance(row["id"], int) else POSITIONS.get(row["id"], len(POSITIONS))


async def stored_world(system):
    """Return the tables that decide about rights, as stored, in the same order on both databases.

    Only the order of several new rows may differ, whose keys are random.
    """
    tables = {}
    async with system.database.transaction() as connection:
        for name in NAMES:
            rows = (await connection.execute(select(TABLES[f"directus_{name}"]))).mappings().all()
            tables[name] = sorted(map(dict, rows), key=position)
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


def is_admin(tables):
    return any(policy.admin for policy in World(tables).of_user(WRITER))


@pytest.mark.one_database
@settings(max_examples=EXAMPLES)  # each replaces all rows several times
@given(data=st.data())
async def test_no_accepted_write_grants_more_than_its_author_has(scratch_db, outcomes, data):
    kinds = data.draw(st.permutations([*WRITES, *MORE]))
    for start in range(0, len(kinds), WRITES_PER_WORLD):
        await replace(scratch_db, deepcopy(data.draw(worlds().filter(lambda tables: not is_admin(tables)))))
        before = await stored_world(scratch_db)
        for kind in kinds[start : start + WRITES_PER_WORLD]:
            before = await check_write(scratch_db, outcomes, data, kind, before)


async def check_write(system, outcomes, data, kind, before):
    """Try a write from an address at which the writer manages rights; return the world after it, judged."""
    collection, method, *arguments = data.draw(writes(kind, before.tables))
    addresses = [ip for ip in IPS if before.policies[MANAGING].applies_at(ip)] or IPS
    caller = Caller(token=static_token(WRITER), ip=data.draw(st.sampled_from(addresses)))
    try:
        await getattr(system.directory(caller)[collection], method)(*arguments)
    except RollcallError as error:
        if error.reason in DELEGATION_MESSAGES:
            outcomes[kind, False] += 1
        return before
    outcomes[kind, True] += 1
    after = await stored_world(system)
    assert judge(before, after, taken_user(kind, arguments)) is None, (kind, arguments)
    return after
