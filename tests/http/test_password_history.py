"""PASSWORD_HISTORY keeps users from choosing one of their last passwords, and tells nobody else which these were."""

import asyncio

import pytest
import pytest_asyncio
from sqlalchemy import func, insert, select, update

from app.core.caller import SYSTEM
from app.core.email_links import LinkPurpose, password_fingerprint
from app.core.errors import FailedValidation, ServiceUnavailable
from app.db.models import PASSWORD_HISTORY, Session, User
from app.flows.retention_job import RetentionJob
from app.repositories.rules.password_reuse import CHANGED_MEANWHILE
from app.testing import TestSystem
from tests.base_data import caller, cheap_hash, static_token, uid
from tests.flows.inviters import link_token
from tests.http.clients import PASSWORD, PASSWORD_HASH, error_of, login, send
from tests.http.test_graphql import ADA, bearer, served
from tests.security.entry_points import ENTRY_POINTS, call_flow, error_code, post_graphql
from tests.studio.pages import StudioClient

OLDEST, OLDER, OLD, FRESH = "the oldest one", "an older one", "an old one", "a fresh one"
UPDATE_ME = "mutation ($data: update_directus_users_input!) { update_users_me(data: $data) { id } }"
UPDATE_ME_AND_FAIL = """
mutation ($data: update_directus_users_input!) {
  update_users_me(data: $data) { id role { users(filter: { last_access: { _gt: "never" } }) { id } } }
}
"""
MESSAGE = (
    'Validation failed for field "password"{}. Value has to differ from your last 3 passwords, the current one '
    "included."
)
DETAILS = {"code": "FAILED_VALIDATION", "field": "password", "type": "history", "valid": 3}
WAYS = [
    *((way, entry_point) for way in ("me", "reset", "accept") for entry_point in ENTRY_POINTS),
    ("own id", "rest"),
    ("nested", "rest"),
]


@pytest_asyncio.fixture(scope="module")
async def strict_client(inviters_db):
    """A client of a server that refuses the last 3 passwords."""
    async with served(with_history(inviters_db, 3).settings) as client:
        yield client


@pytest_asyncio.fixture
async def former(members):
    """The members; Ada, Vi and Ida had three passwords before the current one, two of which still count."""
    rows = [
        {"user": uid(name), "hash": cheap_hash(password), "created": members.services.clock()}
        for name in ("ada", "vi", "ida")
        for password in (OLDEST, OLDER, OLD)
    ]
    async with members.database.transaction() as connection:
        await connection.execute(insert(PASSWORD_HISTORY), rows)
    return members


def with_history(system, count):
    return TestSystem(system.database, system.settings.model_copy(update={"password_history": count}))


async def hashes(system, user="ada"):
    """Return the hash of a user's password, and those of the former ones."""
    async with system.database.transaction() as connection:
        current = await connection.scalar(select(User.password).where(User.id == uid(user)))
        rows = select(PASSWORD_HISTORY.c.hash).where(PASSWORD_HISTORY.c.user == uid(user))
        return current, list(await connection.scalars(rows.order_by(PASSWORD_HISTORY.c.id)))


async def choose(client, system, way, entry_point, password):
    """Choose a password for the own account in one of the `WAYS`."""
    data = {"password": password}
    if way == "accept":
        token = link_token(system, LinkPurpose.INVITATION, "ida@example.com", uid("ida"))
        return await call_flow(client, entry_point, way, token=token, **data)
    if way == "reset":
        fingerprint = password_fingerprint(PASSWORD_HASH)
        token = link_token(system, LinkPurpose.RESET, "vi@example.com", uid("vi"), fingerprint)
        return await call_flow(client, entry_point, way, token=token, **data)
    if way == "nested":
        body = {"policy": uid("policy-Viewers"), "user": {"id": uid("ada"), **data}}
        return await send(client, "POST", "/access", body, headers=ADA)
    if entry_point == "rest":
        return await send(client, "PATCH", f"/users/{uid('ada') if way == 'own id' else 'me'}", data, headers=ADA)
    return await post_graphql(client, UPDATE_ME, headers=ADA, variables={"data": data})


@pytest.mark.sampled
@pytest.mark.parametrize(("way", "entry_point"), WAYS)
async def test_the_last_passwords_are_refused_and_an_older_one_is_accepted(former, strict_client, way, entry_point):
    user = {"accept": "ida", "reset": "vi"}.get(way, "ada")
    before = await hashes(former, user)
    for password in (PASSWORD, OLD, OLDER):
        response = await choose(strict_client, former, way, entry_point, password)
        [error] = response.json()["errors"]
        assert error["message"] == MESSAGE.format(' at "user"' if way == "nested" else "")
        assert {**error["extensions"], **DETAILS} == error["extensions"]
    assert await hashes(former, user) == before

    response = await choose(strict_client, former, way, entry_point, OLDEST)
    assert error_code(response) is None, response.text
    current, history = await hashes(former, user)
    assert current != before[0]
    assert history == [before[1][-1], before[0]]


