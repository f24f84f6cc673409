"""The documentation's examples of the repositories and of accounts, run as printed."""

import ast
import re
import shutil
from inspect import CO_COROUTINE
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import orjson
import pytest
from graphql import parse, validate

from app.core.caller import SYSTEM
from app.graphql.schema import schema
from tests.base_data import uid
from tests.compat.replay import free_port
from tests.http.test_graphql import served
from tests.ldap.unreachable import unreachable_directory
from tests.readme.pages import DOCS, create_checkout, page, run_shell, running_server, section, snippets

ADMIN_TOKEN = "only for this test"
needs_curl = pytest.mark.skipif(not (shutil.which("curl") and shutil.which("sh")), reason="curl is not installed")
ROW_MUTATIONS = ("create_", "update_", "delete_")
WAIT_FOR_TOKEN = """for _ in $(seq 100); do
  TOKEN=$(sed -n 's/.*accept-invite?token=\\([^\\\\]*\\).*/\\1/p' log); [ -n "$TOKEN" ] && break; sleep 0.1
done"""


class Checkout(NamedTuple):
    """An installed checkout whose server listens on `port` instead of 8055."""

    folder: Path
    env: dict[str, str]
    port: int

    def run(self, script: str) -> str:
        return run_shell(script.replace(":8055", f":{self.port}"), self.folder, self.env)

    def delete_user(self, email: str) -> None:
        httpx.request(
            "DELETE",
            f"http://127.0.0.1:{self.port}/users",
            json={"query": {"filter": {"email": {"_eq": email}}}},
            headers={"authorization": f"Bearer {ADMIN_TOKEN}"},
        ).raise_for_status()


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A checkout in which a server runs. A test leaves the users as they were: one, the admin."""
    folder, port = tmp_path_factory.mktemp("checkout"), free_port()
    env = create_checkout(folder) | {"ADMIN_TOKEN": ADMIN_TOKEN}
    with running_server(folder, env, port):
        yield Checkout(folder, env, port)


async def test_the_python_snippets_have_the_described_effect(writable_db, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", writable_db.settings.database_url)
    blocks = snippets("python", page("python/library.md"))
    namespace: dict[str, Any] = {}
    for snippet in blocks:
        code = compile(snippet, "library.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        result = eval(code, namespace)
        if code.co_flags & CO_COROUTINE:
            await result

    assert len(blocks) == 7
    assert namespace["ada"]["id"] == uid("ada")
    assert namespace["seen"] == [{"id": namespace["ina"], "title": "CTO"}]
    roles = await writable_db.directory(SYSTEM)["roles"].read_by_query(
        {"filter": {"name": {"_eq": "Interns"}}, "fields": ["icon", "policies.policy.app_access"]}
    )
    assert roles == [{"icon": "verified_user", "policies": [{"policy": {"app_access": True}}]}]
    assert await writable_db.directory(SYSTEM)["users"].get_user_by_email("ina@example.com") is None


async def test_the_python_example_of_the_readme_works(writable_db, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", writable_db.settings.database_url)
    (snippet,) = snippets("python", section("README.md", "Using it from Python"))
    code, namespace = compile(snippet, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), dict[str, Any]()
    await eval(code, namespace)

    assert {"id": namespace["grace"], "email": "grace@example.com"} in namespace["active"]


def test_every_graphql_example_is_valid():
    files = [file for file in DOCS.rglob("*.md") if file.name != "custom-fields.md"]  # has fields of its own
    queries = [query for file in files for query in snippets("graphql", file.read_text())]

    assert len(queries) == 10
    assert [validate(schema.graphql, parse(query)) for query in queries] == [[]] * len(queries)


async def test_the_example_of_a_permission_is_accepted(writable_db):
    (permission,) = snippets("json", page("concepts/permissions.md"))
    directory = writable_db.directory(SYSTEM)
    policy = await directory["policies"].create_one({"name": "Example", "permissions": [orjson.loads(permission)]})

    assert await directory["permissions"].read_by_query(
        {"filter": {"policy": {"_eq": policy}}, "fields": ["action"]}
    ) == [{"action": "read"}]


@pytest.mark.slow
@needs_curl
def test_the_first_query_succeeds(checkout):
    commands, query = snippets("sh", section("README.md", "Quick start"))
    (response,) = snippets("json", section("README.md", "Quick start"))
    (other_query,) = snippets("sh", section("quickstart.md", "Send a query"))
    output, other_output = checkout.run(query), checkout.run(other_query)

    assert orjson.loads(output) == orjson.loads(response)
    assert orjson.loads(other_output)["data"]["users"][0]["email"] == "admin@example.com"
    assert re.findall(r"^make (\w+)", commands, re.MULTILINE) == ["run", "test"]
    assert re.findall(r"^make (\w+)", section("quickstart.md", "Start a server"), re.MULTILINE) == ["run"]


@pytest.mark.slow
@needs_curl
def test_users_are_exported_as_a_file(checkout):
    (export,) = snippets("sh", section("reference/rest.md", "Exporting a list as a file"))
    head, admin = checkout.run(export).splitlines()

    assert head == '"id","email","role.name"'
    assert '"admin@example.com"' in admin


@pytest.mark.slow
@needs_curl
def test_an_invitation_leads_to_a_first_query(checkout):
    script = "".join(
        snippets("sh", page("quickstart.md").partition("## Create a role")[2].partition("## Use PostgreSQL")[0])
    )
    assert script.count("TOKEN='eyJ...'") == 1
    try:
        output = checkout.run(script.replace("TOKEN='eyJ...'", WAIT_FOR_TOKEN))
    finally:
        checkout.delete_user("ines@example.com")

    assert output.count("HTTP/1.1 204 No Content") == 2
    data = orjson.loads(output.splitlines()[-1])["data"]
    active = [{"email": f"{name}@example.com", "status": "active"} for name in ("admin", "ines")]
    assert data["users_me"] == {"email": "ines@example.com"}
    assert sorted(data["users"], key=lambda user: user["email"]) == active


@pytest.mark.slow
@needs_curl
def test_an_image_is_uploaded_and_read(checkout):
    (script,) = snippets("sh", page("concepts/files.md"))
    output = checkout.run(script)

    assert orjson.loads(output) == {"data": {"avatar": {"title": "Dot", "type": "image/gif", "width": 1}}}
    (stored,) = (checkout.folder / "uploads").iterdir()
    assert stored.read_bytes() == (checkout.folder / "dot.gif").read_bytes()


def test_the_table_of_accounts_lists_every_root_field_with_its_arguments():
    table = section("reference/graphql.md", "Accounts")
    listed = {
        name: set(filter(None, arguments.split(", ")))
        for name, arguments in re.findall(r"`((?:auth|users|utils)_\w+)(?:\(([^)]*)\))?`", table)
    }
    listed |= {
        name: set(arguments.split(", ")) for name, arguments in re.findall(r"`(\w+_tokens_item)\((\w+, user)\)`", table)
    }
    graphql: Any = schema.graphql
    roots = {**graphql.mutation_type.fields, **graphql.query_type.fields}
    mutations = {name for name in graphql.mutation_type.fields if not name.startswith(ROW_MUTATIONS)}

    assert listed == {name: set(roots[name].args) for name in listed}
    added = {"users_me_sessions", "users_sessions", "users_me_tokens", "users_tokens"}
    added |= {"users_me_passkeys", "users_passkeys"}
    added |= {"create_tokens_item", "delete_tokens_item"}
    assert mutations - {"access_simulate"} | added == set(listed)


async def test_every_path_of_the_table_of_accounts_exists(readonly_db):
    paths = re.findall(r"`(GET|POST|PATCH|DELETE) (/\S+)`", section("reference/graphql.md", "Accounts"))
    settings = {
        "public_url": "https://rollcall.example.com",
        "auth_providers": unreachable_directory("directory"),
    }
    async with served(readonly_db.settings.model_copy(update=settings)) as client:
        for method, path in paths:
            existing = path.replace(":provider", "directory")
            existing = existing.replace("ID", uid("vi")).replace("SESSION", "0" * 16).replace("TOKEN", uid("token"))
            existing = existing.replace("PASSKEY", uid("passkey"))
            response = await client.request(method, existing)
            assert "ROUTE_NOT_FOUND" not in response.text, (method, path)

    assert len(paths) == 42
