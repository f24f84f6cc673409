"""Passwords are hashed only for writes that are allowed, and only so many in one request."""

import asyncio
import threading

import httpx
import pytest

from app.core.request_budget import RequestBudget
from app.passwords.hasher_pool import PasswordService
from app.passwords.hashers import InProcessHasher
from app.repositories.services import Services
from tests.base_data import static_token, uid
from tests.flows.inviters import update_settings
from tests.http.clients import PASSWORD, send
from tests.http.test_export import listening
from tests.http.test_graphql import ADA, bearer
from tests.security.entry_points import ENTRY_POINTS, call_flow, error_code, post_graphql
from tests.writes.editors import checksum, make_permission

WES = bearer(static_token("wes"))
WRITER, ADMINISTRATOR = uid("role-Writer"), uid("role-Administrator")
ROWS_OF = {
    "own row": make_permission(
        900, "Writers", "update", "users", "id,password,role", permissions={"id": "$CURRENT_USER"}
    ),
    "own role": make_permission(
        900, "Writers", "update", "users", "id,password,role", permissions={"role": {"name": {"_eq": "Writer"}}}
    ),
    "seen": make_permission(903, "Writers", "read", "users", "id"),
    "roles": make_permission(901, "Writers", "update", "roles", "id,name,users"),
}


@pytest.fixture
def hashed(monkeypatch):
    """The passwords that are hashed."""
    passwords = []

    async def record(self, password):
        passwords.append(password)
        return await original(self, password)

    original = PasswordService.hash
    monkeypatch.setattr(PasswordService, "hash", record)
    return passwords


async def grant(client, *names):
    for name in names:
        permission = {**ROWS_OF[name], "fields": ROWS_OF[name]["fields"].split(",")}
        response = await send(client, "POST", "/permissions", permission, headers=ADA)
        assert response.status_code == 200, response.text


def rows(*names):
    return [{"id": uid(name), "password": PASSWORD} for name in names]


REQUESTS = {
    "batch": (
        ("PATCH", "/users", lambda names: rows(*names)),
        "($data: [update_directus_users_input!]!) { update_users_batch(data: $data) { id } }",
    ),
    "many": (
        ("PATCH", "/users", lambda names: {"keys": [*map(uid, names)], "data": {"password": PASSWORD}}),
        "($ids: [ID]!, $data: update_directus_users_input!) { update_users_items(ids: $ids, data: $data) { id } }",
    ),
    "one": (
        ("PATCH", "/users/{key}", lambda _: {"password": PASSWORD}),
        "($id: ID!, $data: update_directus_users_input!) { update_users_item(id: $id, data: $data) { id } }",
    ),
    "nested": (
        ("PATCH", f"/roles/{WRITER}", lambda names: {"users": {"create": [], "update": rows(*names), "delete": []}}),
        f'($data: update_directus_roles_input!) {{ update_roles_item(id: "{WRITER}", data: $data) {{ id }} }}',
    ),
}


async def set_passwords(client, entry_point, request, *names, headers=WES):
    """Set the password of users, the last one of `names` if the request is for one."""
    (method, path, make_body), text = REQUESTS[request]
    key, body = uid(names[-1]), make_body(names)
    if entry_point == "rest":
        return await send(client, method, path.format(key=key), body, headers=headers)
    variables = {"data": body.get("data", body) if isinstance(body, dict) else body}
    if request == "many":
        variables["ids"] = [*map(uid, names)]
    elif request == "one":
        variables["id"] = key
    return await post_graphql(client, f"mutation {text}", headers=headers, variables=variables)


@pytest.mark.sampled
@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
@pytest.mark.parametrize(
    ("granted", "requests"),
    [
        ((), [("batch", "will", "wes"), ("many", "will", "wes"), ("one", "wes"), ("nested", "wes")]),
        (("own row",), [("batch", "wes", "will"), ("many", "wes", "will"), ("one", "will"), ("one", "nobody")]),
        (("own role",), [("batch", "wes", "ada"), ("one", "ada")]),
        (("roles",), [("nested", "wes")]),
        (("roles", "own row"), [("nested", "wes", "will")]),
    ],
)
async def test_a_forbidden_password_is_not_hashed(members, client, hashed, entry_point, granted, requests):
    await grant(client, *granted)
    before = await checksum(members)
    hidden = entry_point == "graphql" and not {"own row", "own role"} & {*granted}  # no rule grants the field
    for request in requests:
        response = await set_passwords(client, entry_point, *request)
        assert error_code(response) == ("GRAPHQL_VALIDATION" if hidden else "FORBIDDEN"), request

    assert hashed == []
    assert await checksum(members) == before


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
@pytest.mark.parametrize(
    ("granted", "requests"),
    [
        ("own row", [("batch", "wes"), ("many", "wes"), ("one", "wes"), ("nested", "wes")]),
        ("own role", [("batch", "will", "wes"), ("many", "will", "wes"), ("one", "will"), ("nested", "will", "wes")]),
    ],
)
async def test_an_allowed_password_is_hashed_once(members, client, hashed, entry_point, granted, requests):
    await grant(client, granted, "roles")
    for request, *names in requests:
        hashed.clear()
        response = await set_passwords(client, entry_point, request, *names)
        assert error_code(response) is None, response.text
        assert len(hashed) == (1 if request in ("many", "one") else len(names)), request


