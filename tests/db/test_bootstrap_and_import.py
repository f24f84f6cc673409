"""The first admin, made once; and worlds that move between databases without loss."""

import asyncio
import json
import stat
import sys

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, text

from app.core.errors import OperatorError
from app.core.hashing import verify_password
from app.flows.bootstrap import bootstrap
from app.flows.import_export import TABLES, export_file, import_file
from app.testing import open_system
from tests.conftest import make_settings
from tests.world import BASE_ROWS, Rows, uid


async def exported(system, file, **options):
    await export_file(system.database, file, **options)
    return json.loads(file.read_text())


async def test_bootstrapping_again_changes_nothing(empty_database_url, tmp_path):
    settings = make_settings(empty_database_url)
    async with open_system(settings) as system:
        first = await bootstrap(system.database, settings)
        before = await exported(system, tmp_path / "before.json")
        second = await bootstrap(system.database, settings)
        after = await exported(system, tmp_path / "after.json")

    assert (first.admin, second.admin) == ("admin@example.com", None)
    assert before == after
    assert [len(before[f"directus_{name}"]) for name in ("users", "roles", "policies", "access")] == [1, 1, 2, 2]


async def test_two_who_bootstrap_at_once_make_one_admin(empty_database_url, tmp_path):
    settings = make_settings(empty_database_url)
    async with open_system(settings) as one, open_system(settings) as other:
        await asyncio.gather(bootstrap(one.database, settings), bootstrap(other.database, settings))
        rows = await exported(one, tmp_path / "rows.json")

    assert len(rows["directus_users"]) == 1


async def test_a_password_nobody_gave_is_made_up_and_told_once(empty_database_url, tmp_path):
    settings = make_settings(empty_database_url, admin_password=None, admin_token=SecretStr("a static token"))
    async with open_system(settings) as system:
        made = await bootstrap(system.database, settings)
        admin = (await exported(system, tmp_path / "rows.json"))["directus_users"][0]

    assert made.password is not None
    assert verify_password(made.password, admin["password"])
    assert made.password not in repr(made)
    assert admin["token"] == "a static token"


async def test_an_address_that_is_somebody_elses_is_not_made_an_admin(writable_db):
    settings = writable_db.settings.model_copy(update={"admin_email": "VI@example.com"})
    await writable_db.load({"directus_users": [{"id": uid("ada"), "status": "suspended"}]})

    with pytest.raises(OperatorError, match="ADMIN_EMAIL belongs to another user"):
        await bootstrap(writable_db.database, settings)


async def test_a_world_replaces_what_bootstrap_made(readonly_db, tmp_path):
    rows = await exported(readonly_db, tmp_path / "rows.json")

    for table, given in BASE_ROWS.items():
        assert {row["id"] for row in rows[table]} == {row["id"] for row in given}


async def test_a_world_comes_back_as_it_went_whichever_database_it_goes_to(readonly_db, empty_database_url, tmp_path):
    there, back = tmp_path / "there.json", tmp_path / "back.json"
    before = await exported(readonly_db, there)
    settings = make_settings(empty_database_url)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await import_file(system.database, there)
        after = await exported(system, back)

    assert after == before
    assert stat.S_IMODE(there.stat().st_mode) == 0o600


async def test_bootstrapping_gives_nothing_back_that_was_taken_away(writable_db):
    async with writable_db.database.transaction() as connection:
        await connection.execute(text("DELETE FROM directus_access"))
        await connection.execute(text("UPDATE directus_policies SET admin_access = true"))
        row = {"id": uid("again"), "user": uid("ada"), "policy": uid("policy-Administrators")}
        await connection.execute(insert(TABLES["directus_access"]).values(row))
    made = await bootstrap(writable_db.database, writable_db.settings)
    async with writable_db.database.transaction() as connection:
        left = (await connection.execute(text("SELECT id FROM directus_access"))).all()

    assert made.admin is None
    assert [str(row[0]) for row in left] == [uid("again")]


async def test_a_file_that_would_lock_everybody_out_is_refused(empty_database_url, tmp_path):
    settings = make_settings(empty_database_url)
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"directus_users": [{"id": uid("x"), "email": "x@example.com"}]}))
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        with pytest.raises(OperatorError, match="hold no active admin"):
            await import_file(system.database, file)
        rows = await exported(system, tmp_path / "rows.json")

    assert [row["email"] for row in rows["directus_users"]] == ["admin@example.com"]


async def test_numbers_never_go_back(writable_db):
    async with writable_db.database.transaction() as connection:
        row = {"id": 500, "collection": "x", "action": "read", "policy": uid("policy-Staff")}
        await connection.execute(insert(TABLES["directus_permissions"]).values(row))
    await writable_db.load({"directus_permissions": [{"id": 500, "action": "read"}]})
    await writable_db.load({"directus_permissions": [{"id": 3, "fields": "id"}]})
    async with writable_db.database.transaction() as connection:
        await connection.execute(text("DELETE FROM directus_permissions WHERE id = 500"))
    await writable_db.load({"directus_permissions": [{"id": 3, "fields": "id"}]})
    async with writable_db.database.transaction() as connection:
        added = await connection.execute(
            insert(TABLES["directus_permissions"]).values({k: v for k, v in row.items() if k != "id"})
        )

    assert added.inserted_primary_key[0] > 500


