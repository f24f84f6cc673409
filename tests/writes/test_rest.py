"""Writes over REST: every form of body, its response, and rejected writes that leave every table unchanged.

Permissions are the same as from Python: the matrices of write permissions and of delegation are repeated over REST.
"""

import pytest
from sqlalchemy import func, select

from app.core.caller import SYSTEM
from app.db.models import File, Folder, User
from tests.base_data import static_token, uid
from tests.http.test_graphql import ADA, bearer
from tests.writes.editors import checksum
from tests.writes.test_delegation import DELEGATION_CASES
from tests.writes.test_write_permissions_matrix import ALLOWED, WRITE_CASES

pytestmark = pytest.mark.one_database

VI, NORA, ED, SAM, KIT, UNKNOWN_ID = (uid(name) for name in ("vi", "nora", "ed", "sam", "kit", "nobody"))
RESPONSE_FIELDS = "fields=email,title"
JSON = {"content-type": "application/json"}


def auth_headers(user):
    return bearer(static_token(user)) if user else {}


def response_data(response):
    assert response.status_code == 200, response.text
    return response.json()["data"]


def error_codes(response):
    return {error["extensions"]["code"] for error in response.json()["errors"]}


def titles_by_email(rows):
    return {row["email"].removesuffix("@example.com"): row["title"] for row in rows}


async def stored_titles(system):
    async with system.database.transaction() as connection:
        return {row.email.removesuffix("@example.com"): row.title for row in await connection.execute(select(User))}


async def count(system, model):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(model))


async def test_an_object_creates_one_row_and_a_list_creates_many(client, editors):
    one = await client.post(f"/users?{RESPONSE_FIELDS}", json={"email": "one@example.com", "title": "One"}, headers=ADA)
    two = [{"email": "two@example.com"}, {"email": "three@example.com", "title": "Three"}]
    many = await client.post(f"/users?{RESPONSE_FIELDS}", json=two, headers=ADA)
    none = await client.post("/users", json=[], headers=ADA)

    assert response_data(one) == {"email": "one@example.com", "title": "One"}
    assert response_data(many) == [
        {"email": "two@example.com", "title": None},
        {"email": "three@example.com", "title": "Three"},
    ]
    assert response_data(none) == []
    titles = await stored_titles(editors)
    assert (titles["one"], titles["two"], titles["three"]) == ("One", None, "Three")


UPDATES = [
    # path below /users, body, new titles
    (f"/{VI}", {"title": "New"}, {"vi": "New"}),
    (f"/{VI}", {}, {"vi": "Viewer"}),
    (f"/{VI}", {"id": VI, "title": "New"}, {"vi": "New"}),
    ("/me", {"title": "New"}, {"ada": "New"}),
    ("", {"keys": [VI, SAM], "data": {"title": "New"}}, {"vi": "New", "sam": "New"}),
    ("", {"keys": [], "data": {"title": "New"}}, {}),
    ("", {"keys": [VI], "query": None, "data": {"title": "New"}}, {"vi": "New"}),
    ("", {"query": {"filter": {"title": {"_eq": "Editor"}}}, "data": {"title": "New"}}, {"ed": "New", "ida": "New"}),
    ("", {"query": {"search": "edelman"}, "data": {"title": "New"}}, {"ed": "New"}),
    ("", {"query": {"filter": '{"title": {"_eq": "Viewer"}}'}, "data": {"title": "New"}}, {"vi": "New"}),
    ("", {"query": {"sort": ["email"], "limit": 2}, "data": {"title": "New"}}, {"ada": "New", "ann": "New"}),
    ("", {"query": {"filter": {"title": {"_eq": "None such"}}}, "data": {"title": "New"}}, {}),
    ("", [{"id": VI, "title": "A"}, {"id": SAM, "title": "B"}], {"vi": "A", "sam": "B"}),
    ("", [{"id": VI, "title": "A"}, {"id": SAM, "location": "B"}], {"vi": "A", "sam": None}),
    ("", [], {}),
]


@pytest.mark.parametrize(("path", "body", "changed"), UPDATES)
async def test_an_update_changes_the_named_rows_and_returns_them(client, editors, path, body, changed):
    before = await stored_titles(editors)
    rows = response_data(await client.patch(f"/users{path}?{RESPONSE_FIELDS}", json=body, headers=ADA))

    assert titles_by_email(rows if isinstance(rows, list) else [rows]) == changed
    assert isinstance(rows, dict) is bool(path)
    assert await stored_titles(editors) == before | changed


