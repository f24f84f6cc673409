"""Bootstrap creates the first admin once; export and import move rows between databases without loss."""

import asyncio
import json
import stat

import pytest
from pydantic import SecretStr
from sqlalchemy import insert, text

from app.core.caller import SYSTEM
from app.core.errors import OperatorError, ValueOutOfRange
from app.core.hashing import verify_password
from app.core.timestamps import format_timestamp, parse_stored_time
from app.flows.bootstrap import bootstrap
from app.flows.import_export import TABLES, export_file, import_file
from app.testing import open_system
from tests.base_data import BASE_ROWS, Rows, static_token, uid
from tests.cli.commands import run_command
from tests.conftest import make_settings


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


async def test_two_concurrent_bootstraps_create_one_admin(empty_database_url, tmp_path):
    settings = make_settings(empty_database_url)
    async with open_system(settings) as first, open_system(settings) as second:
        await asyncio.gather(bootstrap(first.database, settings), bootstrap(second.database, settings))
        rows = await exported(first, tmp_path / "rows.json")

    assert len(rows["directus_users"]) == 1


async def test_without_admin_password_one_is_generated_and_returned(empty_database_url, tmp_path):
    settings = make_settings(empty_database_url, admin_password=None, admin_token=SecretStr("a static token"))
    async with open_system(settings) as system:
        result = await bootstrap(system.database, settings)
        admin = (await exported(system, tmp_path / "rows.json"))["directus_users"][0]

    assert result.password is not None
    assert verify_password(result.password, admin["password"])
    assert result.password not in repr(result)
    assert admin["token"] == "a static token"


async def test_an_admin_password_below_the_limits_of_the_settings_is_refused(empty_database_url):
    settings = make_settings(empty_database_url, admin_password=SecretStr("password"), password_reject_common=True)
    async with open_system(settings) as system:
        with pytest.raises(OperatorError, match=r"ADMIN_PASSWORD: .* one of the most common passwords"):
            await bootstrap(system.database, settings)


async def test_the_generated_admin_password_is_as_long_as_the_settings_require(empty_database_url):
    settings = make_settings(empty_database_url, admin_password=None, password_min_length=40)
    async with open_system(settings) as system:
        result = await bootstrap(system.database, settings)

    assert result.password is not None
    assert len(result.password) >= 40


async def test_an_admin_email_of_another_user_is_rejected(writable_db):
    settings = writable_db.settings.model_copy(update={"admin_email": "VI@example.com"})
    await writable_db.load({"directus_users": [{"id": uid("ada"), "status": "suspended"}]})

    with pytest.raises(OperatorError, match="ADMIN_EMAIL belongs to another user"):
        await bootstrap(writable_db.database, settings)


async def test_an_import_replaces_the_rows_of_bootstrap(readonly_db, tmp_path):
    rows = await exported(readonly_db, tmp_path / "rows.json")

    for table, imported in BASE_ROWS.items():
        assert {row["id"] for row in rows[table]} == {row["id"] for row in imported}


async def test_an_export_is_the_same_after_an_import_into_either_database(readonly_db, empty_database_url, tmp_path):
    file, again = tmp_path / "exported.json", tmp_path / "again.json"
    before = await exported(readonly_db, file)
    settings = make_settings(empty_database_url)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        await import_file(system.database, file)
        after = await exported(system, again)

    assert after == before
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


async def test_an_import_says_whether_it_replaces_the_bootstrap_admin(readonly_db, empty_database_url, tmp_path):
    file = tmp_path / "exported.json"
    await exported(readonly_db, file)
    await run_command(empty_database_url, "bootstrap")
    first = await run_command(empty_database_url, "import", str(file))
    again = await run_command(empty_database_url, "import", str(file))

    assert first.out.splitlines()[1].startswith("They replaced the rows of bootstrap, its admin included.")
    assert again.out == first.out.partition("\n")[0] + "\n"


async def test_bootstrap_does_not_restore_deleted_rows(writable_db):
    async with writable_db.database.transaction() as connection:
        await connection.execute(text("DELETE FROM directus_access"))
        await connection.execute(text("UPDATE directus_policies SET admin_access = true"))
        row = {"id": uid("again"), "user": uid("ada"), "policy": uid("policy-Administrators")}
        await connection.execute(insert(TABLES["directus_access"]).values(row))
    result = await bootstrap(writable_db.database, writable_db.settings)
    async with writable_db.database.transaction() as connection:
        remaining = (await connection.execute(text("SELECT id FROM directus_access"))).all()

    assert result.admin is None
    assert [str(row[0]) for row in remaining] == [uid("again")]


async def test_a_file_without_an_active_admin_is_rejected(empty_database_url, tmp_path):
    settings = make_settings(empty_database_url)
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"directus_users": [{"id": uid("x"), "email": "x@example.com"}]}))
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        with pytest.raises(OperatorError, match="hold no active admin"):
            await import_file(system.database, file)
        rows = await exported(system, tmp_path / "rows.json")

    assert [row["email"] for row in rows["directus_users"]] == ["admin@example.com"]


