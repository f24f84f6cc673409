"""An export carries custom fields: columns, descriptions and values, into databases of either kind."""

import json
import random
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import text

from app.core.errors import OperatorError
from app.flows.bootstrap import bootstrap
from app.flows.import_export import export_file, import_file
from app.testing import open_system
from tests.base_data import BASE_ROWS, uid
from tests.cli.commands import run_command
from tests.conftest import make_settings
from tests.custom_fields.database import COLUMNS, UNDESCRIBED, UNKNOWN
from tests.restoration import restore_rows
from tests.writes.conftest import run_sql
from tests.writes.editors import EDITOR_ROWS

ADA, VI = uid("ada"), uid("vi")
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$c29tZWhhc2g"
USERS = [row["id"] for rows in (BASE_ROWS, EDITOR_ROWS) for row in rows["directus_users"]]
PHOTO = {"id": uid("photo"), "storage": "local", "filename_download": "photo.png", "uploaded_by": ADA}


def some_text(rng, longest):
    return "".join(rng.choice("aZ9 ,'\"\\;äß中😀{[\n") for _ in range(rng.randrange(longest)))


def some_moment(rng):
    moment = datetime(1900, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(2**33))
    return moment.replace(tzinfo=None)


VALUES = {
    "phone": lambda rng: some_text(rng, 32),
    "badge_number": lambda rng: rng.randrange(-(2**31), 2**31),
    "points": lambda rng: rng.choice([2**63 - 1, -(2**63), rng.randrange(2**60)]),
    "rating": lambda rng: rng.choice([0.1, -1.1, 3.0, 1e-30, 123456.0, 3.14159]),
    "salary": lambda rng: f"{rng.randrange(-(10**10), 10**10)}.{rng.randrange(100):02}",
    "remote": lambda rng: rng.random() < 0.5,
    "skills": lambda rng: rng.choice(
        [{"b": [1, None, 1.5], "a": some_text(rng, 9)}, [], 5, "5", "", False, [2**63 - 1], {"é": {}}]
    ),
    "labels": lambda rng: rng.choice(["", "a", "a,b,,c"]),
    "external_ref": lambda rng: str(UUID(int=rng.getrandbits(128))),
    "birthday": lambda rng: some_moment(rng).date().isoformat(),
    "shift_start": lambda rng: rng.choice(["08:30:00", "08:30:00.12", "23:59:59.999999", "00:00:00"]),
    "hired_at": lambda rng: some_moment(rng).isoformat(),
    "checked_at": lambda rng: rng.choice(["2020-01-02T03:04:05.678901+00:00", "0001-01-01T00:00:00+00:00"]),
    "pin": lambda _: HASH,
    "secret_note": lambda rng: some_text(rng, 255),
    "made_on": lambda rng: some_moment(rng).isoformat() + "+00:00",
    "changed_on": lambda rng: some_moment(rng).isoformat() + "+00:00",
    "made_by": lambda rng: rng.choice(USERS),
    "changed_by": lambda rng: rng.choice(USERS),
    "manager": lambda rng: rng.choice(USERS),
    "badge_photo": lambda _: PHOTO["id"],
    "level": lambda rng: rng.randrange(1, 9),
}


def some_rows():
    """Return all users with values of every custom field; one in five has none, where it can."""
    rng, users = random.Random(7), []
    for number, user in enumerate(USERS):
        values = {
            name: value(rng) if rng.random() < 0.8 or name == "remote" else None for name, value in VALUES.items()
        }
        users.append({"id": user, **values, "badge_number": number - 5})
    return {"directus_users": users, "directus_files": [PHOTO]}


async def exported(system, file, **options):
    omitted = await export_file(system.database, file, **options)
    return json.loads(file.read_text()), omitted


@pytest_asyncio.fixture(scope="module")
async def source(custom_db, tmp_path_factory):
    """The file of a database in which every user has values of every custom field, and what the file lacks."""
    file = tmp_path_factory.mktemp("source") / "exported.json"
    await custom_db.load(some_rows())
    await exported(custom_db, file.with_name("redacted.json"), redact=True)
    _, omitted = await exported(custom_db, file)
    await restore_rows(custom_db)
    return file, omitted