DELETIONS = [
    (f"/{VI}", {}, {"vi"}),
    ("", {"json": [VI, SAM]}, {"vi", "sam"}),
    ("", {"json": {"keys": [VI, SAM]}}, {"vi", "sam"}),
    ("", {"json": {"query": {"filter": {"title": {"_eq": "Editor"}}}}}, {"ed", "ida"}),
    ("", {"json": {"query": {"filter": {"title": {"_eq": "None such"}}}}}, set()),
    ("", {"json": {"query": {"filter": '{"title": {"_eq": "Viewer"}}'}}}, {"vi"}),
    ("", {"json": {"keys": [KIT], "query": None}}, {"kit"}),
    ("", {"json": []}, set()),
]


@pytest.mark.parametrize(("path", "options", "deleted"), DELETIONS)
async def test_a_deletion_deletes_the_named_rows_and_returns_nothing(client, editors, path, options, deleted):
    before = set(await stored_titles(editors))
    response = await client.request("DELETE", f"/users{path}", headers=ADA, **options)

    assert (response.status_code, response.content) == (204, b"")
    assert set(await stored_titles(editors)) == before - deleted


INVALID_PAYLOAD, INVALID_QUERY = "INVALID_PAYLOAD", "INVALID_QUERY"
FORBIDDEN, ROUTE_NOT_FOUND = "FORBIDDEN", "ROUTE_NOT_FOUND"
FILTER = {"filter": {"title": {"_eq": "Editor"}}}
DATA = {"title": "New"}

