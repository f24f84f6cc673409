"""Writing over REST: every form of body does what it says, what is refused leaves every table as it was.

Who may write what is the same as from Python: the tables of verdicts are asked again through this door.
"""

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from app.core.caller import SYSTEM
from app.db.models import File, Folder, User
from tests.http.test_graphql import ADA, bearer, served
from tests.world import static_token, uid
from tests.writes.editors import checksum
from tests.writes.test_delegation import DELEGATION_CASES
from tests.writes.test_write_permissions_matrix import ALLOWED, WRITE_CASES

VI, ED, SAM, KIT, NOBODY = (uid(name) for name in ("vi", "ed", "sam", "kit", "nobody"))
TOLD = "fields=email,title"
PLAIN = {"content-type": "application/json"}


@pytest_asyncio.fixture(scope="session")
async def client(editors_db):
    async with served(editors_db.settings.model_copy(update={"log_level": "error"})) as client:
        yield client


def token(who):
    return bearer(static_token(who)) if who else {}


def told(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def codes(answer):
    return {error["extensions"]["code"] for error in answer.json()["errors"]}


def by_email(rows):
    return {row["email"].removesuffix("@example.com"): row["title"] for row in rows}


async def titles(system):
    async with system.database.transaction() as connection:
        return {row.email.removesuffix("@example.com"): row.title for row in await connection.execute(select(User))}


async def count(system, model):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(func.count()).select_from(model))


async def test_an_object_makes_one_row_and_a_list_makes_many(client, editors):
    one = await client.post(f"/users?{TOLD}", json={"email": "one@example.com", "title": "One"}, headers=ADA)
    two = [{"email": "two@example.com"}, {"email": "three@example.com", "title": "Three"}]
    many = await client.post(f"/users?{TOLD}", json=two, headers=ADA)
    none = await client.post("/users", json=[], headers=ADA)

    assert told(one) == {"email": "one@example.com", "title": "One"}
    assert told(many) == [
        {"email": "two@example.com", "title": None},
        {"email": "three@example.com", "title": "Three"},
    ]
    assert told(none) == []
    there = await titles(editors)
    assert (there["one"], there["two"], there["three"]) == ("One", None, "Three")


CHANGES = [
    # to where,      with which body,                                              what comes of it
    (f"/{VI}", {"title": "New"}, {"vi": "New"}),
    (f"/{VI}", {}, {"vi": "Viewer"}),
    (f"/{VI}", {"id": VI, "title": "New"}, {"vi": "New"}),
    ("/me", {"title": "New"}, {"ada": "New"}),
    ("", {"keys": [VI, SAM], "data": {"title": "New"}}, {"vi": "New", "sam": "New"}),
    ("", {"keys": [], "data": {"title": "New"}}, {}),
    ("", {"keys": [VI], "query": None, "data": {"title": "New"}}, {"vi": "New"}),
    ("", {"query": {"filter": {"title": {"_eq": "Editor"}}}, "data": {"title": "New"}}, {"ed": "New", "ida": "New"}),
    ("", {"query": {"search": "edelman"}, "data": {"title": "New"}}, {"ed": "New"}),
    ("", {"query": {"sort": ["email"], "limit": 2}, "data": {"title": "New"}}, {"ada": "New", "ann": "New"}),
    ("", {"query": {"filter": {"title": {"_eq": "None such"}}}, "data": {"title": "New"}}, {}),
    ("", [{"id": VI, "title": "A"}, {"id": SAM, "title": "B"}], {"vi": "A", "sam": "B"}),
    ("", [{"id": VI, "title": "A"}, {"id": SAM, "location": "B"}], {"vi": "A", "sam": None}),
    ("", [], {}),
]


