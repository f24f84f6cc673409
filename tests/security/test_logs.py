"""Known vulnerabilities of stored secrets: in logs, in the audit log, and in Rollcall's own tables."""

import asyncio
import base64
import json
import re
import traceback
from contextlib import AsyncExitStack
from urllib.parse import quote, quote_plus

import pytest
import pytest_asyncio
from sqlalchemy import Integer, cast, literal, select

from app.core.errors import InvalidPayload, InvalidQuery
from app.db.models import ATTEMPTS, OUTBOX, RECOVERY_CODES, Activity, Revision
from app.flows.import_export import import_rows
from tests.conftest import BACKENDS, open_copy
from tests.flows.inviters import INVITER_ROWS
from tests.security.entry_points import FLOWS, GRAPHQL_PATH
from tests.security.leak_detector import monitored_server
from tests.security.scenario import run_scenario
from tests.security.secret_registry import SecretRegistry
from tests.writes.editors import EDITOR_ROWS

FIELDS_WITH_RANDOM_DIGITS = ("timestamp", "request_id", "ms")
"""Fields of a log line whose digits may equal a one-time password by chance."""


async def run_scenario_on(backend, templates, folder, stack):
    """Run the scenario on a server and return it, with its log complete."""
    system = await open_copy(stack, backend, templates, folder)
    for rows in (EDITOR_ROWS, INVITER_ROWS):
        await import_rows(system.database, rows, replace=False)
    async with monitored_server(system) as server:
        await run_scenario(server)
    return server


@pytest_asyncio.fixture(scope="module")
async def servers(templates, tmp_path_factory):
    async with AsyncExitStack() as stack:
        folders = [tmp_path_factory.mktemp("monitored") for _ in BACKENDS]
        runs = [
            run_scenario_on(*arguments, stack) for arguments in zip(BACKENDS, [templates] * 2, folders, strict=False)
        ]
        yield dict(zip(BACKENDS, await asyncio.gather(*runs), strict=True))


@pytest.fixture(params=BACKENDS)
def server(request, servers):
    return servers[request.param]


def log_lines(server):
    return [json.loads(line) for line in server.log.splitlines()]


async def test_the_log_covers_everything_the_scenario_did(server):
    """Otherwise the tests below would prove nothing."""
    lines = log_lines(server)  # also proves that everything the process prints is JSON
    requests = {line["path"]: line for line in lines if line["event"] == "request"}
    failures = [line for line in lines if "exception" in line]

    assert {flow.path for flow in FLOWS.values()} | {GRAPHQL_PATH, "/users/me"} <= requests.keys()
    assert {"Invalid HTTP request received.", "Unsupported upgrade request.", "mail_failed"} <= {
        line["event"] for line in lines
    }
    for table in ("directus_settings", "directus_sessions", "rollcall_outbox", "directus_users"):
        assert any(table in line["exception"] for line in failures), table
    assert {"request_failed", "resolver_failed"} <= {line["event"] for line in failures}
    assert len(server.secrets.labels) > 200


async def test_cve_2024_47822_the_log_contains_no_secret(server):
    """Also CVE-2024-28238, CVE-2023-28443, CVE-2025-53886 and CVE-2025-53885.

    In no encoding and not in part, for requests that succeed, fail, or cannot be parsed.
    """
    assert server.secrets.leaks_in(server.log) == []
    assert "DETAIL" not in server.log  # PostgreSQL's detail of an error may contain row values
    assert "argon2id" not in server.log
    assert [line for line in log_lines(server) if "?" in str(line.get("path"))] == []


async def test_cve_2025_53886_the_log_contains_no_one_time_password(server):
    leaks = [
        (code, line)
        for line in log_lines(server)
        for code in server.secrets.codes
        if re.search(
            rf"(?<!\d){code}(?!\d)",
            str({name: value for name, value in line.items() if name not in FIELDS_WITH_RANDOM_DIGITS}),
        )
    ]

    assert len(server.secrets.codes) > 4
    assert leaks == []


async def test_cve_2026_39943_the_audit_log_and_rollcalls_tables_contain_no_secret(server):
    """Outbox, failed attempts and recovery codes included. Email addresses do appear in revisions of users."""
    row_texts = []
    async with server.system.database.transaction() as connection:
        assert set(await connection.scalars(select(OUTBOX.c.kind))) == {"invite", "verify", "reset"}
        for table in (Activity.__table__, Revision.__table__, OUTBOX, ATTEMPTS, RECOVERY_CODES):
            rows = (await connection.execute(select(table))).all()
            assert rows or table is RECOVERY_CODES, table
            row_texts += [str(tuple(row)) for row in rows]
    text = "\n".join(row_texts)

    assert {"login", "lockout", "update", "create"} <= set(re.findall(r"'(\w+)'", text))
    assert [
        label for label in server.secrets.leaks_in(text) if "address" not in label and "stranger" not in label
    ] == []
    assert "argon2id" not in text


@pytest.mark.parametrize("operation", ["read", "write"])
async def test_cve_2025_53886_driver_errors_contain_no_value(editors, operation):
    """An exception is logged with its causes."""
    if editors.database.dialect == "sqlite":
        pytest.skip("SQLite accepts any value in any column")
    statement = select(cast(literal("a secret that is no number"), Integer))
    run = {
        "read": lambda: editors.services.reader.fetch(statement),
        "write": lambda: editors.database.run_write(
            lambda writer: writer.rows(writer.prepare(statement)), exclusive=False
        ),
    }[operation]
    with pytest.raises((InvalidQuery, InvalidPayload)) as error:
        await run()

    trace = "".join(traceback.format_exception(error.value))
    assert "a value doesn't fit its column" in trace
    assert "a secret" not in trace


ENCODINGS = [
    str,
    quote,
    quote_plus,
    json.dumps,
    lambda secret: repr({"x": secret}),
    lambda secret: f"/users?access_token={secret[:44]}",
    lambda secret: base64.b64encode(secret.encode()).decode(),
    lambda secret: base64.b64encode(f"user:{secret}:x".encode()).decode(),
    lambda secret: base64.urlsafe_b64encode(f"is:{secret}".encode()).decode(),
    lambda secret: secret.encode().hex(),
    lambda secret: secret.upper(),
]


@pytest.mark.parametrize("encoding", range(len(ENCODINGS)))
def test_the_registry_finds_a_secret_in_any_encoding(encoding):
    secrets = SecretRegistry()
    value = secrets.new_secret("a password of a test")

    assert secrets.leaks_in(f"before {ENCODINGS[encoding](value)} after") == ["a password of a test"]
    assert secrets.leaks_in("before and after") == []


def test_the_registry_finds_a_jwt_by_its_parts():
    secrets = SecretRegistry()
    token = secrets.new_jwt("a token of a test")

    for part in (token, token.split(".")[1], token.split(".")[2]):
        assert secrets.leaks_in(f"before {part} after") == ["a token of a test"]
