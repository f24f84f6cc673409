"""Rules that every write obeys: emails, passwords, sessions, administrators, roles, and the audit log."""

import re
from typing import Any

import pytest
from sqlalchemy import func, insert, select

from app.core.caller import SYSTEM, Caller
from app.core.errors import RollcallError
from app.core.hashing import verify_password
from app.db.models import Activity, Revision, Session, User
from app.repositories.directory import Directory
from app.repositories.services import Services
from tests.base_data import OFFICE_IP, caller, uid
from tests.writes.editors import checksum

ADA = caller("ada")


async def read_column(system, column, user):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(column).where(User.id == uid(user)))


async def error_of(call):
    with pytest.raises(RollcallError) as error:
        await call
    return error.value


@pytest.fixture
def users(editors):
    return editors.directory(ADA)["users"]


@pytest.mark.parametrize(
    "email",
    ["", "x", "x@", "@x.org", "x@localhost", "x@corp.test", " x@example.com", "x@example.com ", "x y@example.com",
     "x@exa mple.com", "a@b@example.com", "x@-example.com", "x" * 65 + "@example.com", "\u212ait@example.com"],
)  # fmt: skip
async def test_an_invalid_email_is_rejected(users, email):
    assert (await error_of(users.create_one({"email": email}))).code == "FAILED_VALIDATION"
    assert (await error_of(users.update_one(uid("vi"), {"email": email}))).code == "FAILED_VALIDATION"


@pytest.mark.parametrize("email", ["x@example.com", "a+b@example.com", "x.y_z-1@sub.example.co", "jürgen@example.com"])
async def test_a_valid_email_is_accepted(users, email):
    key = await users.create_one({"email": email})

    assert (await users.read_one(key))["email"] == email


@pytest.mark.parametrize(
    ("existing", "new"), [("ed@example.com", "ED@Example.com"), ("čapek@example.com", "ČAPEK@example.com")]
)
async def test_emails_are_unique_regardless_of_case(editors, users, existing, new):
    if existing != "ed@example.com":
        await users.create_one({"email": existing})
    before = await checksum(editors)
    for call in (users.create_one({"email": new}), users.update_one(uid("vi"), {"email": new})):
        error = await error_of(call)
        assert error.code == "RECORD_NOT_UNIQUE"
        assert error.details["field"] == "email"
    assert await checksum(editors) == before
    if existing == "ed@example.com":
        assert await users.update_one(uid("ed"), {"email": new}) == uid("ed")  # the user's own email in another case


@pytest.mark.parametrize("field", ["token", "external_identifier", "id"])
async def test_a_uniqueness_error_names_the_field_but_not_the_value(users, field):
    value = uid("vi") if field == "id" else "static-of-vi" if field == "token" else "x"
    await users.update_one(uid("vi"), {"external_identifier": "x"})
    error = await error_of(users.create_one({field: value}))

    assert (error.code, error.details["field"]) == ("RECORD_NOT_UNIQUE", field)
    assert ("static-of-vi" in str(error.extensions) + str(error)) is False


async def test_a_password_is_hashed_and_its_mask_does_not_overwrite_it(editors, users):
    await users.update_one(uid("vi"), {"password": "correct horse"})
    hashed = await read_column(editors, User.password, "vi")
    await users.update_one(uid("vi"), {"password": "**********", "token": "**********", "title": "Seer"})

    assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert verify_password("correct horse", hashed)
    assert await read_column(editors, User.password, "vi") == hashed
    assert await read_column(editors, User.token, "vi") == "static-of-vi"


@pytest.mark.parametrize(("password", "code"), [("", "FAILED_VALIDATION"), ("x" * 1025, "VALUE_TOO_LONG")])
async def test_an_empty_or_too_long_password_is_rejected(users, password, code):
    assert (await error_of(users.create_one({"password": password}))).code == code
    assert (await error_of(users.update_one(uid("vi"), {"password": password}))).code == code
    nested = {"name": "Role", "users": [{"password": password}]}
    assert (
        await error_of(users._services and Directory(ADA, users._services)["roles"].create_one(nested))
    ).code == code


async def test_passwords_must_match_the_projects_password_policy(editors, users):
    await editors.directory(ADA)["settings"].upsert_singleton({"auth_password_policy": "/^(?=.*\\d).{8,}$/"})
    for password in ("short1", "without a digit", None):
        assert (await error_of(users.create_one({"password": password}))).code == "FAILED_VALIDATION"
    assert await users.create_one({"password": "long enough 1"})
    assert await users.create_one({"email": "nopassword@example.com"})


async def test_an_invalid_password_policy_is_rejected(editors):
    error = await error_of(editors.directory(ADA)["settings"].upsert_singleton({"auth_password_policy": "/(/"}))

    assert error.code == "INVALID_PAYLOAD"