@asynccontextmanager
async def bootstrapped(url):
    settings = make_settings(url)
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
        yield system


def test_the_values_of_all_kinds_are_covered():
    assert VALUES.keys() == COLUMNS.keys()


async def test_an_export_with_custom_fields_is_the_same_after_an_import_into_either_database(
    source, empty_database_url, tmp_path
):
    file, _ = source
    before = json.loads(file.read_text())
    async with bootstrapped(empty_database_url) as system:
        result = await import_file(system.database, file)
        again = await import_file(system.database, file)
        after, omitted = await exported(system, tmp_path / "again.json")

    assert after == before
    assert {row["id"]: row for row in after["directus_users"]}[ADA].keys() >= COLUMNS.keys()
    assert sorted(result.added_columns) == sorted(f"directus_users.{name}" for name in COLUMNS)
    assert (again.added_columns, omitted) == ([], [])


async def test_an_export_holds_the_values_as_they_were_loaded(source):
    users = {row["id"]: row for row in json.loads(source[0].read_text())["directus_users"]}

    for row in some_rows()["directus_users"]:
        assert {name: users[row["id"]][name] for name in row} == row


async def test_the_cli_names_the_columns_that_an_import_adds_and_an_export_omits(source, empty_database_url, tmp_path):
    await run_command(empty_database_url, "bootstrap")
    imported = await run_command(empty_database_url, "import", str(source[0]))
    await run_sql(empty_database_url, "ALTER TABLE directus_users ADD COLUMN unknown integer;")
    again = await run_command(empty_database_url, "export", str(tmp_path / "again.json"))

    assert "Added columns: directus_users.phone, directus_users.badge_number, " in imported.out
    assert (imported.code, again.code) == (0, 0)
    assert again.err.splitlines()[-1].endswith("only this database has it: directus_users.unknown.")


async def test_imported_columns_have_the_constraints_and_defaults_of_the_exported_ones(source, empty_database_url):
    async with bootstrapped(empty_database_url) as system:
        await import_file(system.database, source[0])
        for invalid in ({"remote": None}, {"manager": uid("nobody")}):
            with pytest.raises(OperatorError, match=f"directus_users, row {VI}"):
                await system.load({"directus_users": [{"id": VI, **invalid}]})
        new_user = {"id": uid("new"), "email": "n@example.com"}
        await system.load({"directus_users": [{"id": VI, "manager": new_user["id"]}, new_user]})
        async with system.database.transaction() as connection:
            new = text("SELECT level, remote FROM directus_users WHERE email = 'n@example.com'")
            defaults = (await connection.execute(new)).one()
            await connection.execute(text("DELETE FROM directus_users WHERE email = 'n@example.com'"))
            vi = text("SELECT manager FROM directus_users WHERE email = 'vi@example.com'")
            manager = (await connection.execute(vi)).scalar_one()

    assert (defaults[0], bool(defaults[1])) == (3, False)
    assert manager is None


def test_what_no_export_contains_is_named(source):
    assert source[1] == [f"directus_users.{UNKNOWN[0]}", f"directus_users.{UNDESCRIBED[0]}"]


@pytest.mark.both_databases
def test_a_redacted_export_holds_no_concealed_custom_field(source):
    rows = json.loads(source[0].with_name("redacted.json").read_text())

    assert not {"pin", "secret_note"} & rows["directus_users"][0].keys()
    assert "phone" in rows["directus_users"][0]
    assert HASH not in json.dumps(rows)


FIELD = {"id": 1, "collection": "directus_users", "field": "code"}
COLUMN = {"table": "directus_users", "column": "code", "type": "string", "length": 9}


def file_with(column=None, field=FIELD, value="x", **tables):
    return {
        "columns": [COLUMN | (column or {})],
        "directus_fields": [field] if field else [],
        "directus_users": [{"id": VI, "code": value}],
        **tables,
    }