@pytest.mark.parametrize(("path", "body", "changed"), CHANGES)
async def test_a_change_changes_what_it_names_and_tells_it(client, editors, path, body, changed):
    before = await titles(editors)
    rows = told(await client.patch(f"/users{path}?{TOLD}", json=body, headers=ADA))

    assert by_email(rows if isinstance(rows, list) else [rows]) == changed
    assert isinstance(rows, dict) is bool(path)
    assert await titles(editors) == before | changed


DELETIONS = [
    (f"/{VI}", {}, {"vi"}),
    ("", {"json": [VI, SAM]}, {"vi", "sam"}),
    ("", {"json": {"keys": [VI, SAM]}}, {"vi", "sam"}),
    ("", {"json": {"query": {"filter": {"title": {"_eq": "Editor"}}}}}, {"ed", "ida"}),
    ("", {"json": {"query": {"filter": {"title": {"_eq": "None such"}}}}}, set()),
    ("", {"json": {"keys": [KIT], "query": None}}, {"kit"}),
    ("", {"json": []}, set()),
]


@pytest.mark.parametrize(("path", "sent", "gone"), DELETIONS)
async def test_a_deletion_takes_away_what_it_names_and_tells_nothing(client, editors, path, sent, gone):
    before = set(await titles(editors))
    answer = await client.request("DELETE", f"/users{path}", headers=ADA, **sent)

    assert (answer.status_code, answer.content) == (204, b"")
    assert set(await titles(editors)) == before - gone


BAD, BAD_QUERY, FORBIDDEN, LOST = "INVALID_PAYLOAD", "INVALID_QUERY", "FORBIDDEN", "ROUTE_NOT_FOUND"
FILTER = {"filter": {"title": {"_eq": "Editor"}}}
DATA = {"title": "New"}