REJECTED_REQUESTS = [
    # method, path, body, error code
    ("POST", "/users", 1, INVALID_PAYLOAD),
    ("POST", "/users", "x", INVALID_PAYLOAD),
    ("POST", "/users", [1], INVALID_PAYLOAD),
    ("POST", "/users", [[]], INVALID_PAYLOAD),
    ("POST", "/users", [{"email": "x@example.com"}, {"email": "no address"}], "FAILED_VALIDATION"),
    ("POST", "/users", [{"email": "x@example.com"}, {"email": "X@example.com"}], "RECORD_NOT_UNIQUE"),
    ("POST", "/users", {"no_such_field": 1}, FORBIDDEN),
    ("POST", "/users", {"role": UNKNOWN_ID}, "INVALID_FOREIGN_KEY"),
    ("POST", "/users", {"title": "x" * 51}, "VALUE_TOO_LONG"),
    ("POST", "/users", {"title": "\x00"}, INVALID_PAYLOAD),
    ("POST", "/users?fields=no_such_field", {"email": "x@example.com"}, FORBIDDEN),
    ("POST", "/users?limit=x", {"email": "x@example.com"}, INVALID_QUERY),
    ("POST", "/users?fields=%FF", {"email": "x@example.com"}, INVALID_QUERY),
    ("POST", "/users?deep={", {"email": "x@example.com"}, INVALID_QUERY),
    ("PATCH", f"/users/{VI}", [], INVALID_PAYLOAD),
    ("PATCH", f"/users/{VI}", 1, INVALID_PAYLOAD),
    ("PATCH", f"/users/{VI}", {"id": ED}, INVALID_PAYLOAD),
    ("PATCH", f"/users/{VI}?fields=no_such_field", DATA, FORBIDDEN),
    ("PATCH", f"/users/{UNKNOWN_ID}", DATA, FORBIDDEN),
    ("PATCH", "/users/x", DATA, FORBIDDEN),
    ("PATCH", "/users", {"keys": [VI], "query": {}, "data": DATA}, INVALID_PAYLOAD),
    ("PATCH", "/users", {"keys": [VI], "query": FILTER, "data": DATA}, INVALID_PAYLOAD),
    ("PATCH", "/users", {"keys": [VI]}, INVALID_PAYLOAD),
    ("PATCH", "/users", {"data": DATA}, INVALID_PAYLOAD),
    ("PATCH", "/users", {"keys": None, "query": None, "data": DATA}, INVALID_PAYLOAD),
    ("PATCH", "/users", {"keys": VI, "data": DATA}, INVALID_PAYLOAD),
    ("PATCH", "/users", {"keys": [VI], "data": 1}, INVALID_PAYLOAD),
    ("PATCH", "/users", {"keys": [VI], "data": None}, INVALID_PAYLOAD),
    ("PATCH", "/users", {"keys": [VI], "data": DATA, "more": 1}, INVALID_PAYLOAD),
    ("PATCH", "/users", {"keys": [{}], "data": DATA}, FORBIDDEN),
    ("PATCH", "/users", {"keys": [VI, UNKNOWN_ID], "data": DATA}, FORBIDDEN),
    ("PATCH", "/users", {"query": [], "data": DATA}, INVALID_PAYLOAD),
    ("PATCH", "/users", {"query": "x", "data": DATA}, INVALID_PAYLOAD),
    ("PATCH", "/users", {"query": {"filter": 1}, "data": DATA}, INVALID_QUERY),
    ("PATCH", "/users", {"query": {"filter": "{"}, "data": DATA}, INVALID_QUERY),
    ("PATCH", "/users", {"query": {"limit": "x"}, "data": DATA}, INVALID_QUERY),
    ("PATCH", "/users", {"query": {"filter": {"no_such_field": {"_eq": 1}}}, "data": DATA}, FORBIDDEN),
    ("PATCH", "/users", DATA, INVALID_PAYLOAD),
    ("PATCH", "/users", "x", INVALID_PAYLOAD),
    ("PATCH", "/users", [DATA], INVALID_PAYLOAD),
    ("PATCH", "/users", [1], INVALID_PAYLOAD),
    ("PATCH", "/users", [{"id": VI, "title": "A"}, {"id": UNKNOWN_ID, "title": "B"}], FORBIDDEN),
    ("DELETE", "/users", {"keys": [VI], "query": {}}, INVALID_PAYLOAD),
    ("DELETE", "/users", {"keys": [VI], "query": FILTER}, INVALID_PAYLOAD),
    ("DELETE", "/users", {}, INVALID_PAYLOAD),
    ("DELETE", "/users", {"keys": VI}, INVALID_PAYLOAD),
    ("DELETE", "/users", {"query": "x"}, INVALID_PAYLOAD),
    ("DELETE", "/users", {"query": {"filter": {"no_such_field": {"_eq": 1}}}}, FORBIDDEN),
    ("DELETE", "/users", {"keys": [VI], "data": DATA}, INVALID_PAYLOAD),
    ("DELETE", "/users", 1, INVALID_PAYLOAD),
    ("DELETE", "/users", [{}], FORBIDDEN),
    ("DELETE", "/users", [VI, "x"], FORBIDDEN),
    ("DELETE", "/users/x", {}, FORBIDDEN),
    ("PATCH", "/settings", [], INVALID_PAYLOAD),
    ("POST", "/settings", {}, ROUTE_NOT_FOUND),
    ("DELETE", "/settings", {}, ROUTE_NOT_FOUND),
    ("POST", f"/users/{VI}", DATA, ROUTE_NOT_FOUND),
    ("POST", "/users/me", DATA, ROUTE_NOT_FOUND),
    ("PUT", "/users", [], ROUTE_NOT_FOUND),
    ("POST", "/activity", {"action": "login"}, ROUTE_NOT_FOUND),
    ("PATCH", "/activity/1", {"action": "login"}, ROUTE_NOT_FOUND),
    ("DELETE", "/activity", [1], ROUTE_NOT_FOUND),
    ("POST", "/revisions", {"item": "1"}, ROUTE_NOT_FOUND),
    ("PATCH", "/revisions", {"keys": [1], "data": {}}, ROUTE_NOT_FOUND),
    ("DELETE", "/revisions/1", {}, ROUTE_NOT_FOUND),
]


async def test_a_rejected_write_leaves_every_table_unchanged(client, editors_db):
    before = await checksum(editors_db)
    for method, path, body, code in REJECTED_REQUESTS:
        response = await client.request(method, path, json=body, headers=ADA)
        status = {FORBIDDEN: 403, ROUTE_NOT_FOUND: 404}.get(code, 400)
        assert (response.status_code, error_codes(response)) == (status, {code}), (method, path, body)
        assert "Traceback" not in response.text
    assert await checksum(editors_db) == before