async def test_a_redacted_export_holds_no_secret(readonly_db, tmp_path):
    rows = await exported(readonly_db, tmp_path / "rows.json", redact=True)

    assert "static-of-" not in json.dumps(rows)
    assert not {"password", "token", "tfa_secret", "auth_data"} & rows["directus_users"][0].keys()
    assert "directus_sessions" not in rows


BAD: dict[str, Rows] = {
    "directus_shoes can't be imported": {"directus_shoes": []},
    "there is no column shoe": {"directus_roles": [{"id": uid("x"), "shoe": 1}]},
    "row not-a-uuid, id": {"directus_roles": [{"id": "not-a-uuid", "name": "x"}]},
    "occurs twice": {"directus_roles": [{"id": uid("x"), "name": "x"}, {"id": uid("x"), "name": "y"}]},
    "name: the value is int, the column holds": {"directus_roles": [{"id": uid("x"), "name": 5}]},
    "refers to a row that doesn't exist": {"directus_users": [{"id": uid("x"), "role": uid("nowhere")}]},
    "last_access: the value is str": {"directus_users": [{"id": uid("x"), "last_access": "yesterday"}]},
    "a text of up to 50 characters": {"directus_users": [{"id": uid("x"), "first_name": "x" * 51}]},
}


@pytest.mark.parametrize("words", BAD)
async def test_a_file_that_can_not_be_right_changes_nothing_and_is_told_why(writable_db, tmp_path, words):
    before = await exported(writable_db, tmp_path / "before.json")
    good = {"id": uid("good"), "name": "good"}
    bad: Rows = {**BAD[words]}
    bad.setdefault("directus_policies", [good])
    with pytest.raises(OperatorError, match=words):
        await writable_db.load(bad)

    assert await exported(writable_db, tmp_path / "after.json") == before


async def test_known_rows_are_updated_and_new_numbers_go_on_after_the_last(writable_db, tmp_path):
    await writable_db.load(
        {"directus_permissions": [{"id": 3, "fields": "id"}, {**BASE_ROWS["directus_permissions"][0], "id": 77}]}
    )
    rows = (await exported(writable_db, tmp_path / "rows.json"))["directus_permissions"]

    assert {row["id"]: row["fields"] for row in rows}[3] == "id"
    assert max(row["id"] for row in rows) == 77
    async with writable_db.database.transaction() as connection:
        row = {"collection": "x", "action": "read", "policy": uid("policy-Staff")}
        added = await connection.execute(insert(TABLES["directus_permissions"]).values(row))
    assert added.inserted_primary_key[0] > 77


async def rollcall(*arguments, **env):
    command = [sys.executable, "-c", "from app.cli import main; main()", *arguments]
    done = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env
    )
    out, err = await done.communicate()
    return done.returncode, out.decode(), err.decode()


async def test_the_command_line_goes_from_nothing_to_a_query_that_can_be_pasted(empty_database_url, tmp_path):
    env = {"DATABASE_URL": empty_database_url, "SECRET": "only for a test", "PYTHONPATH": "."}
    code, out, _ = await rollcall("bootstrap", **env)
    again = await rollcall("bootstrap", **env)
    hello = await rollcall("hello", **env)

    assert code == 0
    assert "admin@example.com" in out
    assert "shown this once" in out
    assert again == (0, "", "")
    assert "curl http://127.0.0.1:8055/graphql/system" in hello[1]
    assert "Bearer ey" in hello[1]


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        (["bootstrap"], {"DATABASE_URL": "mysql://somebody:hunter2@x/y"}, "is not supported"),
        (["bootstrap"], {"PORT": "many"}, "PORT"),
        (["hello"], {}, "run `rollcall bootstrap` first"),
        (["token", "ada@example.com"], {}, "run `rollcall bootstrap` first"),
        (["bootstrap"], {"ADMIN_PASSWORD": "x" * 1025}, "ADMIN_PASSWORD"),
        (["export", "/no/such/folder/x.json"], {}, "No such file"),
        (["serve"], {"DATABASE_URL": "oracle://x/y"}, "is not supported"),
        (["import", "no-such-file.json"], {}, "can't be read"),
        (["bootstrap"], {"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "is unavailable"),
    ],
)
async def test_what_can_not_be_done_is_one_line_and_no_traceback(arguments, env, words, tmp_path):
    settings = {"PYTHONPATH": ".", "SECRET": "only for a test", "DATABASE_URL": f"sqlite:///{tmp_path}/x.db"}
    code, _, err = await rollcall(*arguments, **{**settings, **env})

    assert code == 1
    assert words in err
    assert len(err.strip().splitlines()) == 1
    assert "hunter2" not in err