async def test_the_form_of_the_studio_shows_the_rule_and_what_is_wrong(former, strict_client):
    ada = await StudioClient(strict_client, former).sign_in("ada")
    form = " ".join((await ada.get("/account/password")).html.get_text().split())
    refused = await ada.post("/account/password", {"current": PASSWORD, "password": OLD})

    assert "It differs from your last 3 passwords." in form
    assert refused.errors == ["New password: Choose a password that differs from your last 3 ones."]


async def test_nobody_else_learns_which_passwords_a_user_had(former, strict_client):
    for password in (OLD, PASSWORD):
        response = await send(strict_client, "PATCH", f"/users/{uid('vi')}", {"password": password}, headers=ADA)
        assert error_code(response) is None, response.text
    assert len((await hashes(former, "vi"))[1]) == 2  # recorded nevertheless, so that Vi's own change is compared


@pytest.mark.parametrize("password", [OLD, PASSWORD, FRESH])
async def test_a_request_that_fails_anyway_says_nothing_about_the_password(former, strict_client, password):
    """Otherwise a stolen token could guess passwords without changing them."""
    failing = [{"email": "invalid"}, {"role": uid("nobody")}, {"external_identifier": "sam"}]
    await former.directory(SYSTEM)["users"].update_one(uid("sam"), {"external_identifier": "sam"})
    responses = [
        await send(strict_client, "PATCH", "/users/me", {"password": password, **values}, headers=ADA)
        for values in failing
    ]
    variables = {"data": {"password": password}}
    responses += [  # the second time it is planned
        await post_graphql(strict_client, UPDATE_ME_AND_FAIL, headers=ADA, variables=variables) for _ in range(3)
    ]
    batch = [{"id": uid("ada"), "password": password}, {"id": uid("nobody"), "title": "x"}]
    responses.append(await send(strict_client, "PATCH", "/users", batch, headers=bearer(static_token("rita"))))

    types = [response.json()["errors"][0]["extensions"].get("type") for response in responses]
    assert "history" not in types
    assert (await hashes(former))[0] == PASSWORD_HASH
    assert {error_of(response)[0] for response in responses} <= {200, 400, 403}


async def test_an_api_token_can_guess_no_password(former, strict_client):
    created = await send(strict_client, "POST", "/users/me/tokens", {"name": "x"}, headers=ADA)
    headers = bearer(created.json()["data"]["token"])
    responses = [
        await send(strict_client, "PATCH", "/users/me", {"password": password}, headers=headers)
        for password in (OLD, FRESH)
    ]
    assert responses[0].json() == responses[1].json()
    assert error_code(responses[0]) == "FORBIDDEN"


async def test_a_change_during_the_comparison_is_noticed(former):
    system = with_history(former, 3)
    users, verify = system.directory(caller("ada"))["users"], system.services.passwords.verify

    async def verify_after_change(password, hashed):
        async with system.database.transaction() as connection:
            await connection.execute(update(User).where(User.id == uid("ada")).values(password=cheap_hash(FRESH)))
        return await verify(password, hashed)

    system.services.passwords.verify = verify_after_change
    with pytest.raises(ServiceUnavailable, match=CHANGED_MEANWHILE):
        await users.update_one(uid("ada"), {"password": FRESH})


@pytest.mark.both_databases
async def test_of_two_changes_at_once_to_the_same_password_one_fails(former, strict_client):
    responses = await asyncio.gather(
        *(send(strict_client, "PATCH", "/users/me", {"password": FRESH}, headers=ADA) for _ in range(2))
    )
    codes = [error_code(response) for response in responses]
    assert codes.count(None) == 1
    assert {*codes} <= {None, "FAILED_VALIDATION", "SERVICE_UNAVAILABLE"}


async def test_only_the_current_password_is_refused_with_one(members):
    users = with_history(members, 1).directory(caller("ada"))["users"]
    with pytest.raises(FailedValidation):
        await users.update_one(uid("ada"), {"password": PASSWORD})
    await users.update_one(uid("ada"), {"password": FRESH})
    await users.update_one(uid("ada"), {"password": PASSWORD})
    assert (await hashes(members))[1] == []


async def test_without_the_setting_nothing_is_compared_or_stored_and_what_was_stored_is_deleted(former, client):
    for password in (PASSWORD, OLD):
        response = await send(client, "PATCH", "/users/me", {"password": password}, headers=ADA)
        assert error_code(response) is None, response.text
    assert len((await hashes(former))[1]) == 3

    await RetentionJob(with_history(former, 3).services).run_once()
    assert len((await hashes(former))[1]) == 3
    async with former.database.transaction() as connection:
        await connection.exec_driver_sql("DELETE FROM rollcall_tasks")
    await RetentionJob(former.services).run_once()
    assert (await hashes(former))[1] == []


async def test_a_changed_password_ends_the_sessions_as_before(former, strict_client):
    await login(strict_client, "ada@example.com")
    await choose(strict_client, former, "me", "rest", FRESH)
    async with former.database.transaction() as connection:
        sessions = Session.__table__
        count = select(func.count()).select_from(sessions).where(sessions.c.user == uid("ada"))
        assert await connection.scalar(count) == 0
