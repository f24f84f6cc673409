"""The export of a person's data has everything stored about the person, and no secret."""

import json
import stat

from app.core.caller import SYSTEM
from app.flows.personal_data import export_personal_data
from tests.base_data import caller, uid
from tests.cli.commands import run_command
from tests.deletion.conftest import IP, SAM, VI
from tests.writes.conftest import run_sql


async def test_the_export_has_everything_but_secrets(person):
    data = await export_personal_data(person.services, VI)
    text, rows = json.dumps(data), data["rows"]

    assert data["user"]["last_name"] == "Viola"
    assert data["user"]["tags"] == ["x"]
    assert data["role"]["name"] == "Viewer"
    assert {policy["name"] for policy in data["policies"]} == {"Viewers", "Staff"}
    assert {policy["expires"] for policy in data["policies"]} == {None}
    assert rows.keys() >= {
        "directus_activity",
        "directus_files",
        "directus_notifications",
        "directus_revisions",
        "directus_sessions",
        "rollcall_outbox",
        "rollcall_recovery_codes",
    }
    assert [(row["name"], row["last_used_ip"]) for row in rows["rollcall_tokens"]] == [("Build", IP)]
    assert [row.keys() for row in rows["rollcall_password_history"]] == [{"id", "user", "created"}]
    assert {"table": "contracts", "column": "Owner", "count": 2} in data["references"]
    assert {row["message"] for row in rows["directus_notifications"]} == {"Hi Vi", "Hi Sam"}
    for secret in ("static-of-vi", "not-a-hash", "NOTASECRET", "secret-hash", '"s"'):
        assert secret not in text


async def test_the_export_contains_nothing_about_the_authors_of_changes(person):
    await person.directory(caller("ada", "203.0.113.99"))["users"].update_one(VI, {"title": "Seer"})
    by_ada = await export_personal_data(person.services, VI)
    of_ada = json.dumps(await export_personal_data(person.services, uid("ada")))

    assert "203.0.113.99" not in json.dumps(by_ada)
    assert "203.0.113.99" in of_ada
    assert "Viola" not in of_ada


async def test_the_command_writes_a_file_that_only_its_owner_can_read(person, tmp_path):
    url, file = person.settings.database_url, tmp_path / "vi.json"
    written = await run_command(url, "users", "export-personal-data", "VI@example.com", f"--output={file}")
    again = await run_command(url, "users", "export-personal-data", "vi@example.com", f"--output={file}")
    printed = await run_command(url, "users", "export-personal-data", "sam@example.com")

    assert (written.code, written.out) == (0, "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["user"]["id"] == VI
    assert (again.code, again.err) == (1, f"rollcall: {file} exists already. Choose another file.\n")
    assert json.loads(printed.out)["user"]["id"] == SAM


async def test_custom_fields_are_exported_unless_they_are_concealed(person):
    await run_command(person.settings.database_url, "fields", "add", "users", "phone", "--type", "string")
    conceal = ("--special", "conceal")
    await run_command(person.settings.database_url, "fields", "add", "users", "pin", "--type", "string", *conceal)
    await run_sql(
        person.settings.database_url, f"UPDATE directus_users SET phone = '555', pin = 'pin-of-vi' WHERE id = '{VI}';"
    )
    printed = await run_command(person.settings.database_url, "users", "export-personal-data", "vi@example.com")

    assert json.loads(printed.out)["user"]["phone"] == "555"
    assert "pin-of-vi" not in printed.out
    assert await person.directory(SYSTEM)["users"].count() > 0