async def test_serial_ids_are_never_reused(writable_db):
    async with writable_db.database.transaction() as connection:
        row = {"id": 500, "collection": "x", "action": "read", "policy": uid("policy-Staff")}
        await connection.execute(insert(TABLES["directus_permissions"]).values(row))
    await writable_db.load({"directus_permissions": [{"id": 500, "action": "read"}]})
    await writable_db.load({"directus_permissions": [{"id": 3, "fields": "id"}]})
    async with writable_db.database.transaction() as connection:
        await connection.execute(text("DELETE FROM directus_permissions WHERE id = 500"))
    await writable_db.load({"directus_permissions": [{"id": 3, "fields": "id"}]})
    async with writable_db.database.transaction() as connection:
        inserted = await connection.execute(
            insert(TABLES["directus_permissions"]).values({k: v for k, v in row.items() if k != "id"})
        )

    assert inserted.inserted_primary_key[0] > 500


async def test_a_redacted_export_holds_no_secret(readonly_db, tmp_path):
    rows = await exported(readonly_db, tmp_path / "rows.json", redact=True)

    assert "static-of-" not in json.dumps(rows)
    assert not {"password", "token", "tfa_secret", "auth_data"} & rows["directus_users"][0].keys()
    assert "directus_sessions" not in rows


def user(**values) -> Rows:
    return {"directus_users": [{"id": uid("x"), **values}]}


X = uid("x")
INVALID_FILES: dict[str, Rows] = {
    "directus_shoes can't be imported": {"directus_shoes": []},
    "there is no column shoe": {"directus_roles": [{"id": X, "shoe": 1}]},
    "row not-a-uuid, id": {"directus_roles": [{"id": "not-a-uuid", "name": "x"}]},
    "occurs twice": {"directus_roles": [{"id": X, "name": "x"}, {"id": X, "name": "y"}]},
    "name: the value is int, the column holds": {"directus_roles": [{"id": X, "name": 5}]},
    f"directus_users, row {X}, role: the row it refers to doesn't exist": user(role=uid("nowhere")),
    f"directus_folders, row {X}, parent: the row it refers to doesn't exist": {
        "directus_folders": [{"id": X, "name": "x", "parent": uid("nowhere")}]
    },
    f"directus_users, row {X}, email: another row has the same value": user(email="ADA@example.com"),
    f"directus_users, row {X}, token: another row has the same value": user(token=static_token("ada")),
    f"directus_roles, row {X}, name: the value is missing": {"directus_roles": [{"id": X}]},
    f"directus_users, row {X}, status: the value is missing": user(status=None),
    "last_access: the value is str, the column holds a date": user(last_access="yesterday"),
    "last_access: the value is int, the column holds a date": user(last_access=1),
    "first_name: the value is str, the column holds a text of up to 50 characters without": user(first_name="x" * 51),
    "description: the value is str, the column holds a text without U\\+0000": user(description="a\0"),
    "tags: the value is list, the column holds JSON nested at most 200": user(tags=["a\0"]),
    "auth_data: the value is list, the column holds JSON": user(auth_data=json.loads("[" * 201 + "]" * 201)),
    "email_notifications: the value is int, the column holds true or false": user(email_notifications=1),
    "ip_access: the value is list, the column holds a comma-separated list": {
        "directus_policies": [{"id": X, "name": "x", "ip_access": ["10.0.0.1\0"]}]
    },
    "width: the value is int, the column holds an integer from -2147483648 to 2147483647": {
        "directus_files": [{"id": X, "storage": "local", "filename_download": "x", "width": 2**31}]
    },
    "filesize: the value is int, the column holds an integer from -9223372036854775808 to": {
        "directus_files": [{"id": X, "storage": "local", "filename_download": "x", "filesize": 2**64}]
    },
    "id: the value is int, the column holds an integer": {"directus_settings": [{"id": 2**31}]},
}


@pytest.mark.sampled
@pytest.mark.parametrize("message", INVALID_FILES)
async def test_an_invalid_file_is_rejected_with_the_reason_and_changes_nothing(writable_db, tmp_path, message):
    before = await exported(writable_db, tmp_path / "before.json")
    valid = {"id": uid("valid"), "name": "valid"}
    rows: Rows = {"directus_policies": [valid], **INVALID_FILES[message]}
    with pytest.raises(OperatorError, match=message):
        await writable_db.load(rows)

    assert await exported(writable_db, tmp_path / "after.json") == before


async def test_existing_rows_are_updated_and_serial_ids_continue_after_the_highest(writable_db, tmp_path):
    await writable_db.load(
        {"directus_permissions": [{"id": 3, "fields": "id"}, {**BASE_ROWS["directus_permissions"][0], "id": 77}]}
    )
    rows = (await exported(writable_db, tmp_path / "rows.json"))["directus_permissions"]

    assert {row["id"]: row["fields"] for row in rows}[3] == "id"
    assert max(row["id"] for row in rows) == 77
    async with writable_db.database.transaction() as connection:
        row = {"collection": "x", "action": "read", "policy": uid("policy-Staff")}
        inserted = await connection.execute(insert(TABLES["directus_permissions"]).values(row))
    assert inserted.inserted_primary_key[0] > 77


