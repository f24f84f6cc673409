"""What the README shows, run as it stands there: of the repositories, and of accounts."""

import ast
import re
import shutil
from inspect import CO_COROUTINE
from typing import Any

import orjson
import pytest

from app.core.caller import SYSTEM
from app.graphql.schema import schema
from tests.compat.replay import free_port
from tests.http.test_graphql import served
from tests.readme.readme_sections import checkout, page, paste, running, snippets
from tests.world import uid

needs_curl = pytest.mark.skipif(not (shutil.which("curl") and shutil.which("sh")), reason="there is no curl here")
GENERATED = ("create_", "update_", "delete_")
MAILED = """for _ in $(seq 100); do
  TOKEN=$(sed -n 's/.*accept-invite?token=\\([^\\\\]*\\).*/\\1/p' log); [ -n "$TOKEN" ] && break; sleep 0.1
done"""


async def test_the_snippets_of_the_readme_do_what_they_say(writable_db, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", writable_db.settings.database_url)
    shown = snippets("python", page("## From Python"))
    seen: dict[str, Any] = {}
    for snippet in shown:
        code = compile(snippet, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        told = eval(code, seen)
        if code.co_flags & CO_COROUTINE:
            await told

    assert len(shown) == 7
    assert seen["ada"]["id"] == uid("ada")
    assert seen["seen"] == [{"id": seen["ina"], "title": "CTO"}]
    roles = await writable_db.directory(SYSTEM)["roles"].read_by_query(
        {"filter": {"name": {"_eq": "Interns"}}, "fields": ["icon", "policies.policy.app_access"]}
    )
    assert roles == [{"icon": "verified_user", "policies": [{"policy": {"app_access": True}}]}]
    assert await writable_db.directory(SYSTEM)["users"].get_user_by_email("ina@example.com") is None


@needs_curl
def test_the_first_query_answers_whoever_pastes_it(tmp_path):
    env, port = checkout(tmp_path), free_port()
    commands, query = snippets("sh", page("# Rollcall"))
    with running(tmp_path, env, port):
        told = paste(query.replace(":8055", f":{port}"), tmp_path, env)

    assert orjson.loads(told)["data"]["users"][0]["email"] == "admin@example.com"
    assert re.findall(r"^make (\w+)", commands, re.MULTILINE) == ["run", "test"]


@needs_curl
def test_users_are_told_as_a_file(tmp_path):
    env, port = checkout(tmp_path), free_port()
    (export,) = snippets("sh", page("### As a file"))
    with running(tmp_path, env, port):
        head, admin = paste(export.replace(":8055", f":{port}"), tmp_path, env).splitlines()

    assert head == '"id","email","role.name"'
    assert '"admin@example.com"' in admin


@needs_curl
def test_an_invitation_leads_to_a_first_query_as_the_readme_shows_it(tmp_path):
    env, port = checkout(tmp_path), free_port()
    walk = "".join(snippets("sh", page("### From an invitation to a first query", "\n### ")))
    assert walk.count("TOKEN='eyJ...'") == 1
    with running(tmp_path, env, port):
        told = paste(walk.replace("TOKEN='eyJ...'", MAILED).replace(":8055", f":{port}"), tmp_path, env)

    assert told.count("HTTP/1.1 204 No Content") == 2
    seen = orjson.loads(told.splitlines()[-1])["data"]
    active = [{"email": f"{name}@example.com", "status": "active"} for name in ("admin", "ines")]
    assert seen["users_me"] == {"email": "ines@example.com"}
    assert sorted(seen["users"], key=lambda user: user["email"]) == active


@needs_curl
def test_a_picture_is_uploaded_and_read_as_the_readme_shows_it(tmp_path):
    env, port = checkout(tmp_path), free_port()
    (walk,) = snippets("sh", page("## Files"))
    with running(tmp_path, env, port):
        told = paste(walk.replace(":8055", f":{port}"), tmp_path, env)

    assert orjson.loads(told) == {"data": {"avatar": {"title": "Dot", "type": "image/gif", "width": 1}}}
    (kept,) = (tmp_path / "uploads").iterdir()
    assert kept.read_bytes() == (tmp_path / "dot.gif").read_bytes()


def test_the_table_of_accounts_names_every_root_field_with_its_arguments():
    table = page("## Accounts", "\n### ")
    named = {
        name: set(filter(None, arguments.split(", ")))
        for name, arguments in re.findall(r"`((?:auth|users|utils)_\w+)(?:\(([^)]*)\))?`", table)
    }
    graphql: Any = schema.graphql
    roots = {**graphql.mutation_type.fields, **graphql.query_type.fields}
    mutations = {name for name in graphql.mutation_type.fields if not name.startswith(GENERATED)}

    assert named == {name: set(roots[name].args) for name in named}
    assert mutations | {"users_me_sessions", "users_sessions"} == set(named)


async def test_somebody_is_at_home_at_every_path_of_the_table_of_accounts(readonly_db):
    paths = re.findall(r"`(GET|POST|DELETE) (/\S+)`", page("## Accounts", "\n### "))
    async with served(readonly_db.settings) as client:
        for method, path in paths:
            known = path.replace("ID", uid("vi")).replace("SESSION", "0" * 16)
            answer = await client.request(method, known)
            assert "ROUTE_NOT_FOUND" not in answer.text, (method, path)

    assert len(paths) == 26
