"""Regular expressions in settings and permissions: read as JavaScript reads them, rejected when written if invalid."""

import pytest

from app.core import regex_matcher
from app.flows.import_export import import_rows
from tests.base_data import static_token, uid
from tests.flows.inviters import update_settings
from tests.http.clients import reason_of, send
from tests.http.test_graphql import ADA, bearer
from tests.logs import captured_logs
from tests.security.entry_points import ENTRY_POINTS, call_flow, error_code, post_graphql
from tests.writes.conftest import run_sql
from tests.writes.editors import checksum

INVALID, BACKTRACKING = "[\\w-\\.", "^(a+)+\\1b$"
DIRECTUS_EMAIL = r"^[\w-\.]+@([\w-]+\.)+[\w-]{2,4}$"
PASSWORD = "correct, but only here"
WES, ANN = (bearer(static_token(name)) for name in ("wes", "ann"))
PERMISSION_OF_WES = 102
SETTINGS = ("PATCH", "/settings", "update_settings(data: $data)", "update_directus_settings_input")
NEW_PERMISSION = (
    "POST",
    "/permissions",
    "create_permissions_item(data: $data)",
    "create_directus_permissions_input",
)
PERMISSION = (
    "PATCH",
    f"/permissions/{PERMISSION_OF_WES}",
    f'update_permissions_item(id: "{PERMISSION_OF_WES}", data: $data)',
    "update_directus_permissions_input",
)
POLICY = (
    "PATCH",
    f"/policies/{uid('policy-Writers')}",
    f'update_policies_item(id: "{uid("policy-Writers")}", data: $data)',
    "update_directus_policies_input",
)


REGEX_FIELDS = {"auth_password_policy", "public_registration_email_filter", "validation", "permissions"}


def deep(pattern):
    return {"_or": [{"title": {"_nempty": True}}, {"_and": [{"title": {"_regex": pattern}}]}]}


def row(collection, **values):
    return {
        "policy": uid("policy-Writers"),
        "action": "update",
        "fields": ["title"],
        "collection": collection,
        **values,
    }


WRITES = {
    "policy": (SETTINGS, lambda pattern: {"auth_password_policy": f"/{pattern}/"}),
    "filter": (SETTINGS, lambda pattern: {"public_registration_email_filter": deep(pattern)}),
    "validation": (NEW_PERMISSION, lambda pattern: row("directus_users", validation=deep(pattern))),
    "rule": (NEW_PERMISSION, lambda pattern: row("directus_users", permissions=deep(pattern))),
    "unserved collection": (NEW_PERMISSION, lambda pattern: row("articles", validation=deep(pattern))),
    "update": (PERMISSION, lambda pattern: {"validation": deep(pattern)}),
    "nested": (POLICY, lambda pattern: {"permissions": [row("directus_users", validation=deep(pattern))]}),
}


async def write(client, entry_point, target, values):
    method, path, field, kind = target
    if entry_point == "rest":
        return await send(client, method, path, values, headers=ADA)
    text = f"mutation ($data: {kind}!) {{ {field} {{ id }} }}"
    return await post_graphql(client, text, headers=ADA, variables={"data": values})


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
@pytest.mark.parametrize("name", WRITES)
async def test_an_invalid_regular_expression_is_rejected_when_it_is_written(members, client, entry_point, name):
    target, values = WRITES[name]
    before = await checksum(members)
    response = await write(client, entry_point, target, values(INVALID))
    (error,) = response.json()["errors"]
    field, _, reason = error["extensions"]["reason"].partition(" ")

    assert error["extensions"]["code"] == "INVALID_PAYLOAD"
    assert field.strip('"') in REGEX_FIELDS
    assert reason.startswith("contains an invalid regular expression: unterminated character class at offset")
    assert await checksum(members) == before
    assert error_code(await write(client, entry_point, target, values(DIRECTUS_EMAIL))) is None


async def test_a_regular_expression_that_is_too_long_is_rejected_when_it_is_written(members, client):
    response = await write(client, "rest", NEW_PERMISSION, row("directus_users", validation=deep("a" * 4097)))

    assert "invalid regular expression: it has more than 4096 characters" in reason_of(response)


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("directus_settings", "auth_password_policy", {"auth_password_policy": f"/{INVALID}/"}),
        ("directus_settings", "public_registration_email_filter", {"public_registration_email_filter": deep(INVALID)}),
        ("directus_permissions", "validation", row("directus_users", validation=deep(INVALID), fields="*")),
        ("directus_permissions", "permissions", row("articles", permissions=deep(INVALID), fields="*")),
    ],
)
async def test_an_invalid_regular_expression_is_imported_with_a_warning(members, table, column, values):
    (warning,) = (await import_rows(members.database, {table: [{"id": 1, **values}]})).warnings
    location = f"{table}, row 1, {column}: it contains an invalid regular expression, which matches nothing: "

    assert warning.startswith(f"{location}unterminated character class")


