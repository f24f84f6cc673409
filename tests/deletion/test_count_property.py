"""The counts of a dry run are those of the rows that the database itself changes, on random rows."""

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.flows.user_deletion import DeletionOptions, delete_users
from tests.base_data import uid
from tests.deletion.conftest import ADA, PROJECT_ROWS, SAM, VI
from tests.deletion.database import read_content

pytestmark = pytest.mark.both_databases

USERS = [VI, SAM, uid("kit")]
user_or_none = st.sampled_from([*USERS, None])
articles = st.lists(user_or_none, max_size=4)
remarks = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), user_or_none), max_size=6)
contracts = st.lists(user_or_none, max_size=1)
notifications = st.lists(st.tuples(user_or_none, user_or_none), max_size=3)
TARGETS = {("remarks", "article"): "articles", ("remarks", "parent"): "remarks"}


async def fill(connection, drawn) -> None:
    """Replace the rows of the project by random ones; a remark answers an earlier one that answers none."""
    for table in PROJECT_ROWS:
        await connection.execute(text(f"DELETE FROM {table}"))
    written, reviewed, owned, sent = drawn
    for number, author in enumerate(written):
        await insert(connection, "articles", number, author)
    parents: list[int] = []
    for number, (article, parent, reviewer) in enumerate(reviewed):
        answered = parents[parent] if parent < len(parents) else None
        parents += [] if answered is not None else [number]
        await insert(connection, "remarks", number, article if article < len(written) else None, answered, reviewer)
    for number, owner in enumerate(owned):
        await insert(connection, "contracts", number, owner)
    for number, (recipient, sender) in enumerate(sent):
        await insert(connection, "directus_notifications", number, recipient, sender, "Hi")


async def insert(connection, table, *values) -> None:
    literals = ", ".join("NULL" if value is None else repr(value) for value in values)
    await connection.execute(text(f"INSERT INTO {table} VALUES ({literals})"))


async def deletion_by_the_database(system, users):
    """Return the content before and after the database deletes users, and None for the latter if it refuses."""
    keys = ", ".join(repr(user) for user in users)
    async with system.database.transaction() as connection:
        before = await read_content(connection)
        released = f"UPDATE directus_notifications SET sender = NULL WHERE sender IN ({keys})"
        await connection.execute(text(released))
        try:
            await connection.execute(text(f"DELETE FROM directus_users WHERE id IN ({keys})"))
            after = await read_content(connection)
        except IntegrityError:
            after = None
        await connection.rollback()
    return before, after


def expected_counts(before, lost):
    """Return how many rows refer by each column to rows that are lost."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    columns = {"articles": ["author"], "remarks": ["article", "parent", "reviewer"], "contracts": ["Owner"]}
    for table, names in {**columns, "directus_notifications": ["recipient", "sender"]}.items():
        for row in before[table]:
            for name in names:
                counts[table, name] += str(row[name]) in lost[TARGETS.get((table, name), "directus_users")]
    return {reference: count for reference, count in counts.items() if count}


@settings(max_examples=max(settings().max_examples // 8, 10))
@given(
    drawn=st.tuples(articles, remarks, contracts, notifications),
    users=st.lists(st.sampled_from(USERS), min_size=1, max_size=2, unique=True),
)
async def test_the_dry_run_counts_what_the_database_changes(shared_project, drawn, users):
    async with shared_project.database.transaction() as connection:
        await fill(connection, drawn)
    report = await delete_users(shared_project.directory(ADA), users, DeletionOptions(dry_run=True))
    before, after = await deletion_by_the_database(shared_project, users)
    counted = {(one.table, one.column): one.count for one in report.references if one.table in PROJECT_ROWS}
    is_blocked = any(one.action == "blocked" for one in report.references)

    assert is_blocked is (after is None)
    if after is not None:
        lost = {
            name: {str(row["id"]) for row in before[name]} - {str(row["id"]) for row in after[name]}
            for name in ("directus_users", "articles", "remarks")
        }
        assert counted == expected_counts(before, lost)