REFUSED = [
    # how,    to where,            with which body,                                       is told
    ("POST", "/users", 1, BAD),
    ("POST", "/users", "x", BAD),
    ("POST", "/users", [1], BAD),
    ("POST", "/users", [[]], BAD),
    ("POST", "/users", [{"email": "x@example.com"}, {"email": "no address"}], "FAILED_VALIDATION"),
    ("POST", "/users", [{"email": "x@example.com"}, {"email": "X@example.com"}], "RECORD_NOT_UNIQUE"),
    ("POST", "/users", {"no_such_field": 1}, FORBIDDEN),
    ("POST", "/users", {"role": NOBODY}, "INVALID_FOREIGN_KEY"),
    ("POST", "/users", {"title": "x" * 51}, "VALUE_TOO_LONG"),
    ("POST", "/users", {"title": "\x00"}, BAD),
    ("POST", "/users?fields=no_such_field", {"email": "x@example.com"}, FORBIDDEN),
    ("POST", "/users?limit=x", {"email": "x@example.com"}, BAD_QUERY),
    ("POST", "/users?fields=%FF", {"email": "x@example.com"}, BAD_QUERY),
    ("POST", "/users?deep={", {"email": "x@example.com"}, BAD_QUERY),
    ("PATCH", f"/users/{VI}", [], BAD),
    ("PATCH", f"/users/{VI}", 1, BAD),
    ("PATCH", f"/users/{VI}", {"id": ED}, BAD),
    ("PATCH", f"/users/{VI}?fields=no_such_field", DATA, FORBIDDEN),
    ("PATCH", f"/users/{NOBODY}", DATA, FORBIDDEN),
    ("PATCH", "/users/x", DATA, FORBIDDEN),
    ("PATCH", "/users", {"keys": [VI], "query": {}, "data": DATA}, BAD),
    ("PATCH", "/users", {"keys": [VI], "query": FILTER, "data": DATA}, BAD),
    ("PATCH", "/users", {"keys": [VI]}, BAD),
    ("PATCH", "/users", {"data": DATA}, BAD),
    ("PATCH", "/users", {"keys": None, "query": None, "data": DATA}, BAD),
    ("PATCH", "/users", {"keys": VI, "data": DATA}, BAD),
    ("PATCH", "/users", {"keys": [VI], "data": 1}, BAD),
    ("PATCH", "/users", {"keys": [VI], "data": None}, BAD),
    ("PATCH", "/users", {"keys": [VI], "data": DATA, "more": 1}, BAD),
    ("PATCH", "/users", {"keys": [{}], "data": DATA}, FORBIDDEN),
    ("PATCH", "/users", {"keys": [VI, NOBODY], "data": DATA}, FORBIDDEN),
    ("PATCH", "/users", {"query": [], "data": DATA}, BAD),
    ("PATCH", "/users", {"query": "x", "data": DATA}, BAD),
    ("PATCH", "/users", {"query": {"filter": 1}, "data": DATA}, BAD_QUERY),
    ("PATCH", "/users", {"query": {"limit": "x"}, "data": DATA}, BAD_QUERY),
    ("PATCH", "/users", {"query": {"filter": {"no_such_field": {"_eq": 1}}}, "data": DATA}, FORBIDDEN),
    ("PATCH", "/users", DATA, BAD),
    ("PATCH", "/users", "x", BAD),
    ("PATCH", "/users", [DATA], BAD),
    ("PATCH", "/users", [1], BAD),
    ("PATCH", "/users", [{"id": VI, "title": "A"}, {"id": NOBODY, "title": "B"}], FORBIDDEN),
    ("DELETE", "/users", {"keys": [VI], "query": {}}, BAD),
    ("DELETE", "/users", {"keys": [VI], "query": FILTER}, BAD),
    ("DELETE", "/users", {}, BAD),
    ("DELETE", "/users", {"keys": VI}, BAD),
    ("DELETE", "/users", {"query": "x"}, BAD),
    ("DELETE", "/users", {"query": {"filter": {"no_such_field": {"_eq": 1}}}}, FORBIDDEN),
    ("DELETE", "/users", {"keys": [VI], "data": DATA}, BAD),
    ("DELETE", "/users", 1, BAD),
    ("DELETE", "/users", [{}], FORBIDDEN),
    ("DELETE", "/users", [VI, "x"], FORBIDDEN),
    ("DELETE", "/users/x", {}, FORBIDDEN),
    ("PATCH", "/settings", [], BAD),
    ("POST", "/settings", {}, LOST),
    ("DELETE", "/settings", {}, LOST),
    ("POST", f"/users/{VI}", DATA, LOST),
    ("POST", "/users/me", DATA, LOST),
    ("PUT", "/users", [], LOST),
    ("POST", "/activity", {"action": "login"}, LOST),
    ("PATCH", "/activity/1", {"action": "login"}, LOST),
    ("DELETE", "/activity", [1], LOST),
    ("POST", "/revisions", {"item": "1"}, LOST),
    ("PATCH", "/revisions", {"keys": [1], "data": {}}, LOST),
    ("DELETE", "/revisions/1", {}, LOST),
]


async def test_what_is_refused_leaves_everything_as_it_was(client, editors_db):
    before = await checksum(editors_db)
    for method, path, body, code in REFUSED:
        answer = await client.request(method, path, json=body, headers=ADA)
        status = {FORBIDDEN: 403, LOST: 404}.get(code, 400)
        assert (answer.status_code, codes(answer)) == (status, {code}), (method, path, body)
        assert "Traceback" not in answer.text
    assert await checksum(editors_db) == before


BODIES = [
    (b"", PLAIN),
    (b"{", PLAIN),
    (b"[" * 5000, PLAIN),
    (b"{'title': 'New'}", PLAIN),
    (b'{"title": NaN}', PLAIN),
    (b'{"title": "\xff"}', PLAIN),
    (b'{"title": "\\ud800"}', PLAIN),
    (b'{"title": "New"}', {}),
    (b'{"title": "New"}', {"content-type": "text/plain"}),
    (b'{"title": "New"}', {"content-type": ""}),
    (b"title=New", {"content-type": "application/x-www-form-urlencoded"}),
    (b"--x--\r\n", {"content-type": "multipart/form-data; boundary=x"}),
    (b'"' + b"x" * 1024**2 + b'"', PLAIN),
]


