"""What the directory guarantees, whoever writes: addresses, passwords, sessions, admins, roles, and what is told."""

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
from tests.world import OFFICE_IP, caller, uid
from tests.writes.editors import checksum

ADA = caller("ada")


async def column(system, what, whom):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(what).where(User.id == uid(whom)))


async def refused(doing):
    with pytest.raises(RollcallError) as refusal:
        await doing
    return refusal.value


@pytest.fixture
def users(editors):
    return editors.directory(ADA)["users"]


@pytest.mark.parametrize(
    "address",
    ["", "x", "x@", "@x.org", "x@localhost", "x@corp.test", " x@example.com", "x@example.com ", "x y@example.com",
     "x@exa mple.com", "a@b@example.com", "x@-example.com", "x" * 65 + "@example.com", "\u212ait@example.com"],
)  # fmt: skip
async def test_an_address_is_one(users, address):
    assert (await refused(users.create_one({"email": address}))).code == "FAILED_VALIDATION"
    assert (await refused(users.update_one(uid("vi"), {"email": address}))).code == "FAILED_VALIDATION"


@pytest.mark.parametrize(
    "address", ["x@example.com", "a+b@example.com", "x.y_z-1@sub.example.co", "jürgen@example.com"]
)
async def test_an_address_may_look_like_this(users, address):
    key = await users.create_one({"email": address})

    assert (await users.read_one(key))["email"] == address


@pytest.mark.parametrize(
    ("there", "new"), [("ed@example.com", "ED@Example.com"), ("čapek@example.com", "ČAPEK@example.com")]
)
async def test_an_address_is_taken_whatever_its_case(editors, users, there, new):
    if there != "ed@example.com":
        await users.create_one({"email": there})
    before = await checksum(editors)
    for doing in (users.create_one({"email": new}), users.update_one(uid("vi"), {"email": new})):
        refusal = await refused(doing)
        assert refusal.code == "RECORD_NOT_UNIQUE"
        assert refusal.details["field"] == "email"
    assert await checksum(editors) == before
    if there == "ed@example.com":
        assert await users.update_one(uid("ed"), {"email": new}) == uid("ed")  # his own, spelled otherwise


@pytest.mark.parametrize("field", ["token", "external_identifier", "id"])
async def test_what_has_to_be_unique_is_told_without_a_secret(users, field):
    value = uid("vi") if field == "id" else "static-of-vi" if field == "token" else "x"
    await users.update_one(uid("vi"), {"external_identifier": "x"})
    refusal = await refused(users.create_one({field: value}))

    assert (refusal.code, refusal.details["field"]) == ("RECORD_NOT_UNIQUE", field)
    assert ("static-of-vi" in str(refusal.extensions) + str(refusal)) is False


async def test_a_password_is_hashed_and_asterisks_leave_it_alone(editors, users):
    await users.update_one(uid("vi"), {"password": "correct horse"})
    hashed = await column(editors, User.password, "vi")
    await users.update_one(uid("vi"), {"password": "**********", "token": "**********", "title": "Seer"})

    assert hashed.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert verify_password("correct horse", hashed)
    assert await column(editors, User.password, "vi") == hashed
    assert await column(editors, User.token, "vi") == "static-of-vi"


@pytest.mark.parametrize(("password", "code"), [("", "FAILED_VALIDATION"), ("x" * 1025, "VALUE_TOO_LONG")])
async def test_no_password_is_empty_or_endless(users, password, code):
    assert (await refused(users.create_one({"password": password}))).code == code
    assert (await refused(users.update_one(uid("vi"), {"password": password}))).code == code
    nested = {"name": "Role", "users": [{"password": password}]}
    assert (await refused(users._services and Directory(ADA, users._services)["roles"].create_one(nested))).code == code


async def test_the_projects_password_policy_judges_passwords(editors, users):
    await editors.directory(ADA)["settings"].upsert_singleton({"auth_password_policy": "/^(?=.*\\d).{8,}$/i"})
    for password in ("short1", "without a digit", None):
        assert (await refused(users.create_one({"password": password}))).code == "FAILED_VALIDATION"
    assert await users.create_one({"password": "long enough 1"})
    assert await users.create_one({"email": "nopassword@example.com"})


async def test_a_password_policy_that_can_not_be_read_is_refused(editors):
    refusal = await refused(editors.directory(ADA)["settings"].upsert_singleton({"auth_password_policy": "/(/"}))

    assert refusal.code == "INVALID_PAYLOAD"