async def test_tfa_is_set_up_only_by_its_flow_but_administrators_may_disable_it_for_others(editors, users):
    assert (await error_of(users.update_one(uid("vi"), {"tfa_secret": "ABC"}))).code == "INVALID_PAYLOAD"
    assert (await error_of(users.update_one(uid("ada"), {"tfa_secret": None}))).code == "INVALID_PAYLOAD"
    await users.update_one(uid("vi"), {"tfa_secret": None})

    assert await read_column(editors, User.tfa_secret, "vi") is None


@pytest.mark.parametrize("change", [{"password": "another one"}, {"status": "suspended"}])
async def test_a_password_change_or_a_suspension_ends_sessions(editors, users, change):
    async with editors.database.transaction() as connection:
        for name in ("vi", "ed"):
            values = {
                "token": f"session-of-{name}",
                "user_id": uid(name),
                "expires": editors.services.clock().replace(year=2999),
            }
            await connection.execute(insert(Session).values(**values))
    vi = Caller(user=uid("vi"), session="session-of-vi")
    assert await editors.directory(vi).access()
    await users.update_one(uid("vi"), change)

    async with editors.database.transaction() as connection:
        assert (await connection.execute(select(Session.token))).scalars().all() == ["session-of-ed"]
    assert (await error_of(editors.directory(vi)["users"].read_by_query())).code == "INVALID_CREDENTIALS"


LAST_ADMIN_CASES: list[tuple[str, str, str, dict[str, Any] | None]] = [
    ("users", "delete", "ada", None),
    ("users", "update", "ada", {"status": "suspended"}),
    ("users", "update", "ada", {"status": "draft"}),
    ("users", "update", "ada", {"role": None}),
    ("users", "update", "ada", {"role": uid("role-Viewer")}),
    ("users", "update", "ada", {"role": {"name": "New"}}),
    ("roles", "delete", "role-Administrator", None),
    ("roles", "update", "role-Administrator", {"policies": []}),
    ("roles", "update", "role-Administrator", {"users": []}),
    ("roles", "update", "role-Administrator", {"users": {"delete": [uid("ada")]}}),
    ("policies", "delete", "policy-Administrators", None),
    ("policies", "update", "policy-Administrators", {"admin_access": False}),
    ("policies", "update", "policy-Administrators", {"ip_access": ["10.0.0.1"]}),
    ("policies", "update", "policy-Administrators", {"roles": []}),
    ("access", "delete", "access-Administrators-Administrator-None", None),
    ("access", "update", "access-Administrators-Administrator-None", {"policy": uid("policy-Viewers")}),
]


@pytest.mark.parametrize(("collection", "action", "name", "values"), LAST_ADMIN_CASES)
async def test_the_last_administrator_cannot_be_removed_or_locked_out(editors, collection, action, name, values):
    before, repository = await checksum(editors), editors.directory(ADA)[collection]
    call = repository.delete_one(uid(name)) if action == "delete" else repository.update_one(uid(name), values)
    error = await error_of(call)

    assert (error.code, error.status) == ("UNPROCESSABLE_CONTENT", 422)
    assert await checksum(editors) == before


@pytest.mark.parametrize(("collection", "action", "name", "values"), LAST_ADMIN_CASES)
async def test_one_of_two_administrators_may_be_removed(editors, collection, action, name, values):
    ada = editors.directory(ADA)
    await ada["users"].update_one(uid("vi"), {"policies": [{"policy": {"name": "Spare", "admin_access": True}}]})
    repository = ada[collection]
    call = repository.delete_one(uid(name)) if action == "delete" else repository.update_one(uid(name), values)

    assert await call


async def test_an_administrator_may_restrict_administrators_to_the_current_network(editors):
    admin = editors.directory(caller("ada", OFFICE_IP))
    await admin["policies"].update_one(uid("policy-Administrators"), {"ip_access": ["10.1.0.0/16"]})

    assert await editors.directory(caller("ada", OFFICE_IP))["users"].may("delete")
    assert not await editors.directory(ADA)["users"].may("delete")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("role-Staff", {"parent": uid("role-Staff")}),
        ("role-Staff", {"parent": uid("role-Editor")}),
        ("role-Editor", {"children": [uid("role-Staff")]}),
        ("role-Staff", {"parent": {"id": uid("role-Editor"), "name": "Editor"}}),
    ],
)
async def test_a_role_cannot_be_its_own_ancestor(editors, name, values):
    before = await checksum(editors)
    assert (await error_of(editors.directory(ADA)["roles"].update_one(uid(name), values))).code == "INVALID_PAYLOAD"
    assert await checksum(editors) == before
    itself = {"id": uid("new"), "name": "New", "parent": uid("new")}
    assert (await error_of(editors.directory(ADA)["roles"].create_one(itself))).code == "INVALID_PAYLOAD"