async def test_the_commands_lead_from_an_empty_database_to_a_query_to_paste(empty_database_url):
    first = await run_command(empty_database_url, "bootstrap")
    again = await run_command(empty_database_url, "bootstrap")
    quickstart = await run_command(empty_database_url, "quickstart")

    assert first.code == 0
    assert "admin@example.com" in first.out
    assert "shown only once" in first.out
    assert again == (0, "", "")
    assert "curl http://127.0.0.1:8055/graphql/system" in quickstart.out
    assert "Open http://127.0.0.1:8055/admin in a browser" in quickstart.out
    assert "Bearer ey" in quickstart.out


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("arguments", "env", "message"),
    [
        (["bootstrap"], {"DATABASE_URL": "mysql://somebody:hunter2@x/y"}, "is not supported"),
        (["bootstrap"], {"PORT": "many"}, "PORT"),
        (["quickstart"], {}, "Run `rollcall bootstrap` first"),
        (["token", "ada@example.com"], {}, "Run `rollcall bootstrap` first"),
        (["bootstrap"], {"ADMIN_PASSWORD": "x" * 1025}, "ADMIN_PASSWORD"),
        (["export", "/no/such/folder/x.json"], {}, "No such file"),
        (["serve"], {"DATABASE_URL": "oracle://x/y"}, "is not supported"),
        (["import", "no-such-file.json"], {}, "can't be read"),
        (["bootstrap"], {"DATABASE_URL": "postgresql://127.0.0.1:1/x"}, "host 127.0.0.1, port 1 can't be reached"),
    ],
)
async def test_a_failing_command_prints_one_line_and_no_traceback(arguments, env, message, tmp_path):
    settings = {"DATABASE_URL": f"sqlite:///{tmp_path}/x.db", **env}
    result = await run_command(settings.pop("DATABASE_URL"), *arguments, **settings)

    assert result.code == 1
    assert message in result.err
    assert len(result.err.strip().splitlines()) == 1
    assert "hunter2" not in result.err


FAR_TIMES = {
    "infinity": True,
    "-infinity": True,
    "-000043-03-15T00:00:00.000000Z": False,
    "+010000-01-01T00:00:00Z": False,
}


@pytest.mark.parametrize("time", FAR_TIMES)
async def test_a_time_that_sqlite_cannot_order_is_imported_by_postgresql_alone(writable_db, tmp_path, time):
    file = {"directus_users": [{"id": uid("vi"), "last_access": time}]}
    if writable_db.database.dialect == "sqlite" and not FAR_TIMES[time]:
        with pytest.raises(OperatorError, match=f"row {uid('vi')}, last_access: .* a date of the years 1 to 9999"):
            await writable_db.load(file)
        return
    await writable_db.load(file)
    rows = await exported(writable_db, tmp_path / "rows.json")
    read = await writable_db.directory(SYSTEM)["users"].read_one(uid("vi"), {"fields": ["last_access"]})

    assert [parse_stored_time(row["last_access"]) for row in rows["directus_users"] if row["id"] == uid("vi")] == [
        parse_stored_time(time)
    ]
    assert read == {"last_access": format_timestamp(time)}


async def test_an_export_holds_integers_beyond_64_bits_inside_json(writable_db, tmp_path):
    async with writable_db.database.transaction() as connection:
        sql = "UPDATE directus_users SET tags = '[100000000000000000000]' WHERE email = 'vi@example.com'"
        await connection.execute(text(sql))
    rows = await exported(writable_db, tmp_path / "rows.json")
    await import_file(writable_db.database, tmp_path / "rows.json")

    assert [row["tags"] for row in rows["directus_users"] if row["id"] == uid("vi")] == [[10**20]]


async def test_a_key_beyond_32_bits_is_not_generated(writable_db):
    permissions = writable_db.directory(SYSTEM)["permissions"]
    row = {"policy": uid("policy-Staff"), "collection": "x", "action": "read"}
    await permissions.create_one({**row, "id": 2**31 - 1})
    if writable_db.database.dialect == "sqlite":
        with pytest.raises(ValueOutOfRange, match=f'"{2**31}" for field "id" in collection "directus_permissions"'):
            await permissions.create_one(row)
    else:
        assert await permissions.create_one(row) < 2**31 - 1


async def test_keys_that_are_not_positive_can_be_imported(writable_db):
    row = {**BASE_ROWS["directus_permissions"][0], "id": -7}
    async with writable_db.database.transaction() as connection:
        await connection.execute(text("DELETE FROM directus_permissions"))
    await writable_db.load({"directus_permissions": [row]})

    assert await writable_db.directory(SYSTEM)["permissions"].count() == 1