async def test_a_second_factor_is_set_up_by_its_flow_alone_but_an_admin_may_take_anothers_away(editors, users):
    assert (await refused(users.update_one(uid("vi"), {"tfa_secret": "ABC"}))).code == "INVALID_PAYLOAD"
    assert (await refused(users.update_one(uid("ada"), {"tfa_secret": None}))).code == "INVALID_PAYLOAD"
    await users.update_one(uid("vi"), {"tfa_secret": None})

    assert await column(editors, User.tfa_secret, "vi") is None


@pytest.mark.parametrize("change", [{"password": "another one"}, {"status": "suspended"}])
async def test_a_new_password_and_a_suspension_end_sessions(editors, users, change):
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
    assert (await refused(editors.directory(vi)["users"].read_by_query())).code == "INVALID_CREDENTIALS"


LAST: list[tuple[str, str, str, dict[str, Any] | None]] = [
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


@pytest.mark.parametrize(("collection", "action", "what", "values"), LAST)
async def test_the_last_admin_stays_one_and_can_get_in(editors, collection, action, what, values):
    before, repository = await checksum(editors), editors.directory(ADA)[collection]
    doing = repository.delete_one(uid(what)) if action == "delete" else repository.update_one(uid(what), values)
    refusal = await refused(doing)

    assert (refusal.code, refusal.status) == ("UNPROCESSABLE_CONTENT", 422)
    assert await checksum(editors) == before


@pytest.mark.parametrize(("collection", "action", "what", "values"), LAST)
async def test_one_of_two_admins_may_go(editors, collection, action, what, values):
    ada = editors.directory(ADA)
    await ada["users"].update_one(uid("vi"), {"policies": [{"policy": {"name": "Spare", "admin_access": True}}]})
    repository = ada[collection]
    doing = repository.delete_one(uid(what)) if action == "delete" else repository.update_one(uid(what), values)

    assert await doing


async def test_an_admin_may_bind_admins_to_where_one_is(editors):
    inside = editors.directory(caller("ada", OFFICE_IP))
    await inside["policies"].update_one(uid("policy-Administrators"), {"ip_access": ["10.1.0.0/16"]})

    assert await editors.directory(caller("ada", OFFICE_IP))["users"].may("delete")
    assert not await editors.directory(ADA)["users"].may("delete")


@pytest.mark.parametrize(
    ("what", "values"),
    [
        ("role-Staff", {"parent": uid("role-Staff")}),
        ("role-Staff", {"parent": uid("role-Editor")}),
        ("role-Editor", {"children": [uid("role-Staff")]}),
        ("role-Staff", {"parent": {"id": uid("role-Editor"), "name": "Editor"}}),
    ],
)
async def test_no_role_is_its_own_ancestor(editors, what, values):
    before = await checksum(editors)
    assert (await refused(editors.directory(ADA)["roles"].update_one(uid(what), values))).code == "INVALID_PAYLOAD"
    assert await checksum(editors) == before
    itself = {"id": uid("new"), "name": "New", "parent": uid("new")}
    assert (await refused(editors.directory(ADA)["roles"].create_one(itself))).code == "INVALID_PAYLOAD"


async def test_who_had_a_role_that_is_gone_is_suspended_and_that_is_told(editors):
    ada = editors.directory(ADA)
    await ada["roles"].delete_one(uid("role-Staff"))
    sue = await ada["users"].read_one(uid("sue"), {"fields": ["status", "role"]})
    editor = await ada["roles"].read_one(uid("role-Editor"), {"fields": ["parent", "policies"]})
    told = await ada["activity"].read_by_query({"fields": ["action", "collection", "item"], "sort": ["id"]})

    assert sue == {"status": "suspended", "role": None}
    assert editor["parent"] is None
    assert {"action": "delete", "collection": "directus_roles", "item": uid("role-Staff")} in told
    assert {"action": "update", "collection": "directus_users", "item": uid("sue")} in told
    assert {"action": "update", "collection": "directus_roles", "item": uid("role-Editor")} in told


async def test_rows_that_are_still_pointed_at_stay(editors):
    ada = editors.directory(ADA)
    await ada["files"].create_one({"storage": "local", "filename_download": "a.png", "uploaded_by": uid("vi")})
    before = await checksum(editors)
    refusal = await refused(ada["users"].delete_one(uid("vi")))

    assert refusal.code == "INVALID_FOREIGN_KEY"
    assert "constraint" not in str(refusal).lower()
    assert await checksum(editors) == before


@pytest.mark.parametrize(
    ("limit", "kind", "values"),
    [
        ("users_admin_access_limit", "Admin", {"role": uid("role-Administrator")}),
        ("users_app_access_limit", "App", {"role": uid("role-App")}),
        ("users_api_access_limit", "API", {"role": uid("role-Viewer")}),
    ],
)
async def test_there_are_no_more_users_of_a_kind_than_the_settings_allow(editors, limit, kind, values):
    for most, fine in ((0, False), (100, True)):
        settings = editors.settings.model_copy(update={limit: most})
        users = Directory(ADA, Services.from_settings(editors.database, settings))["users"]
        if fine:
            assert await users.create_one(values)
        else:
            refusal = await refused(users.create_one(values))
            assert (refusal.code, kind in str(refusal)) == ("LIMIT_EXCEEDED", True)


SECRETS = {"password": "a secret password", "token": "a-secret-token", "tfa_secret": "SECRETSECRET"}


async def test_what_was_done_is_told_and_no_secret_in_it(editors):
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


async def test_a_change_that_changes_nothing_is_not_told(editors, users):
    before = await checksum(editors)
    await users.update_one(uid("vi"), {"title": "Viewer"})

    assert await checksum(editors) == before


async def test_what_was_written_along_is_told_below_what_it_was_written_with(editors):
    ada = editors.directory(ADA)
    key = await ada["users"].create_one({"email": "new@example.com", "role": {"name": "New"}})
    revisions = await ada["revisions"].read_by_query({"fields": ["collection", "item", "parent.item"], "sort": ["id"]})

    assert [(row["collection"], row["parent"] and row["parent"]["item"]) for row in revisions] == [
        ("directus_roles", key),
        ("directus_users", None),
    ]


async def test_where_a_change_came_from_is_told(editors):
    from app.core.caller import ClientInfo

    directory = Directory(ADA, editors.services, lambda: ClientInfo("curl/8", "https://app.example.com"))
    await directory["users"].update_one(uid("vi"), {"title": "Seer"})
    rows = await directory["activity"].read_by_query({"fields": ["user", "ip", "user_agent", "origin"]})

    assert rows == [
        {"user": uid("ada"), "ip": "192.0.2.1", "user_agent": "curl/8", "origin": "https://app.example.com"}
    ]


async def test_trusted_code_may_write_anything_and_the_trail_says_nobody_did(editors):
    system = editors.directory(SYSTEM)
    await system["users"].update_one(uid("vi"), {"title": "Seer"})
    async with editors.database.transaction() as connection:
        assert await connection.scalar(select(func.count()).where(Activity.user_id.is_(None))) == 1


BAD: list[tuple[str, Any, str | None]] = [
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


@pytest.mark.parametrize(("collection", "values", "code"), BAD)
async def test_what_can_not_be_written_is_told_and_nothing_is_written(editors, collection, values, code):
    before = await checksum(editors)
    if code is None:
        await editors.directory(ADA)[collection].create_one(values)
        return
    refusal = await refused(editors.directory(ADA)[collection].create_one(values))

    assert refusal.code == code
    assert not re.search(r"insert|select|sqlite|asyncpg|constraint", str(refusal), re.IGNORECASE)
    assert await checksum(editors) == before


async def test_payloads_lie_within_one_another_only_so_deep(editors):
    role: dict[str, Any] = {"name": "R"}
    for _ in range(40):
        role = {"name": "R", "parent": role}

    assert (await refused(editors.directory(ADA)["roles"].create_one(role))).code == "INVALID_PAYLOAD"


async def test_no_more_rows_are_written_at_once_than_allowed(editors):
    settings = editors.settings.model_copy(update={"max_batch_mutation": 2})
    users = Directory(ADA, Services.from_settings(editors.database, settings))["users"]
    three = [{"email": f"x{number}@example.com"} for number in range(3)]
    for doing in (users.create_many(three), users.delete_by_query({}), users.update_by_query({}, {"title": "x"})):
        assert (await refused(doing)).code == "INVALID_PAYLOAD"

    assert len(await users.create_many(three[:2])) == 2