async def test_deleting_a_role_suspends_its_users_and_is_logged(editors):
    ada = editors.directory(ADA)
    await ada["roles"].delete_one(uid("role-Staff"))
    sue = await ada["users"].read_one(uid("sue"), {"fields": ["status", "role"]})
    editor = await ada["roles"].read_one(uid("role-Editor"), {"fields": ["parent", "policies"]})
    activity = await ada["activity"].read_by_query({"fields": ["action", "collection", "item"], "sort": ["id"]})

    assert sue == {"status": "suspended", "role": None}
    assert editor["parent"] is None
    assert {"action": "delete", "collection": "directus_roles", "item": uid("role-Staff")} in activity
    assert {"action": "update", "collection": "directus_users", "item": uid("sue")} in activity
    assert {"action": "update", "collection": "directus_roles", "item": uid("role-Editor")} in activity


async def test_a_referenced_row_cannot_be_deleted(editors):
    ada = editors.directory(ADA)
    await ada["files"].create_one({"storage": "local", "filename_download": "a.png", "uploaded_by": uid("vi")})
    before = await checksum(editors)
    error = await error_of(ada["users"].delete_one(uid("vi")))

    assert error.code == "INVALID_FOREIGN_KEY"
    assert "constraint" not in str(error).lower()
    assert await checksum(editors) == before


@pytest.mark.parametrize(
    ("setting", "kind", "values"),
    [
        ("users_admin_access_limit", "Admin", {"role": uid("role-Administrator")}),
        ("users_app_access_limit", "App", {"role": uid("role-App")}),
        ("users_api_access_limit", "API", {"role": uid("role-Viewer")}),
    ],
)
async def test_the_number_of_users_of_a_kind_is_limited_by_settings(editors, setting, kind, values):
    for limit, is_allowed in ((0, False), (100, True)):
        settings = editors.settings.model_copy(update={setting: limit})
        users = Directory(ADA, Services.from_settings(editors.database, settings))["users"]
        if is_allowed:
            assert await users.create_one(values)
        else:
            error = await error_of(users.create_one(values))
            assert (error.code, kind in str(error)) == ("LIMIT_EXCEEDED", True)


SECRETS = {"password": "a secret password", "token": "a-secret-token", "tfa_secret": "SECRETSECRET"}


async def test_the_audit_log_records_every_write_without_secrets(editors):
    ada = Directory(ADA, editors.services)
    key = await ada["users"].create_one({"email": "new@example.com", "auth_data": {"a": "secret-data"}, **SECRETS})
    await ada["users"].update_one(key, {"password": "another secret", "token": "another-secret", "title": "Seer"})
    await ada["users"].delete_one(key)
    async with editors.database.transaction() as connection:
        activity = (
            await connection.execute(select(Activity.__table__).where(Activity.item == key).order_by("id"))
        ).all()
        revisions = (
            await connection.execute(select(Revision.__table__).where(Revision.item == key).order_by("id"))
        ).all()

    assert [(row.action, row.user, row.ip, row.collection) for row in activity] == [
        (action, uid("ada"), "192.0.2.1", "directus_users") for action in ("create", "update", "delete")
    ]
    assert [row.delta.get("title") for row in revisions] == [None, "Seer"]
    assert revisions[1].data["email"] == "new@example.com"
    assert revisions[1].delta == {"password": "**********", "token": "**********", "title": "Seer"}
    assert not re.search(r"secret(?!\")", repr(revisions).replace("tfa_secret", ""), re.IGNORECASE)


async def test_an_update_without_changes_is_not_logged(editors, users):
    before = await checksum(editors)
    await users.update_one(uid("vi"), {"title": "Viewer"})

    assert await checksum(editors) == before


async def test_revisions_of_nested_writes_have_the_outer_revision_as_parent(editors):
    ada = editors.directory(ADA)
    key = await ada["users"].create_one({"email": "new@example.com", "role": {"name": "New"}})
    revisions = await ada["revisions"].read_by_query({"fields": ["collection", "item", "parent.item"], "sort": ["id"]})

    assert [(row["collection"], row["parent"] and row["parent"]["item"]) for row in revisions] == [
        ("directus_roles", key),
        ("directus_users", None),
    ]


