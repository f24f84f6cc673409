"""Published holes of what is written down: secrets and addresses in logs, in the trail, and in rows of our own."""

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
from sqlalchemy.exc import DBAPIError

from app.db.models import ATTEMPTS, OUTBOX, RECOVERY_CODES, Activity, Revision
from app.flows.import_export import import_rows
from tests.conftest import BACKENDS, copied
from tests.flows.inviters import INVITER_ROWS
from tests.security.entry_points import FLOWS, GRAPHQL
from tests.security.leak_detector import watched
from tests.security.scenario import do_everything
from tests.security.secret_registry import Secrets
from tests.writes.editors import DESK

UNTOLD = ("timestamp", "request_id", "ms")
"""What of a line of the log has digits that mean nothing."""


async def everything_done_on(backend, templates, folder, stack):
    """A server that everything was done to, and all that it wrote."""
    system = await copied(stack, backend, templates, folder)
    for rows in (DESK, INVITER_ROWS):
        await import_rows(system.database, rows, replace=False)
    async with watched(system) as seen:
        await do_everything(seen)
    return seen


@pytest_asyncio.fixture(scope="module")
async def all_seen(templates, tmp_path_factory):
    async with AsyncExitStack() as stack:
        folders = [tmp_path_factory.mktemp("watched") for _ in BACKENDS]
        doing = [everything_done_on(*each, stack) for each in zip(BACKENDS, [templates] * 2, folders, strict=False)]
        yield dict(zip(BACKENDS, await asyncio.gather(*doing), strict=True))


@pytest.fixture(params=BACKENDS)
def seen(request, all_seen):
    return all_seen[request.param]


def lines(seen):
    return [json.loads(line) for line in seen.log.splitlines()]


async def test_all_that_happened_is_in_the_log(seen):
    """So that what isn't there could have been."""
    told = lines(seen)  # which says that nothing is written past the log
    asked = {line["path"]: line for line in told if line["event"] == "request"}
    failures = [line for line in told if "exception" in line]

    assert {flow.path for flow in FLOWS.values()} | {GRAPHQL, "/users/me"} <= asked.keys()
    assert {"Invalid HTTP request received.", "Unsupported upgrade request.", "mail_failed"} <= {
        line["event"] for line in told
    }
    for table in ("directus_settings", "directus_sessions", "rollcall_outbox", "directus_users"):
        assert any(table in line["exception"] for line in failures), table
    assert {"request_failed", "resolver_failed"} <= {line["event"] for line in failures}
    assert len(seen.secrets.kept) > 200


async def test_cve_2024_47822_and_its_like_no_secret_is_in_the_log(seen):
    """Also CVE-2024-28238, CVE-2023-28443, CVE-2025-53886 and CVE-2025-53885.

    Not as it is, nor escaped, in a URL, in base64 or in part; whether what was asked for went well or not, or couldn't
    even be read.
    """
    assert seen.secrets.found_in(seen.log) == []
    assert "DETAIL" not in seen.log  # what PostgreSQL adds of a row
    assert "argon2id" not in seen.log
    assert [line for line in lines(seen) if "?" in str(line.get("path"))] == []


async def test_cve_2025_53886_no_code_of_a_second_factor_is_in_the_log(seen):
    found = [
        (code, line)
        for line in lines(seen)
        for code in seen.secrets.codes
        if re.search(rf"(?<!\d){code}(?!\d)", str({name: said for name, said in line.items() if name not in UNTOLD}))
    ]

    assert len(seen.secrets.codes) > 4
    assert found == []


async def test_cve_2026_39943_no_secret_is_in_the_trail_nor_in_a_row_of_ours(seen):
    """Nor in what is kept for mails, for failed attempts and for recovery codes; addresses are in changes of users."""
    written = []
    async with seen.system.database.transaction() as connection:
        for table in (Activity.__table__, Revision.__table__, OUTBOX, ATTEMPTS, RECOVERY_CODES):
            rows = (await connection.execute(select(table))).all()
            assert rows or table is RECOVERY_CODES, table
            written += [str(tuple(row)) for row in rows]
    told = "\n".join(written)

    assert {"login", "lockout", "update", "create"} <= set(re.findall(r"'(\w+)'", told))
    assert [what for what in seen.secrets.found_in(told) if "address" not in what and "stranger" not in what] == []
    assert "argon2id" not in told


@pytest.mark.parametrize("way", ["read", "written"])
async def test_cve_2025_53886_what_a_driver_says_of_a_value_is_left_out(editors, way):
    """A fault's text ends in the log, with those that led to it."""
    if editors.database.dialect == "sqlite":
        pytest.skip("SQLite minds no value")
    odd = select(cast(literal("a secret that is no number"), Integer))
    doing = {
        "read": lambda: editors.services.reader.fetch(odd),
        "written": lambda: editors.database.run_write(lambda writer: writer.rows(writer.prepare(odd)), exclusive=False),
    }[way]
    with pytest.raises((ValueError, DBAPIError)) as fault:
        await doing()

    told = "".join(traceback.format_exception(fault.value))
    assert "a value doesn't fit its column" in told
    assert "a secret" not in told


SPELLED = [
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


@pytest.mark.parametrize("spelled", range(len(SPELLED)))
def test_whatever_is_written_down_would_be_found(spelled):
    secrets = Secrets()
    value = secrets.new("a password of a test")

    assert secrets.found_in(f"before {SPELLED[spelled](value)} after") == ["a password of a test"]
    assert secrets.found_in("before and after") == []


def test_a_signed_token_would_be_found_by_its_parts():
    secrets = Secrets()
    token = secrets.jwt("a token of a test")

    for part in (token, token.split(".")[1], token.split(".")[2]):
        assert secrets.found_in(f"before {part} after") == ["a token of a test"]
