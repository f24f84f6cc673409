"""PASSWORD_MIN_LENGTH and PASSWORD_REJECT_COMMON hold for every way to set a password, and say what is wrong."""

import pytest
import pytest_asyncio

from app.core.email_links import LinkPurpose, password_fingerprint
from app.passwords.common_passwords import is_common_password
from tests.base_data import static_token, uid
from tests.flows.inviters import link_token, snapshot, update_settings
from tests.http.clients import PASSWORD_HASH, send
from tests.http.test_graphql import ADA, bearer, served
from tests.security.entry_points import ENTRY_POINTS, call_flow, error_code, post_graphql
from tests.writes.editors import make_permission

WES = bearer(static_token("wes"))
NEW = "new@example.com"
SHORT, COMMON, GOOD = "eleven char", "Qwerty123456", "twelve chars"
TOO_SHORT = 'Validation failed for field "password"{}. Value has to have at least 12 characters.'
TOO_COMMON = (
    'Validation failed for field "password"{}. Value is one of the most common passwords; choose one that is harder to '
    "guess."
)
CREATE = "mutation ($data: create_directus_users_input!) { create_users_item(data: $data) { id } }"
UPDATE_ME = "mutation ($data: update_directus_users_input!) { update_users_me(data: $data) { id } }"


@pytest_asyncio.fixture(scope="module")
async def strict_client(inviters_db):
    """A client of a server that refuses passwords with fewer than 12 characters, and common ones."""
    limits = {"password_min_length": 12, "password_reject_common": True}
    async with served(inviters_db.settings.model_copy(update=limits)) as client:
        yield client


def token(system, flow):
    if flow == "accept":
        return link_token(system, LinkPurpose.INVITATION, "ida@example.com", uid("ida"))
    fingerprint = password_fingerprint(PASSWORD_HASH)
    return link_token(system, LinkPurpose.RESET, "vi@example.com", uid("vi"), fingerprint)


async def set_password(client, system, way, entry_point, password):
    """Set a password in one of the `WAYS`."""
    data = {"password": password}
    if way in ("reset", "accept"):
        return await call_flow(client, entry_point, way, token=token(system, way), **data)
    if way == "register":
        return await call_flow(client, entry_point, way, email=NEW, **data)
    if way == "nested":
        users = {"create": [{"email": NEW, **data}], "update": [], "delete": []}
        return await send(client, "PATCH", f"/roles/{uid('role-Writer')}", {"users": users}, headers=ADA)
    if entry_point == "rest":
        method, path = {"create": ("POST", "/users"), "me": ("PATCH", "/users/me")}.get(
            way, ("PATCH", f"/users/{uid('vi')}")
        )
        return await send(client, method, path, {"email": NEW, **data} if way == "create" else data, headers=ADA)
    text = {"create": CREATE, "me": UPDATE_ME}[way]
    variables = {"data": {"email": NEW, **data} if way == "create" else data}
    return await post_graphql(client, text, headers=ADA, variables=variables)


WAYS = [
    *((way, entry_point) for way in ("create", "me", "reset", "accept", "register") for entry_point in ENTRY_POINTS),
    ("update", "rest"),
    ("nested", "rest"),
]


@pytest.mark.sampled
@pytest.mark.parametrize(("way", "entry_point"), WAYS)
async def test_a_short_or_common_password_is_refused_and_a_good_one_accepted(members, strict_client, way, entry_point):
    before = await snapshot(members)
    location = ' at "users"' if way == "nested" else ""
    for password, message, details in (
        (SHORT, TOO_SHORT, {"type": "min_length", "valid": 12}),
        (COMMON, TOO_COMMON, {"type": "common"}),
    ):
        response = await set_password(strict_client, members, way, entry_point, password)
        [error] = response.json()["errors"]
        assert (error["message"], error["extensions"]["code"]) == (message.format(location), "FAILED_VALIDATION")
        assert {**error["extensions"], "field": "password", **details} == error["extensions"]
        assert password not in response.text
    assert await snapshot(members) == before

    response = await set_password(strict_client, members, way, entry_point, GOOD)
    assert error_code(response) is None, response.text
    assert await snapshot(members) != before


async def test_a_preset_password_is_checked_too(members, strict_client):
    permission = make_permission(902, "Writers", "create", "users", None)
    permission |= {"fields": ["email"], "presets": {"password": COMMON}}
    await send(strict_client, "POST", "/permissions", permission, headers=ADA)

    response = await send(strict_client, "POST", "/users", {"email": NEW}, headers=WES)

    assert response.json()["errors"][0]["message"] == TOO_COMMON.format("")


async def test_a_registration_with_a_used_email_gets_the_same_error(members, strict_client):
    responses = [
        await call_flow(strict_client, "rest", "register", email=email, password=COMMON)
        for email in (NEW, "vi@example.com")
    ]
    assert responses[0].json() == responses[1].json()
    assert error_code(responses[0]) == "FAILED_VALIDATION"


async def test_the_projects_policy_still_applies(members, strict_client):
    await update_settings(members, auth_password_policy="/[0-9]/")
    codes = [
        response.json().get("errors", [{"extensions": {"type": None}}])[0]["extensions"]["type"]
        for password in (SHORT, GOOD, GOOD + "1")
        for response in [await set_password(strict_client, members, "me", "rest", password)]
    ]
    assert codes == ["min_length", "regex", None]


async def test_a_password_can_be_removed(members, strict_client):
    response = await send(strict_client, "PATCH", f"/users/{uid('vi')}", {"password": None}, headers=ADA)
    assert error_code(response) is None, response.text


async def test_by_default_short_and_common_passwords_are_accepted_as_in_directus(members, client):
    for password in ("x", "password"):
        response = await set_password(client, members, "me", "rest", password)
        assert error_code(response) is None, response.text


@pytest.mark.parametrize(
    ("password", "is_common"),
    [("password", True), ("PASSWORD", True), ("qwertyuiop", True), ("correct horse, again", False), ("", False)],
)
def test_common_passwords_are_recognized_in_any_case(password, is_common):
    assert is_common_password(password) is is_common