UNREADABLE_BODIES = [
    (b"", JSON),
    (b"{", JSON),
    (b"[" * 5000, JSON),
    (b"{'title': 'New'}", JSON),
    (b'{"title": NaN}', JSON),
    (b'{"title": "\xff"}', JSON),
    (b'{"title": "\\ud800"}', JSON),
    (b'{"title": "New"}', {}),
    (b'{"title": "New"}', {"content-type": "text/plain"}),
    (b'{"title": "New"}', {"content-type": ""}),
    (b"title=New", {"content-type": "application/x-www-form-urlencoded"}),
    (b"--x--\r\n", {"content-type": "multipart/form-data; boundary=x"}),
    (b'"' + b"x" * 1024**2 + b'"', JSON),
]


async def test_an_unreadable_body_is_an_invalid_payload(client, editors_db):
    before = await checksum(editors_db)
    endpoints = (("POST", ""), ("PATCH", ""), ("PATCH", f"/{VI}"), ("PATCH", "/me"), ("DELETE", ""))
    for method, path in endpoints:
        for content, headers in UNREADABLE_BODIES:
            response = await client.request(method, f"/users{path}", content=content, headers=ADA | headers)
            assert (response.status_code, error_codes(response)) == (400, {INVALID_PAYLOAD}), (
                method,
                path,
                content[:40],
                headers,
            )
    assert await checksum(editors_db) == before


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_content_types_are_accepted(client, editors, content_type):
    response = await client.patch(
        f"/users/{VI}", content=b'{"title": "New"}', headers=ADA | {"content-type": content_type}
    )

    assert response_data(response)["title"] == "New"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("fields=email", {"email": "vi@example.com"}),
        ("fields[]=email&fields[]=title", {"email": "vi@example.com", "title": "New"}),
        ("fields=role.name", {"role": {"name": "Viewer"}}),
        ("fields=role.users.email&deep[role][users][_limit]=1", {"role": {"users": [{"email": "vi@example.com"}]}}),
        ("fields=x.name&alias[x]=role", {"x": {"name": "Viewer"}}),
        ("fields=token", {"token": "**********"}),
        ("fields=title&filter[title][_eq]=Another&page=9", {"title": "New"}),
    ],
)
async def test_fields_select_the_response_of_a_write(client, editors, query, expected):
    one = await client.patch(f"/users/{VI}?{query}", json=DATA, headers=ADA)
    many = await client.patch(f"/users?{query}", json={"keys": [VI], "data": DATA}, headers=ADA)

    assert response_data(one) == expected
    assert response_data(many) == [expected]


async def test_a_write_returns_only_what_its_caller_may_read(client, editors):
    created = response_data(await client.post("/users", json={"email": "new@example.com"}, headers=auth_headers("wes")))
    before = await checksum(editors)
    rejected = await client.post(
        "/users?fields=location", json={"email": "n2@example.com"}, headers=auth_headers("wes")
    )

    assert set(created) == {"id", "email", "first_name", "title", "status", "role", "description"}
    assert (created["title"], created["role"]) == ("New here", uid("role-Writer"))
    assert (rejected.status_code, error_codes(rejected)) == (403, {FORBIDDEN})
    assert await checksum(editors) == before


async def test_a_write_by_a_caller_without_read_permission_returns_nothing(client, editors):
    await editors.directory(SYSTEM)["permissions"].delete_one(111)
    one = await client.patch(f"/users/{NORA}", json={"token": "made-by-pat"}, headers=auth_headers("pat"))
    updates = [
        {"keys": [NORA], "data": {"token": "made-by-pat-2"}},
        [{"id": NORA, "token": "made-by-pat-3"}],
        {"query": {"filter": {}}, "data": {"token": None}},
    ]
    many = [await client.patch("/users", json=body, headers=auth_headers("pat")) for body in updates]

    assert [(response.status_code, response.content) for response in (one, *many[:2])] == [(204, b"")] * 3
    assert (many[2].status_code, error_codes(many[2])) == (403, {FORBIDDEN})
    assert (await client.get("/users/me", headers=bearer("made-by-pat-3"))).json()["data"]["id"] == NORA


@pytest.mark.parametrize(("user", "status"), [("ada", 200), ("wes", 200), ("vi", 403), ("nora", 403), (None, 401)])
async def test_users_update_themselves_as_far_as_permitted(client, editors, user, status):
    before = await stored_titles(editors)
    response = await client.patch("/users/me", json=DATA, headers=auth_headers(user))

    assert response.status_code == status
    assert await stored_titles(editors) == before | ({user: "New"} if status == 200 else {})