async def test_an_imported_regular_expression_that_is_invalid_grants_nothing(members, client):
    rows = [
        row("directus_users", action="update", validation={"title": {"_regex": INVALID}}, fields="title") | {"id": 801},
        row("directus_files", action="read", permissions={"title": {"_regex": INVALID}}, fields="*") | {"id": 802},
    ]
    policy = {"directus_policies": [{"id": rows[0]["policy"], "name": "p"}]}
    access = {"directus_access": [{"id": uid("access-of-ann"), "policy": rows[0]["policy"], "user": uid("ann")}]}
    tables = {**policy, **access, "directus_permissions": rows}
    result = await import_rows(members.database, tables, replace=False)
    await import_rows(
        members.database, {"directus_settings": [{"id": 1, "auth_password_policy": INVALID}]}, replace=False
    )
    written = await send(client, "PATCH", f"/users/{uid('ann')}", {"title": "x"}, headers=ANN)
    read = await send(client, "GET", "/files", None, headers=ANN)
    password = await send(client, "PATCH", f"/users/{uid('ann')}", {"password": "long enough"}, headers=ADA)

    assert len(result.warnings) == 2
    assert [error_code(response) for response in (written, read, password)] == [
        "INVALID_PAYLOAD",
        "FORBIDDEN",
        "INVALID_PAYLOAD",
    ]


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
async def test_a_password_policy_is_read_as_javascript(members, client, entry_point):
    for number, (pattern, accepted, rejected) in enumerate(
        (
            (f"/{DIRECTUS_EMAIL}/", "a.b-c@example.org", "a@b"),
            ("^[a-z]+$", "abc", "abc\n"),
            ("/^\\d+$/", "123", "\u0661\u0662\u0663"),
            ("/^(?=.*[A-Z])(?!.*\\s).{8,}$/", "Passw0rd", "Passw 0rd"),
            ("/a/i", "x/a/i", "A"),
        )
    ):
        await update_settings(members, auth_password_policy=pattern)
        email = f"new{number}@example.com"
        codes = [
            error_code(await call_flow(client, entry_point, "register", email=email, password=password))
            for password in (rejected, accepted)
        ]
        assert codes == ["FAILED_VALIDATION", None], pattern


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
async def test_the_filter_of_registrations_is_read_as_javascript(members, client, entry_point):
    await update_settings(members, public_registration_email_filter={"email": {"_regex": DIRECTUS_EMAIL}})
    codes = [
        error_code(await call_flow(client, entry_point, "register", email=email, password=PASSWORD))
        for email in ("a@example.museum", "a.b-c@example.org")
    ]

    assert codes == ["FORBIDDEN", None]


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
async def test_a_validation_is_read_as_javascript(members, client, entry_point):
    await write(client, "rest", PERMISSION, {"validation": {"title": {"_regex": "^[a-z]\\d$"}}})
    titles = ("a1", "a1\n", "a\u0661", "A1", None, "")
    codes = [error_code(await update_title(client, entry_point, title)) for title in titles]

    assert codes == [None, *["FAILED_VALIDATION"] * 5]


async def update_title(client, entry_point, title):
    if entry_point == "rest":
        return await send(client, "PATCH", "/users/me", {"title": title}, headers=WES)
    text = "mutation ($title: String) { update_users_me(data: { title: $title }) { id } }"
    return await post_graphql(client, text, headers=WES, variables={"title": title})


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
async def test_a_value_that_takes_too_long_to_match_is_rejected_with_the_limit(members, client, entry_point):
    await update_settings(members, auth_password_policy=f"/{BACKTRACKING}/")
    await write(client, "rest", PERMISSION, {"validation": deep(BACKTRACKING)})
    before = await checksum(members)
    register = await call_flow(client, entry_point, "register", email="x@example.com", password="a" * 64)
    update = await update_title(client, entry_point, "a" * 50)

    for response, field in ((register, "password"), (update, "title")):
        assert error_code(response) == "INVALID_PAYLOAD"
        assert f'{field}\\" takes longer than 100 ms to match with its regular expression' in response.text
    assert await checksum(members) == before


async def test_all_writes_of_one_request_share_the_time_for_regular_expressions(members, client):
    await write(client, "rest", PERMISSION, {"validation": deep(BACKTRACKING)})
    title = "a" * 50
    fields = " ".join(f'm{number}: update_users_me(data: {{ title: "{title}" }}) {{ id }}' for number in range(7))
    response = await post_graphql(client, f"mutation {{ {fields} }}", headers=WES)
    reasons = [error["extensions"]["reason"] for error in response.json()["errors"]]

    assert "takes longer than 100 ms" in reasons[0]
    assert reasons[-1].startswith("The regular expressions of this request take longer than 500 ms in all")


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
async def test_values_are_rejected_while_a_stored_regular_expression_is_invalid(members, client, entry_point):
    invalid = """'{"%s": {"_regex": "("}}'"""
    await run_sql(
        members.settings.database_url,
        "UPDATE directus_settings SET auth_password_policy = '/(/';"
        f"UPDATE directus_permissions SET validation = {invalid % 'title'} WHERE id = {PERMISSION_OF_WES};",
    )
    with captured_logs(regex_matcher) as events:
        register = await call_flow(client, entry_point, "register", email="x@example.com", password=PASSWORD)
        update = await update_title(client, entry_point, "Any")
    await run_sql(
        members.settings.database_url,
        "UPDATE directus_settings SET auth_password_policy = NULL, "
        f"public_registration_email_filter = {invalid % 'email'};",
    )
    filtered = await call_flow(client, entry_point, "register", email="x@example.com", password=PASSWORD)

    codes = [error_code(response) for response in (register, update, filtered)]
    assert codes == ["INVALID_PAYLOAD", "INVALID_PAYLOAD", "FORBIDDEN"]
    for response, name in ((register, "auth_password_policy"), (update, "title")):
        assert name in response.text
        assert "an admin must correct it" in response.text
    assert {event["field"] for event in events if event["event"] == "regex_invalid"} == {"password", "title"}