INVALID = {
    "directus_users.code: no row of directus_fields describes": file_with(field=None),
    "there is no column code. A custom column needs an entry in columns and a row of directus_f": file_with(columns=[]),
    "columns, directus_shoes.code, table: must be one of directus_files, dir": file_with({"table": "directus_shoes"}),
    "columns, directus_users.x;y, column: must be a name such as": file_with({"column": "x;y"}),
    "columns, directus_users.email: Directus has a column of this name": file_with({"column": "email"}),
    "columns, directus_users.code, type: must be one of string, text, integer,": file_with({"type": "varchar(9)"}),
    "columns, directus_users.code, length: must be an integer from 1 to": file_with({"length": "9"}),
    "columns, directus_users.code: there is no property size": file_with({"size": 9}),
    "columns, directus_users.code, default: the value does not fit the type integer": file_with(
        {"type": "integer", "default": "x"}
    ),
    "columns: every entry must be an object with table, column and type": {"columns": [5]},
    "directus_users.code: the column requires a value and has no default": file_with({"nullable": False}),
    "directus_users.code: the database can't add the column": file_with(
        {"type": "date", "references": "directus_files"}
    )
    | {"columns": [COLUMN, COLUMN | {"length": 8}]},
    "code: the value is str, the column holds a text of up to 9 characters": file_with(value="x" * 10),
    "code: the value is str, the column holds an integer": file_with({"type": "integer"}),
    "code: the value is str, the column holds a date such as": file_with({"type": "date"}),
    "code: the value is str, the column holds a time such as": file_with({"type": "time"}),
    "code: the value is str, the column holds a date with a time such as": file_with({"type": "dateTime"}),
    "code: the value is str, the column holds a number": file_with({"type": "float"}),
    "code: the value is str, the column holds a decimal of up to 10 digits, 5 of": file_with({"type": "decimal"}),
    "code: the value is float, the column holds a decimal of up to 4 digits, 1 of": file_with(
        {"type": "decimal", "precision": 4, "scale": 1}, value=1.55
    ),
    "the row it refers to doesn't exist": file_with(
        {"type": "uuid", "references": "directus_files"}, value=uid("nowhere")
    ),
}


@pytest.mark.sampled
@pytest.mark.parametrize("message", INVALID)
async def test_an_invalid_file_adds_no_column_and_says_why(writable_db, tmp_path, message):
    with pytest.raises(OperatorError) as raised:
        await writable_db.load(INVALID[message])

    assert message in str(raised.value)
    assert (await exported(writable_db, tmp_path / "after.json"))[1] == []
    async with writable_db.database.transaction() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM directus_fields"))).scalar_one() == 0


DEFAULTS: dict[str, Any] = {
    "text": "it's",
    "integer": -5,
    "bigInteger": 2**63 - 1,
    "float": 1.5,
    "double": 0.1,
    "decimal": 2.5,
    "boolean": True,
    "json": '{"a":1}',
    "csv": "a,b",
    "uuid": VI,
    "date": "2020-01-02",
    "time": "08:30:00",
    "dateTime": "2020-01-02T03:04:05",
    "timestamp": "2020-01-02T03:04:05.678000Z",
}
NOW = {f"{type_}_now": type_ for type_ in ("date", "time", "dateTime", "timestamp")}


def described(columns):
    """Return a file with these columns and the descriptions that they need."""
    specials = {"json": "cast-json", "csv": "cast-csv"}
    fields = [
        {
            "id": number,
            "collection": column["table"],
            "field": column["column"],
            "special": specials.get(column["type"]),
        }
        for number, column in enumerate(columns, 1)
    ]
    return {"columns": columns, "directus_fields": fields}