async def test_the_rows_of_a_query_are_checked_before_their_password_is_hashed_once(members, client, hashed):
    await grant(client, "own row")
    await grant(client, "seen")
    codes = []
    for names in (("wes", "will"), ("wes",)):
        query = {"filter": {"id": {"_in": [*map(uid, names)]}}}
        body = {"query": query, "data": {"password": PASSWORD}}
        codes.append((error_code(await send(client, "PATCH", "/users", body, headers=WES)), len(hashed)))
    await send(client, "PATCH", "/users", {"query": {"limit": 5}, "data": {"password": PASSWORD}}, headers=ADA)

    assert codes == [("FORBIDDEN", 0), (None, 1)]
    assert hashed == [PASSWORD] * 2


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
async def test_the_password_of_a_user_who_may_not_be_created_is_not_hashed(members, client, hashed, entry_point):
    for headers, values in (
        (bearer(static_token("ed")), {"email": "x@example.com"}),
        (WES, {"email": "x@example.com", "status": "active"}),
        (WES, {"email": "x@example.com", "id": uid("new")}),
    ):
        data = [{**values, "password": PASSWORD}] * 5
        if entry_point == "rest":
            response = await send(client, "POST", "/users", data, headers=headers)
        else:
            text = "mutation ($data: [create_directus_users_input!]) { create_users_items(data: $data) { id } }"
            response = await post_graphql(client, text, headers=headers, variables={"data": data})
        assert error_code(response) in ("FORBIDDEN", "GRAPHQL_VALIDATION"), response.text
    assert hashed == []


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
async def test_a_request_with_too_many_passwords_is_rejected_before_any_is_hashed(members, client, hashed, entry_point):
    before = await checksum(members)
    response = await set_passwords(client, entry_point, "batch", *["vi"] * 101, headers=ADA)

    assert error_code(response) == "INVALID_PAYLOAD"
    assert "The request sets 101 passwords, and may set at most 100 (MAX_PASSWORDS_PER_REQUEST)" in response.text
    assert hashed == []
    assert await checksum(members) == before


async def test_the_writes_of_one_request_share_the_limit(members, client, hashed, monkeypatch):
    monkeypatch.setattr(Services, "new_budget", lambda _: RequestBudget(3))
    field = 'update_users_item(id: "{}", data: {{ password: "{}" }}) {{ id }}'
    fields = " ".join(f"m{number}: {field.format(uid('vi'), PASSWORD)}" for number in range(5))
    response = await post_graphql(client, f"mutation {{ {fields} }}", headers=ADA)

    assert [error["path"] for error in response.json()["errors"]] == [["m3"], ["m4"]]
    assert len(hashed) == 3


async def test_a_planned_mutation_that_is_executed_again_has_the_whole_limit(members, client, monkeypatch):
    monkeypatch.setattr(Services, "new_budget", lambda _: RequestBudget(1))
    text = "mutation ($data: create_directus_users_input!) { create_users_item(data: $data) { id } }"
    codes = []
    for email in ("a@example.com", "b@example.com", "c@example.com", "a@example.com"):
        variables = {"data": {"email": email, "password": PASSWORD}}
        codes.append(error_code(await post_graphql(client, text, headers=ADA, variables=variables)))

    assert codes == [None, None, None, "RECORD_NOT_UNIQUE"]


async def test_no_password_is_hashed_if_one_of_them_is_invalid(members, client, hashed):
    await update_settings(members, auth_password_policy="/^.{8,}$/")
    users = [{"email": f"{number}@example.com", "password": PASSWORD} for number in range(5)]
    response = await send(client, "POST", "/users", [*users, {"password": "short"}], headers=ADA)

    assert (error_code(response), hashed) == ("FAILED_VALIDATION", [])


async def test_a_preset_password_is_hashed_once_for_all_rows(members, client, hashed):
    permission = make_permission(902, "Writers", "create", "users", None)
    permission |= {"fields": ["email"], "presets": {"password": PASSWORD}}
    await send(client, "POST", "/permissions", permission, headers=ADA)
    response = await send(client, "POST", "/users", [{"email": f"{n}@example.com"} for n in range(4)], headers=WES)

    assert response.status_code == 200, response.text
    assert hashed == [PASSWORD]


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
async def test_nothing_is_hashed_before_a_link_is_verified(members, client, hashed, entry_point):
    for flow in ("reset", "accept"):
        response = await call_flow(client, entry_point, flow, token="x.y.z", password=PASSWORD)
        assert error_code(response) in ("INVALID_TOKEN", "INVALID_PAYLOAD", "FORBIDDEN"), response.text
    assert hashed == []


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
async def test_no_more_passwords_are_hashed_after_the_client_has_left(members, monkeypatch, entry_point):
    started: asyncio.Queue[str] = asyncio.Queue()
    cancelled = asyncio.Event()

    async def hash_slowly(self, password):
        started.put_nowait(password)
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    monkeypatch.setattr(PasswordService, "hash", hash_slowly)
    before = await checksum(members)
    async with listening(members.settings) as base_url, httpx.AsyncClient(base_url=base_url) as client:
        request = asyncio.create_task(set_passwords(client, entry_point, "batch", "vi", "ed", "ada", headers=ADA))
        await started.get()
        request.cancel()  # closes the connection
        async with asyncio.timeout(10):
            await cancelled.wait()

    assert started.empty()
    assert await checksum(members) == before


async def test_a_cancelled_hash_that_waits_for_a_thread_is_never_computed():
    class Hasher(InProcessHasher):
        def hash(self, password, cost):
            computed.append(password)
            may_continue.wait()
            return password

    computed: list[str] = []
    may_continue = threading.Event()
    service = PasswordService(hasher=Hasher(), threads=1)
    first, *others = (asyncio.create_task(service.hash(password)) for password in "abc")
    await asyncio.sleep(0)
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    may_continue.set()

    assert await first == "a"
    assert await service.hash("d") == "d"
    assert computed == ["a", "d"]