async def test_a_body_that_can_not_be_read_is_told_so(client, editors_db):
    before = await checksum(editors_db)
    places = (("POST", ""), ("PATCH", ""), ("PATCH", f"/{VI}"), ("PATCH", "/me"), ("DELETE", ""))
    for method, path in places:
        for content, headers in BODIES:
            answer = await client.request(method, f"/users{path}", content=content, headers=ADA | headers)
            assert (answer.status_code, codes(answer)) == (400, {BAD}), (method, path, content[:40], headers)
    assert await checksum(editors_db) == before


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_a_body_says_that_it_is_json(client, editors, kind):
    answer = await client.patch(f"/users/{VI}", content=b'{"title": "New"}', headers=ADA | {"content-type": kind})

    assert told(answer)["title"] == "New"


@pytest.mark.parametrize(
    ("query", "shape"),
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
async def test_fields_say_what_is_told_of_what_was_written(client, editors, query, shape):
    one = await client.patch(f"/users/{VI}?{query}", json=DATA, headers=ADA)
    many = await client.patch(f"/users?{query}", json={"keys": [VI], "data": DATA}, headers=ADA)

    assert told(one) == shape
    assert told(many) == [shape]


async def test_who_writes_is_told_what_they_may_see(client, editors):
    made = told(await client.post("/users", json={"email": "new@example.com"}, headers=token("wes")))
    before = await checksum(editors)
    hidden = await client.post("/users?fields=location", json={"email": "n2@example.com"}, headers=token("wes"))

    assert set(made) == {"id", "email", "first_name", "title", "status", "role", "description"}
    assert (made["title"], made["role"]) == ("New here", uid("role-Writer"))
    assert (hidden.status_code, codes(hidden)) == (403, {FORBIDDEN})
    assert await checksum(editors) == before


async def test_who_may_read_nothing_is_told_nothing(client, editors):
    await editors.directory(SYSTEM)["permissions"].delete_one(111)
    one = await client.patch(f"/users/{VI}", json={"token": "made-by-pat"}, headers=token("pat"))
    changes = [
        {"keys": [VI], "data": {"token": "made-by-pat-2"}},
        [{"id": VI, "token": "made-by-pat-3"}],
        {"query": {"filter": {}}, "data": {"token": None}},
    ]
    many = [await client.patch("/users", json=body, headers=token("pat")) for body in changes]

    assert [(answer.status_code, answer.content) for answer in (one, *many[:2])] == [(204, b"")] * 3
    assert (many[2].status_code, codes(many[2])) == (403, {FORBIDDEN})
    assert (await client.get("/users/me", headers=bearer("made-by-pat-3"))).json()["data"]["id"] == VI


@pytest.mark.parametrize(("who", "status"), [("ada", 200), ("wes", 200), ("vi", 403), ("nora", 403), (None, 401)])
async def test_people_change_themselves_as_far_as_they_may(client, editors, who, status):
    before = await titles(editors)
    answer = await client.patch("/users/me", json=DATA, headers=token(who))

    assert answer.status_code == status
    assert await titles(editors) == before | ({who: "New"} if status == 200 else {})


@pytest.mark.parametrize("page", ["/users", "", None])
async def test_everybody_may_say_where_they_are(client, editors, page):
    for who in ("vi", "nora"):
        answer = await client.patch("/users/me/track/page", json={"last_page": page}, headers=token(who))
        assert (answer.status_code, answer.content, "content-type" in answer.headers) == (200, b"", False)
    async with editors.database.transaction() as connection:
        pages = {key: page for key, page in await connection.execute(select(User.id, User.last_page))}  # noqa: C416
    assert (pages[VI], pages[uid("nora")], pages[ED]) == (page, page, None)


async def test_a_page_is_a_text_of_somebodys(client, editors_db):
    before = await checksum(editors_db)
    pages: list[object] = [{}, "\x00", "x" * 256]
    for body in ({}, [], *({"last_page": page} for page in pages)):
        answer = await client.patch("/users/me/track/page", json=body, headers=token("vi"))
        assert answer.status_code == 400, body
    for who in (None, "sue"):
        answer = await client.patch("/users/me/track/page", json={"last_page": "/users"}, headers=token(who))
        assert answer.status_code == 401
    assert await checksum(editors_db) == before


async def test_the_settings_are_one_row_that_is_changed(client, editors):
    for name in ("One", "Two"):
        answer = await client.patch("/settings?fields=project_name", json={"project_name": name}, headers=ADA)
        assert told(answer) == {"project_name": name}
    before = await checksum(editors)
    refused = [await client.patch("/settings", json={"project_name": "X"}, headers=token(who)) for who in ("wes", None)]

    assert told(await client.get("/settings?fields=project_name", headers=ADA)) == {"project_name": "Two"}
    assert [answer.status_code for answer in refused] == [403, 403]
    assert await checksum(editors) == before


async def test_files_and_folders_are_rows_like_others(client, editors):
    folder = told(await client.post("/folders", json={"name": "Papers"}, headers=ADA))
    paper = {"title": "Paper", "storage": "local", "filename_download": "paper.txt", "folder": folder["id"]}
    file = told(await client.post("/files?fields=title,uploaded_by,folder.name", json=paper, headers=ADA))

    assert folder["name"] == "Papers"
    assert file == {"title": "Paper", "uploaded_by": uid("ada"), "folder": {"name": "Papers"}}
    assert (await count(editors, File), await count(editors, Folder)) == (1, 1)


async def over_rest(client, who, collection, action, key, values):
    method = {"create": "POST", "update": "PATCH", "delete": "DELETE"}[action]
    path = f"/{collection}" if action == "create" else f"/{collection}/{key}"
    sent = {} if action == "delete" else {"json": values}
    return await client.request(method, path, headers=token(who), **sent)


async def test_everybody_is_refused_over_rest_what_they_are_from_python(client, editors_db):
    before = await checksum(editors_db)
    for who, action, whom, values, verdict in WRITE_CASES:
        if verdict is not ALLOWED:
            answer = await over_rest(client, who, "users", action, whom and uid(whom), values)
            assert codes(answer) == {verdict}, (who, action, whom, values)
    assert await checksum(editors_db) == before


async def test_nobody_hands_out_more_over_rest_than_from_python(client, editors_db):
    before = await checksum(editors_db)
    for collection, (action, *key, values), verdict in DELEGATION_CASES:
        if verdict is not ALLOWED:
            named = uid(key[0]) if key and isinstance(key[0], str) else key and key[0]
            answer = await over_rest(client, "rita", collection, action, named, values)
            assert codes(answer) == {verdict}, (collection, action, key, values)
    assert await checksum(editors_db) == before


async def test_strangers_write_nothing(client, editors_db):
    before = await checksum(editors_db)
    for name in ("users", "roles", "policies", "access", "permissions", "files", "folders"):
        asked: list[tuple[str, str, object]] = [
            ("POST", "", {}),
            ("POST", "", [{}]),
            ("PATCH", f"/{VI}", {}),
            ("PATCH", "", {"keys": [VI], "data": {}}),
            ("PATCH", "", {"query": {}, "data": {}}),
            ("DELETE", f"/{VI}", {}),
            ("DELETE", "", [VI]),
            ("DELETE", "", {"query": {}}),
        ]
        for method, path, body in asked:
            answer = await client.request(method, f"/{name}{path}", json=body)
            assert (answer.status_code, codes(answer)) == (403, {FORBIDDEN}), (method, name, path, body)
    assert await checksum(editors_db) == before