async def test_defaults_survive_in_either_database(empty_database_url, tmp_path):
    table = "directus_folders"
    columns: list[dict[str, Any]] = [
        *({"table": table, "column": type_, "type": type_, "default": value} for type_, value in DEFAULTS.items()),
        *(
            {"table": table, "column": name, "type": type_, "default": "CURRENT_TIMESTAMP"}
            for name, type_ in NOW.items()
        ),
    ]
    columns = [entry | ({"precision": 5, "scale": 2} if entry["type"] == "decimal" else {}) for entry in columns]
    async with bootstrapped(empty_database_url) as system:
        await system.load({**described(columns), "directus_folders": [{"id": VI, "name": "x"}]})
        file, omitted = await exported(system, tmp_path / "exported.json")
        await system.load(file)
        again, _ = await exported(system, tmp_path / "again.json")

    (row,) = file["directus_folders"]
    assert file["columns"] == columns
    assert {name: row[name] for name in DEFAULTS} == DEFAULTS | {"decimal": "2.50", "json": {"a": 1}} | {
        "timestamp": "2020-01-02T03:04:05.678000+00:00"
    }
    assert all(row[name][:2] in ("20", "21") or name == "time_now" for name in NOW)
    assert again == file
    assert omitted == []


TYPES = {
    "integer": ("bigInteger", "bigInteger"),
    "decimal": ("decimal", "decimal(10,5)"),
    "date": ("timestamp", "timestamp"),
    "text": ("json", "json"),
}


@pytest.mark.parametrize("type_", TYPES)
async def test_an_existing_column_of_another_type_is_an_error_that_names_it(empty_database_url, type_):
    other, described_as = TYPES[type_]
    column = {"table": "directus_roles", "column": "extra", "type": other}
    async with bootstrapped(empty_database_url) as system:
        await system.load(described([column]))
        finer = {"scale": 6} if type_ == "decimal" else {}
        file = {"columns": [column | {"type": type_} | finer]}
        with pytest.raises(OperatorError, match=r"^directus_roles.extra: the column has the type") as raised:
            await system.load(file)

    assert f"type {described_as}, but the file's column has {type_}" in str(raised.value)


async def test_a_longer_column_takes_the_values_of_a_shorter_one(empty_database_url):
    column = {"table": "directus_roles", "column": "extra", "type": "text"}
    role = {"id": VI, "name": "x", "extra": "y"}
    async with bootstrapped(empty_database_url) as system:
        await system.load(described([column]))
        result = await system.load({"columns": [column | {"type": "string"}], "directus_roles": [role]})

    assert result.added_columns == []


async def test_rows_may_refer_to_later_tables_by_columns_that_require_a_value(empty_database_url, tmp_path):
    column = {"table": "directus_users", "column": "photo", "type": "uuid", "references": "directus_files"}
    owner = {"table": "directus_folders", "column": "owner", "type": "uuid", "references": "directus_users"}
    async with bootstrapped(empty_database_url) as system:
        before, _ = await exported(system, tmp_path / "before.json")
        users = [{**row, "photo": PHOTO["id"]} for row in before["directus_users"]]
        folders = [{"id": VI, "name": "x", "owner": users[0]["id"]}]
        photo = {**PHOTO, "uploaded_by": users[0]["id"], "folder": VI}
        file = {
            **before,
            **described([column | {"nullable": False}, owner]),
            "directus_users": users,
            "directus_folders": folders,
            "directus_files": [photo],
        }
        path = tmp_path / "file.json"
        path.write_text(json.dumps(file))
        await import_file(system.database, path)
        after, _ = await exported(system, tmp_path / "after.json")

    assert [row["photo"] for row in after["directus_users"]] == [PHOTO["id"]]
    assert [row["owner"] for row in after["directus_folders"]] == [users[0]["id"]]


async def test_the_description_of_a_field_is_the_same_row_in_every_database(empty_database_url, tmp_path):
    one, two = ({"table": "directus_roles", "column": name, "type": "text"} for name in ("one", "two"))
    async with bootstrapped(empty_database_url) as system:
        await system.load(described([one]))
        file = described([two, one])
        file["directus_fields"][1]["note"] = "changed"
        await system.load(file)
        rows = (await exported(system, tmp_path / "exported.json"))[0]["directus_fields"]

    assert [(row["id"], row["field"], row["note"]) for row in rows] == [(1, "one", "changed"), (3, "two", None)]
