"""Directus' SDK, generators of TypeScript types and directus-sync, run with the documented commands.

DIRECTUS_TOOLS names the folder `node_modules` into which the documented `npm install` has put them.
"""

import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.commands import run_command
from tests.compat.replay import free_port, running_server, server_environment, temporary_database
from tests.compat.sdk import COMPATIBILITY_PAGE
from tests.compat.sync_extension import sync_extension
from tests.conftest import BACKENDS
from tests.readme.pages import run_shell, section, snippets

TOOLS = os.environ.get("DIRECTUS_TOOLS", "")
(COMMANDS,) = snippets("sh", section("concepts/custom-fields.md", "Tools"))
DOCUMENTED_URL = "http://127.0.0.1:8055"
SDK = "@directus/sdk"
PULL = "directus-sync pull --only-collections roles,policies,permissions --no-snapshot --no-specs"
CALLS = Path(__file__).parent / "tools/sdk.mjs"
needs_tools = pytest.mark.skipif(
    not (shutil.which("node") and Path(TOOLS, SDK).is_dir()),
    reason="node, or the folder of the tools that DIRECTUS_TOOLS names, is missing",
)

USERS = "directus_users"
SPECIAL_TYPES = {"csv": ["cast-csv"], "json": ["cast-json"], "hash": ["hash", "conceal"], "uuid": ["uuid"]}
NUMBER_TYPES = ("integer", "bigInteger", "float", "decimal")
PLAIN_TYPES = ("string", "text", *NUMBER_TYPES, "boolean", "date", "time", "dateTime", "timestamp")
FIELDS: list[dict[str, Any]] = [
    *({"field": f"a_{type_}", "type": type_} for type_ in PLAIN_TYPES),
    *({"field": f"a_{type_}", "type": type_, "meta": {"special": special}} for type_, special in SPECIAL_TYPES.items()),
    {
        "field": "phone",
        "type": "string",
        "schema": {"is_nullable": False, "default_value": ""},
        "meta": {"note": "A note"},
    },
    {"field": "manager", "type": "uuid", "meta": {"special": ["m2o"]}},
    {"field": "badge_photo", "type": "uuid", "meta": {"special": ["file"]}},
    {"field": "reports", "type": "alias", "meta": {"special": ["o2m"]}},
]
RELATIONS: list[dict[str, Any]] = [
    {"collection": USERS, "field": "manager", "related_collection": USERS, "meta": {"one_field": "reports"}},
    {"collection": USERS, "field": "badge_photo", "related_collection": "directus_files"},
]
EXPECTED = {
    "typegen.ts": [
        "phone?: string;",
        "a_csv?: string[] | null;",
        "a_float?: number | null;",
        "manager?: DirectusUser | string | null;",
        "badge_photo?: DirectusFile | string | null;",
        "reports?: DirectusUser[] | string[];",
    ],
    "typeforge.ts": [
        "/** A note */\n  phone: string;",
        "a_csv: string[];",
        "a_float: number;",
        "manager: string | DirectusUser;",
        "badge_photo: string | DirectusFile;",
        "reports: string[] | DirectusUser[];",
    ],
    "typescript-gen.ts": [
        "a_float?: number | null;",
        'manager?: (string | null) | components["schemas"]["Users"];',
        'reports?: (string | components["schemas"]["Users"])[];',
    ],
}
"""What each file of types contains about the fields."""


@pytest.fixture(params=BACKENDS)
def server(request, tmp_path):
    """The URL of a new server, and the environment it has."""
    with temporary_database(request.param, str(tmp_path)) as url:
        env = server_environment(url, free_port(), free_port()) | {"EMAIL_TRANSPORT": "log", "LOG_LEVEL": "error"}
        with running_server(env, str(tmp_path)) as base_url:
            yield base_url, env


def create_fields(base_url, token):
    with httpx.Client(base_url=base_url, headers={"Authorization": f"Bearer {token}"}) as client:
        for path, bodies in ((f"/fields/{USERS}", FIELDS), ("/relations", RELATIONS)):
            for body in bodies:
                response = client.post(path, json=body)
                assert response.status_code == 200, response.text


def test_the_documented_installation_has_every_tool_that_is_run():
    install, *commands = COMMANDS.splitlines()
    packages = {package.removesuffix("@latest") for package in install.removeprefix("npm install ").split()}
    programs = {command.split()[1] for command in commands}

    assert [command for command in commands if not command.startswith("npx ")] == []
    assert packages - {SDK, "typescript"} == programs - {"tsc"}
    assert set(re.findall(r"--(?:output|outFile) (\S+)", COMMANDS)) == EXPECTED.keys()


@pytest.mark.nightly
@needs_tools
def test_the_tools_generate_types_that_compile_and_pull_the_schema(server, tmp_path):
    base_url, env = server
    create_fields(base_url, env["ADMIN_TOKEN"])
    (tmp_path / "node_modules").symlink_to(TOOLS)
    env |= {"PATH": f"{TOOLS}/.bin:{env['PATH']}", "TOKEN": env["ADMIN_TOKEN"], "PASSWORD": env["ADMIN_PASSWORD"]}
    commands = COMMANDS.partition("\n")[2].replace("npx ", "").replace(DOCUMENTED_URL, base_url)
    run_shell(commands, tmp_path, env)

    for name, parts in EXPECTED.items():
        text = (tmp_path / name).read_text()
        assert [part for part in parts if part not in text] == [], name
    snapshot = tmp_path / "directus-config/snapshot"
    assert {file.stem for file in (snapshot / "fields" / USERS).iterdir()} == {body["field"] for body in FIELDS}
    assert {file.stem for file in (snapshot / "relations" / USERS).iterdir()} == {body["field"] for body in RELATIONS}


@pytest.mark.nightly
@needs_tools
def test_a_dump_of_directus_sync_describes_the_server_that_it_was_made_of(server, tmp_path):
    base_url, env = server
    policy = {"name": "Readers", "permissions": [{"collection": USERS, "action": "read", "fields": ["id", "email"]}]}
    role = {"name": "Readers", "policies": [{"policy": policy}]}
    headers = {"Authorization": f"Bearer {env['ADMIN_TOKEN']}"}
    httpx.post(f"{base_url}/roles", json=role, headers=headers).raise_for_status()
    env = env | {"PATH": f"{TOOLS}/.bin:{env['PATH']}", "TOKEN": env["ADMIN_TOKEN"]}
    with sync_extension(base_url) as url:
        run_shell(f"{PULL} --directus-url {url} --directus-token $TOKEN", tmp_path, env)
    dump = tmp_path / "directus-config"
    unchanged = asyncio.run(run_command(env["DATABASE_URL"], "policies", "plan", str(dump)))
    permissions = dump / "collections/permissions.json"
    permissions.write_text(permissions.read_text().replace('"email"', '"status"'))
    changed = asyncio.run(run_command(env["DATABASE_URL"], "policies", "plan", str(dump)))

    assert unchanged.out == "No changes: the database has these roles and policies already.\n", unchanged.err
    assert '    fields: ["id","email"] -> ["id","status"]\n' in changed.out


@pytest.mark.nightly
@needs_tools
def test_the_listed_functions_of_the_sdk_work(server, tmp_path):
    base_url, env = server
    (tmp_path / "node_modules").symlink_to(TOOLS)
    shutil.copy(CALLS, tmp_path)
    output = run_shell(f'node sdk.mjs {base_url} "{COMPATIBILITY_PAGE}"', tmp_path, env)

    assert ", 0 failures" in output