@pytest.mark.parametrize("page", ["/users", "", None])
async def test_every_user_may_track_their_last_page(client, editors, page):
    for user in ("vi", "nora"):
        response = await client.patch("/users/me/track/page", json={"last_page": page}, headers=auth_headers(user))
        assert (response.status_code, response.content, "content-type" in response.headers) == (204, b"", False)
    async with editors.database.transaction() as connection:
        pages = {key: page for key, page in await connection.execute(select(User.id, User.last_page))}  # noqa: C416
    assert (pages[VI], pages[uid("nora")], pages[ED]) == (page, page, None)


async def test_a_tracked_page_must_be_a_text_and_its_user_active(client, editors_db):
    before = await checksum(editors_db)
    pages: list[object] = [{}, "\x00", "x" * 256]
    for body in ({}, [], *({"last_page": page} for page in pages)):
        response = await client.patch("/users/me/track/page", json=body, headers=auth_headers("vi"))
        assert response.status_code == 400, body
    for user in (None, "sue"):
        response = await client.patch("/users/me/track/page", json={"last_page": "/users"}, headers=auth_headers(user))
        assert response.status_code == 401
    assert await checksum(editors_db) == before


async def test_the_settings_are_a_single_row(client, editors):
    for name in ("One", "Two"):
        response = await client.patch("/settings?fields=project_name", json={"project_name": name}, headers=ADA)
        assert response_data(response) == {"project_name": name}
    before = await checksum(editors)
    rejected = [
        await client.patch("/settings", json={"project_name": "X"}, headers=auth_headers(user))
        for user in ("wes", None)
    ]

    assert response_data(await client.get("/settings?fields=project_name", headers=ADA)) == {"project_name": "Two"}
    assert [response.status_code for response in rejected] == [403, 403]
    assert await checksum(editors) == before


async def test_files_and_folders_are_written_like_other_rows(client, editors):
    folder = response_data(await client.post("/folders", json={"name": "Papers"}, headers=ADA))
    paper = {"title": "Paper", "storage": "local", "filename_download": "paper.txt", "folder": folder["id"]}
    file = response_data(await client.post("/files?fields=title,uploaded_by,folder.name", json=paper, headers=ADA))

    assert folder["name"] == "Papers"
    assert file == {"title": "Paper", "uploaded_by": uid("ada"), "folder": {"name": "Papers"}}
    assert (await count(editors, File), await count(editors, Folder)) == (1, 1)


async def send_write(client, user, collection, action, key, values):
    method = {"create": "POST", "update": "PATCH", "delete": "DELETE"}[action]
    path = f"/{collection}" if action == "create" else f"/{collection}/{key}"
    options = {} if action == "delete" else {"json": values}
    return await client.request(method, path, headers=auth_headers(user), **options)


async def test_rest_rejects_the_same_writes_as_python(client, editors_db):
    before = await checksum(editors_db)
    for user, action, target, values, expected in WRITE_CASES:
        if expected is not ALLOWED:
            response = await send_write(client, user, "users", action, target and uid(target), values)
            assert error_codes(response) == {expected}, (user, action, target, values)
    assert await checksum(editors_db) == before


@pytest.mark.both_databases
async def test_rest_rejects_the_same_delegations_as_python(client, editors_db):
    before = await checksum(editors_db)
    for collection, (action, *key, values), expected in DELEGATION_CASES:
        if expected is not ALLOWED:
            id_ = uid(key[0]) if key and isinstance(key[0], str) else key and key[0]
            response = await send_write(client, "rita", collection, action, id_, values)
            assert error_codes(response) == {expected}, (collection, action, key, values)
    assert await checksum(editors_db) == before


async def test_anonymous_callers_write_nothing(client, editors_db):
    before = await checksum(editors_db)
    for name in ("users", "roles", "policies", "access", "permissions", "files", "folders"):
        requests: list[tuple[str, str, object]] = [
            ("POST", "", {}),
            ("POST", "", [{}]),
            ("PATCH", f"/{VI}", {}),
            ("PATCH", "", {"keys": [VI], "data": {}}),
            ("PATCH", "", {"query": {}, "data": {}}),
            ("DELETE", f"/{VI}", {}),
            ("DELETE", "", [VI]),
            ("DELETE", "", {"query": {}}),
        ]
        for method, path, body in requests:
            response = await client.request(method, f"/{name}{path}", json=body)
            assert (response.status_code, error_codes(response)) == (403, {FORBIDDEN}), (method, name, path, body)
    assert await checksum(editors_db) == before
