"""The extensions that the documentation shows, run by a server."""

import re
import subprocess
import sys

import httpx
import pytest

from app.extensions.jobs import ExtensionJob
from app.extensions.loading import load_extensions
from app.testing import open_system
from tests.base_data import caller, uid
from tests.compat.replay import free_port
from tests.conftest import make_settings
from tests.http.clients import FORBIDDEN, data_of, error_of
from tests.http.test_graphql import ADA, served
from tests.readme.pages import ROOT, create_checkout, page, running_server, section, snippets

PAGE = "python/extensions.md"


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Store the only Python block below a heading as a module that can be imported."""
    monkeypatch.syspath_prepend(tmp_path)

    def create(title, name):
        (tmp_path / f"{name}.py").write_text(snippets("python", section(PAGE, title))[0])
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return create


def first_block(language):
    return snippets(language, page(PAGE))[0]


@pytest.mark.slow
def test_a_module_named_by_the_setting_adds_an_endpoint(tmp_path):
    (tmp_path / "greetings.py").write_text(first_block("python"))
    exported = dict(re.findall(r"(\w+)=(\S+)", first_block("sh")))
    assert exported == {"PYTHONPATH": ".", "EXTENSIONS": "greetings"}
    port, env = free_port(), create_checkout(tmp_path) | exported | {"PYTHONPATH": f".:{ROOT}"}

    with running_server(tmp_path, env, port):
        assert httpx.get(f"http://127.0.0.1:{port}/hello/world").json() == {"hello": "world"}


def test_an_entry_point_names_the_module_of_an_installed_package(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "greetings.py").write_text(first_block("python"))
    ((group, line),) = re.findall(r'\[project\.entry-points\."(.+)"\]\n(.+)', first_block("toml"))
    metadata = tmp_path / "greetings-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: greetings\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{line.replace(chr(34), '')}\n")

    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'rollcall.db'}")
    assert [route.path for route in load_extensions(settings).routes] == ["/hello/{name}"]


async def test_the_examples_of_working_with_users_are_endpoints(writable_db, example):
    extensions = (example("Endpoints", "interns"),)
    async with served(writable_db.settings.model_copy(update={"extensions": extensions})) as client:
        ada = await client.get("/interns", params={"email": "ADA@example.com"}, headers=ADA)
        role = await client.post("/interns/role", headers=ADA)
        ina = await client.post("/interns", json={"email": "ina@example.com"}, headers=ADA)
        updated = await client.patch(f"/interns/{ina.json()}", headers=ADA)
        permission = await client.post("/interns/permission", headers=ADA)
        row = data_of(await client.get(f"/users/{ina.json()}?fields=email,title,role", headers=ADA))
        deleted = await client.delete(f"/interns/{ina.json()}", headers=ADA)
        anonymous = await client.post("/interns/role")
        after = await client.get("/interns", params={"email": "ina@example.com"}, headers=ADA)

    assert ada.json()["id"] == uid("ada")
    assert row == {"email": "ina@example.com", "title": "CTO", "role": role.json()}
    assert updated.json() == deleted.json() == ina.json()
    assert isinstance(permission.json(), int)
    assert error_of(anonymous) == FORBIDDEN
    assert after.json() is None


async def test_the_hooks_reject_change_and_follow_writes(writable_db, example):
    name = example("Hooks", "colleagues")
    async with served(writable_db.settings.model_copy(update={"extensions": (name,)})) as client:
        created = await client.post("/users?fields=id,email", json={"email": "INA@Example.com"}, headers=ADA)
        rejected = await client.patch(f"/users/{uid('vi')}", json={"email": "vi@example.org"}, headers=ADA)

    assert data_of(created)["email"] == "ina@example.com"
    assert error_of(rejected) == (422, "UNPROCESSABLE_CONTENT")
    assert sys.modules[name].welcomed == [data_of(created)["id"]]


async def test_the_job_suspends_users(writable_db, example):
    settings = writable_db.settings.model_copy(update={"extensions": (example("Jobs", "suspending"),)})
    (spec,) = load_extensions(settings).jobs
    await ExtensionJob(spec, writable_db.services).run_once()
    ada = await writable_db.as_user("ada@example.com")
    suspended = {"filter": {"status": {"_eq": "suspended"}}, "fields": ["first_name"], "sort": ["email"]}

    assert await ada["users"].read_by_query(suspended) == [{"first_name": "Nora"}, {"first_name": "Sue"}]


async def test_the_root_fields_read_and_rename_a_team(writable_db, example):
    settings = writable_db.settings.model_copy(update={"extensions": (example("GraphQL", "teams"),)})
    query, rename = '{ team(title: "Editor") { members } }', 'mutation { rename_team(old: "Editor", new: "Author") }'
    async with open_system(settings) as system:
        team = await system.execute(query, caller=caller("ed"))
        hidden = await system.execute(rename, caller=caller("ed"))
        renamed = await system.execute(rename, caller=caller("ada"))
        anonymous = await system.execute(query)

    assert team.data == {"team": {"members": ["Ed"]}}
    assert renamed.data == {"rename_team": 2}
    assert "Cannot query field 'rename_team'" in str(hidden.errors)
    assert "Cannot query field 'team'" in str(anonymous.errors)


@pytest.mark.slow
def test_the_example_test_of_an_extension_passes_in_another_folder(tmp_path):
    testing = page("python/testing.md")
    (ini,), conftest = snippets("ini", testing), snippets("python", testing)[0]
    (test,) = snippets("python", section(PAGE, "Tests"))
    for name, content in {"pytest.ini": ini, "conftest.py": conftest, "test_notes.py": test}.items():
        (tmp_path / name).write_text(content)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    env = create_checkout(tmp_path)
    process = subprocess.run(command, check=False, cwd=tmp_path, env=env, capture_output=True, text=True)

    assert process.returncode == 0, process.stdout
    assert "1 passed" in process.stdout
