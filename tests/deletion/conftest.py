"""A database with tables of a project that refer to users in every way, and with Directus' own notifications."""

from contextlib import AsyncExitStack

import pytest_asyncio

from tests.base_data import caller, uid
from tests.conftest import BACKENDS, open_copy
from tests.writes.conftest import run_sql

VI, SAM = uid("vi"), uid("sam")
ADA = caller("ada")
IP = "198.51.100.7"
"""The address of Vi."""
PROJECT_TABLES = """
CREATE TABLE articles (id integer PRIMARY KEY, author {key} REFERENCES directus_users (id) ON DELETE CASCADE);
CREATE TABLE remarks (
    id integer PRIMARY KEY, article integer REFERENCES articles (id) ON DELETE CASCADE,
    parent integer REFERENCES remarks (id) ON DELETE CASCADE,
    reviewer {key} REFERENCES directus_users (id) ON DELETE SET NULL
);
CREATE TABLE contracts (id integer PRIMARY KEY, "Owner" {key} REFERENCES directus_users (id) ON DELETE RESTRICT);
CREATE TABLE memberships (team varchar(20), member {key} REFERENCES directus_users (id), UNIQUE (team, member));
CREATE TABLE directus_notifications (
    id integer PRIMARY KEY, recipient {key} REFERENCES directus_users (id) ON DELETE CASCADE,
    sender {key} REFERENCES directus_users (id), message varchar(255)
);
"""
PROJECT_ROWS = ("directus_notifications", "contracts", "remarks", "articles")
"""The tables whose rows a property test replaces, each before those that it refers to."""
HARMLESS_ROWS = f"""
INSERT INTO articles VALUES (1, '{VI}'), (2, '{VI}'), (3, '{SAM}');
INSERT INTO remarks VALUES (1, 1, NULL, '{SAM}'), (2, 2, NULL, '{VI}'), (3, 3, NULL, '{VI}'), (4, 3, 1, NULL);
INSERT INTO directus_notifications VALUES (1, '{VI}', '{SAM}', 'Hi Vi'), (2, '{SAM}', '{VI}', 'Hi Sam');
"""
"""Rows that refer to Vi, with whom some are deleted; remark 4 hangs on one of them."""
BLOCKING_ROWS = f"""
INSERT INTO contracts VALUES (1, '{VI}'), (2, '{VI}'), (3, '{SAM}');
INSERT INTO memberships VALUES ('red', '{VI}'), ('blue', '{SAM}');
"""


async def add_tables(system, rows=""):
    """Add the tables of a project to a database."""
    key = "uuid" if system.database.dialect == "postgresql" else "char(36)"
    await run_sql(system.settings.database_url, PROJECT_TABLES.format(key=key) + rows)
    return system


@pytest_asyncio.fixture(params=BACKENDS, scope="module")
async def shared_project(request, templates, tmp_path_factory):
    """The base data with the empty tables of a project, whose rows a property test replaces for each example."""
    async with AsyncExitStack() as stack:
        yield await add_tables(await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("project")))


@pytest_asyncio.fixture
async def project(writable_db):
    """The base data with the tables and the harmless rows of a project, and a session of Vi."""
    session = f"INSERT INTO directus_sessions (token, \"user\", expires) VALUES ('s', '{VI}', '2099-01-01T00:00:00Z');"
    return await add_tables(writable_db, HARMLESS_ROWS + session)


@pytest_asyncio.fixture
async def blocked(project):
    """The same, with rows that keep Vi from being deleted."""
    await run_sql(project.settings.database_url, BLOCKING_ROWS)
    return project


@pytest_asyncio.fixture
async def person(blocked):
    """The same, with what else may be stored about Vi: a mail, activity, a file, a policy, and a token."""
    ada = blocked.directory(ADA)
    await ada["users"].update_one(VI, {"last_name": "Viola", "tags": ["x"]})
    await ada["files"].create_one({"storage": "local", "filename_download": "vi.png", "uploaded_by": VI})
    await ada["access"].create_one({"user": VI, "policy": uid("policy-Staff")})
    await run_sql(
        blocked.settings.database_url,
        'INSERT INTO directus_activity (action, "user", ip, user_agent, collection, item, timestamp) '
        f"VALUES ('login', '{VI}', '{IP}', 'Viewer/1', 'directus_users', '{VI}', '2024-01-01T00:00:00Z');"
        "INSERT INTO rollcall_outbox (kind, recipient, data, due, attempts) "
        "VALUES ('reset', 'Vi@example.com', '{}', '2024-01-01T00:00:00Z', 0);"
        f"INSERT INTO rollcall_recovery_codes (hash, \"user\") VALUES ('secret-hash', '{VI}');"
        'INSERT INTO rollcall_password_history (id, "user", hash, created) '
        f"VALUES (1, '{VI}', 'secret-hash-3', '2024-01-01T00:00:00Z');"
        'INSERT INTO rollcall_tokens (id, "user", hash, name, created, last_used_ip) '
        f"VALUES ('{uid('token')}', '{VI}', 'secret-hash-2', 'Build', '2024-01-01T00:00:00Z', '{IP}');",
    )
    return blocked