async def test_the_audit_log_records_the_client(editors):
    from app.core.caller import ClientInfo

    directory = Directory(ADA, editors.services, lambda: ClientInfo("curl/8", "https://app.example.com"))
    await directory["users"].update_one(uid("vi"), {"title": "Seer"})
    rows = await directory["activity"].read_by_query({"fields": ["user", "ip", "user_agent", "origin"]})

    assert rows == [
        {"user": uid("ada"), "ip": "192.0.2.1", "user_agent": "curl/8", "origin": "https://app.example.com"}
    ]


async def test_the_system_caller_may_write_anything_and_is_logged_without_a_user(editors):
    system = editors.directory(SYSTEM)
    await system["users"].update_one(uid("vi"), {"title": "Seer"})
    async with editors.database.transaction() as connection:
        assert await connection.scalar(select(func.count()).where(Activity.user_id.is_(None))) == 1


INVALID_WRITES: list[tuple[str, Any, str | None]] = [
    ("users", {"first_name": "x" * 51}, "VALUE_TOO_LONG"),
    ("users", {"status": None}, "FAILED_VALIDATION"),
    ("users", {"role": uid("nobody")}, "INVALID_FOREIGN_KEY"),
    ("users", {"role": "nonsense"}, "INVALID_FOREIGN_KEY"),
    ("users", {"role": {"id": uid("nobody")}}, "INVALID_FOREIGN_KEY"),
    ("users", {"role": {}}, "FAILED_VALIDATION"),
    ("users", {"role": {"icon": "star"}}, "FAILED_VALIDATION"),
    ("users", {"role": {"name": None}}, "FAILED_VALIDATION"),
    ("users", {"id": "nonsense"}, "FORBIDDEN"),
    ("users", {"last_access": "yesterday"}, "INVALID_PAYLOAD"),
    ("users", {"email_notifications": "maybe"}, "INVALID_PAYLOAD"),
    ("users", {"tags": "a,b"}, "INVALID_PAYLOAD"),
    ("users", {"tags": float("nan")}, None),
    ("users", {"title": ["a"]}, "INVALID_PAYLOAD"),
    ("users", {"title": "a\0b"}, "INVALID_PAYLOAD"),
    ("users", {"no_such_field": 1}, "FORBIDDEN"),
    ("users", {"policies": "x"}, "INVALID_PAYLOAD"),
    ("users", {"policies": {"make": []}}, "INVALID_PAYLOAD"),
    ("users", {"policies": {"update": [{"sort": 1}]}}, "INVALID_PAYLOAD"),
    ("users", {"policies": [{"policy": uid("nobody")}]}, "INVALID_FOREIGN_KEY"),
    ("users", {"policies": [{"sort": 1}]}, "FAILED_VALIDATION"),
    ("roles", {}, "FAILED_VALIDATION"),
    ("access", {}, "FAILED_VALIDATION"),
    ("access", {"policy": uid("policy-App"), "sort": 2**31}, "VALUE_OUT_OF_RANGE"),
    ("access", {"policy": uid("policy-App"), "sort": 1.5}, "INVALID_PAYLOAD"),
    ("permissions", {"collection": "directus_users"}, "FAILED_VALIDATION"),
    ("policies", {"name": "P", "ip_access": ["nowhere"]}, "INVALID_PAYLOAD"),
    ("policies", {"name": "P", "ip_access": 5}, "INVALID_PAYLOAD"),
    ("users", "nonsense", "INVALID_PAYLOAD"),
    ("users", None, "INVALID_PAYLOAD"),
]


@pytest.mark.parametrize(("collection", "values", "code"), INVALID_WRITES)
async def test_an_invalid_write_is_rejected_without_effect(editors, collection, values, code):
    before = await checksum(editors)
    if code is None:
        await editors.directory(ADA)[collection].create_one(values)
        return
    error = await error_of(editors.directory(ADA)[collection].create_one(values))

    assert error.code == code
    assert not re.search(r"insert|select|sqlite|asyncpg|constraint", str(error), re.IGNORECASE)
    assert await checksum(editors) == before


async def test_the_depth_of_nested_payloads_is_limited(editors):
    role: dict[str, Any] = {"name": "R"}
    for _ in range(40):
        role = {"name": "R", "parent": role}

    assert (await error_of(editors.directory(ADA)["roles"].create_one(role))).code == "INVALID_PAYLOAD"


async def test_the_number_of_rows_of_one_write_is_limited(editors):
    settings = editors.settings.model_copy(update={"max_batch_mutation": 2})
    users = Directory(ADA, Services.from_settings(editors.database, settings))["users"]
    rows = [{"email": f"x{number}@example.com"} for number in range(3)]
    for call in (users.create_many(rows), users.delete_by_query({}), users.update_by_query({}, {"title": "x"})):
        assert (await error_of(call)).code == "INVALID_PAYLOAD"

    assert len(await users.create_many(rows[:2])) == 2
