"""What the README shows, run as it stands there: of the repositories, and of accounts."""

import ast
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from inspect import CO_COROUTINE
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.core.caller import SYSTEM
from app.schema.schema import schema
from tests.compat.replay import ROLLCALL, free_port, wait_for
from tests.http.test_graphql import served
from tests.world import uid

README = Path(__file__).parents[1] / "README.md"
GENERATED = ("create_", "update_", "delete_")
MAILED = """for _ in $(seq 100); do
  TOKEN=$(sed -n 's/.*accept-invite?token=\\([^\\\\]*\\).*/\\1/p' log); [ -n "$TOKEN" ] && break; sleep 0.1
done"""


def page(title, until="\n## "):
    return README.read_text().partition(f"{title}\n")[2].partition(until)[0]


def snippets(language, text):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


async def test_the_snippets_of_the_readme_do_what_they_say(fresh, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", fresh.settings.database_url)
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
    roles = await fresh.directory(SYSTEM)["roles"].read_by_query(
        {"filter": {"name": {"_eq": "Interns"}}, "fields": ["icon", "policies.policy.app_access"]}
    )
    assert roles == [{"icon": "verified_user", "policies": [{"policy": {"app_access": True}}]}]
    assert await fresh.directory(SYSTEM)["users"].get_user_by_email("ina@example.com") is None


@contextmanager
def running(folder, port):
    """What `make run` does, but for installing, with its log in a file."""
    subprocess.run([*ROLLCALL, "bootstrap"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([*ROLLCALL, "serve", "--port", str(port)], cwd=folder, stderr=log)
        try:
            wait_for(port)
            yield
        finally:
            server.terminate()
            server.wait(20)


@pytest.fixture
def shell(tmp_path, monkeypatch):
    """Pastes what README shows into a shell, with a server beside it; what is printed."""
    if not (shutil.which("curl") and shutil.which("sh")):
        pytest.skip("there is no curl here")
    for name in (
        "DATABASE_URL",
        "SECRET",
        "EMAIL_TRANSPORT",
        "LOG_LEVEL",
        "LOG_STYLE",
        "PUBLIC_URL",
        "STORAGE_LOCAL_ROOT",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(README.parent))
    rollcall = tmp_path / ".venv/bin/rollcall"
    rollcall.parent.mkdir(parents=True)
    rollcall.write_text(f"#!{sys.executable}\nfrom app.cli import main\nmain()\n")
    rollcall.chmod(0o755)
    port = free_port()

    def paste(text):
        with running(tmp_path, port):
            pasted = ["sh", "-c", text.replace(":8055", f":{port}")]
            return subprocess.run(pasted, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    return paste


def test_an_invitation_leads_to_a_first_query_as_the_readme_shows_it(shell):
    walk = "".join(snippets("sh", page("### From an invitation to a first query", "\n### ")))
    assert walk.count("TOKEN='eyJ...'") == 1
    told = shell(walk.replace("TOKEN='eyJ...'", MAILED))

    assert told.count("HTTP/1.1 204 No Content") == 2
    seen = orjson.loads(told.splitlines()[-1])["data"]
    active = [{"email": f"{name}@example.com", "status": "active"} for name in ("admin", "ines")]
    assert seen["users_me"] == {"email": "ines@example.com"}
    assert sorted(seen["users"], key=lambda user: user["email"]) == active


def test_a_picture_is_uploaded_and_read_as_the_readme_shows_it(shell, tmp_path):
    (walk,) = snippets("sh", page("## Files"))
    told = shell(walk)

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


async def test_somebody_is_at_home_at_every_path_of_the_table_of_accounts(world):
    paths = re.findall(r"`(GET|POST|DELETE) (/\S+)`", page("## Accounts", "\n### "))
    async with served(world.settings) as client:
        for method, path in paths:
            known = path.replace("ID", uid("vi")).replace("SESSION", "0" * 16)
            answer = await client.request(method, known)
            assert "ROUTE_NOT_FOUND" not in answer.text, (method, path)

    assert len(paths) == 26
