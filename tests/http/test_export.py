"""Exports: the content of the files, who gets which rows, and streams that are aborted."""

import asyncio
import csv
import io
import re
from contextlib import asynccontextmanager
from urllib.parse import quote
from xml.etree import ElementTree as ET

import httpx
import pytest
import yaml
from httpx import ASGITransport, AsyncClient
from sqlalchemy import delete, insert, update
from starlette.routing import Router

from app.core.caller import SYSTEM
from app.core.errors import Forbidden, InvalidCredentials, ServiceUnavailable
from app.db.models import User
from app.http.middleware import HTTPMiddleware
from app.http.response import Response
from app.main import create_app
from app.repositories.engine.batches import BATCH_SIZE, KeysetReader
from tests.base_data import caller, static_token, uid
from tests.http.test_graphql import ADA, bearer, served
from tests.http.test_parsing import encode_json
from tests.in_process import in_process_server
from tests.test_revocation import INVALIDATIONS, REVOCATIONS, write

USERS_QUERY = "/users?sort=email&limit=3&fields=email,title,tags,role.name,role.parent.name"
TEXTS = [
    *("plain", "yes", "Null", "~", "1e5", "0x1F", "2024-01-15", "12:30:45", "- a", "# b", "a: b", "a #b", "*a", "&a"),
    *("!a", "%a", "[a", "{a", "a,b", '"quoted"', "it's", " lead", "trail ", "two\nlines", "tab\there", "cr\rhere"),
    *("Čeněk", "\U0001f600", "<a>&amp;]]>", "nel\x85", "ls\u2028", "bom\ufeff", "del\x7f", "back\\slash"),
    *("?", ":", "|", ">", "<<", "="),
]
"""First names that some parsers take for something else."""
INVALID_IN_XML = "bell\x07 and \x1b"


@pytest.fixture
def writable_db(restored_db):
    """The database of `restored_db`: no test here changes tables."""
    return restored_db


@pytest.fixture(scope="module")
async def client(readonly_db):
    async with served(readonly_db.settings) as client:
        yield client


async def export(client, path, user="ada"):
    return await client.get(path, headers=bearer(static_token(user)) if user else {})


async def test_csv_has_a_header_and_a_column_for_each_related_field(client):
    csv_text = (await export(client, f"{USERS_QUERY}&export=csv")).text

    assert csv_text.splitlines() == [
        '"email","title","tags","role.name","role.parent.name"',
        '"ada@example.com","Director","[""a"",""b""]","Administrator",',
        '"ann@example.com",,,"App",',
        '"ed@example.com","Editor",,"Editor","Staff"',
    ]
    assert (await export(client, f"{USERS_QUERY}&export=csv_utf8")).text == f"\ufeff{csv_text}"


async def test_xml_and_yaml_nest_related_rows(client):
    path = "/users?filter[email][_starts_with]=a&sort=email&fields=email,tags,theme_light_overrides,role.name"
    xml_text, yaml_text = [(await export(client, f"{path}&export={name}")).text for name in ("xml", "yaml")]

    assert xml_text == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<data>\n'
        "    <data>\n        <email>ada@example.com</email>\n        <tags>a</tags>\n        <tags>b</tags>\n"
        "        <theme_light_overrides/>\n        <role>\n            <name>Administrator</name>\n        </role>\n"
        "    </data>\n"
        "    <data>\n        <email>ann@example.com</email>\n        <tags/>\n        <theme_light_overrides>\n"
        "            <a>1</a>\n            <b>\n                <c>2</c>\n            </b>\n"
        "        </theme_light_overrides>\n        <role>\n            <name>App</name>\n        </role>\n"
        "    </data>\n</data>\n"
    )
    assert yaml_text == (
        "- email: ada@example.com\n  tags:\n    - a\n    - b\n  theme_light_overrides: null\n"
        "  role:\n    name: Administrator\n"
        "- email: ann@example.com\n  tags: null\n  theme_light_overrides:\n    a: 1\n    b:\n      c: 2\n"
        "  role:\n    name: App\n"
    )


EMPTY_FILES = {
    "csv": "",
    "csv_utf8": "\ufeff",
    "json": "[]",
    "xml": '<?xml version="1.0" encoding="UTF-8"?>\n<data/>\n',
    "yaml": "[]\n",
}


@pytest.mark.parametrize("format_", EMPTY_FILES)
async def test_an_export_without_rows_is_a_valid_file(client, format_):
    path = f"/users?filter[email][_eq]=x@y.z&export={format_}"
    rows = await export(client, path)
    groups = await export(client, f"{path}&aggregate[count]=id&groupBy=status")

    assert (rows.status_code, rows.text) == (200, EMPTY_FILES[format_])
    assert groups.text == EMPTY_FILES[format_]


MEDIA_TYPES = {
    "csv": "text/csv",
    "csv_utf8": "text/csv",
    "json": "application/json",
    "xml": "text/xml",
    "yaml": "text/yaml",
}


@pytest.mark.parametrize("format_", MEDIA_TYPES)
async def test_an_export_has_a_name_and_a_type_and_may_not_be_stored(client, format_):
    file = await export(client, f"/roles?export={format_}")
    disposition = rf'attachment; filename="directus_roles \d{{8}}-\d{{6}}\.{format_.partition("_")[0]}"'

    assert re.fullmatch(disposition, file.headers["content-disposition"])
    assert file.headers["content-type"] == f"{MEDIA_TYPES[format_]}; charset=utf-8"
    assert file.headers["cache-control"] == "no-store"
    assert "content-length" not in file.headers


async def add_users(system, *users):
    rows = [{"id": uid(user["email"]), "status": "active", "provider": "default", **user} for user in users]
    async with system.database.transaction() as connection:
        await connection.execute(insert(User), rows)


QUERIES = [
    "fields=*",
    "fields=*.*&limit=2",
    "fields=id,email,role.*&sort=-email&offset=1&limit=4",
    "fields=email&alias[them]=email&fields=them&search=a",
    'fields=name,users.email&deep={"users":{"_limit":1,"_sort":"email"}}&meta=*',
    "fields=first_name&page=2&limit=3",
    "aggregate[count]=*&groupBy=role&limit=2",
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("user", ["ada", "ed", "vi", "sam", "ann", "nora", None])
@pytest.mark.parametrize("path", ["/users", "/roles"])
async def test_an_export_contains_the_rows_of_the_same_query(client, path, user, query):
    plain = await export(client, f"{path}?{query}", user)
    file = await export(client, f"{path}?{query}&export=json", user)

    assert file.status_code == plain.status_code
    assert file.json() == (plain.json()["data"] if plain.status_code == 200 else plain.json())


@pytest.mark.both_databases
async def test_a_caller_who_may_not_read_the_key_gets_rows_without_it(writable_db):
    await write(writable_db, "UPDATE directus_permissions SET fields = 'email' WHERE id = 3")
    await write(writable_db, f"DELETE FROM directus_access WHERE policy = '{uid('policy-Staff')}'")
    async with served(writable_db.settings) as client:
        file = await export(client, "/users?sort=email&export=csv", "ed")

    assert file.text.splitlines()[:3] == ['"email"', '"ada@example.com"', '"ann@example.com"']
    assert uid("ada") not in file.text


async def test_search_exports_the_query_of_its_body(client):
    by_query = {"query": {"export": "csv", "fields": ["email"], "sort": ["email"], "limit": 1}}
    by_key = {"query": {"export": "csv", "fields": ["email"]}, "keys": [uid("vi")]}

    files = [await client.request("SEARCH", "/users", json=body, headers=ADA) for body in (by_query, by_key)]
    assert [file.text for file in files] == ['"email"\n"ada@example.com"', '"email"\n"vi@example.com"']


async def test_a_singleton_is_exported_as_one_row(writable_db):
    await writable_db.directory(SYSTEM)["settings"].upsert_singleton({"project_name": "Files"})
    async with served(writable_db.settings) as client:
        file = await export(client, "/settings?fields=project_name&export=csv")

    assert file.text == '"project_name"\n"Files"'


async def test_head_returns_the_headers_of_the_file_only(client):
    response = await client.head("/users?export=csv", headers=ADA)

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"


INVALID_QUERIES = {
    "export=pdf": (400, 'Invalid query. "export" must be one of [csv, csv_utf8, json, xml, yaml].'),
    "export[]=csv&export[]=xml": (400, 'Invalid query. "export" must be one of [csv, csv_utf8, json, xml, yaml].'),
    "export=csv&fields=nothing": (403, None),
    "export=csv&limit=-2": (400, None),
    'export=csv&filter={"id":{"_eq":"x"}}': (400, None),
}


@pytest.mark.parametrize("query", INVALID_QUERIES)
async def test_an_invalid_export_is_an_error_and_no_file(client, query):
    status, message = INVALID_QUERIES[query]
    response = await export(client, f"/users?{query}")

    assert response.status_code == status
    assert "content-disposition" not in response.headers
    assert message is None or response.json()["errors"][0]["message"] == message


async def test_an_export_has_the_same_limits_as_a_list(readonly_db):
    settings = readonly_db.settings.model_copy(update={"query_limit_default": 2, "query_limit_max": 4})
    async with served(settings) as client:
        files = [await export(client, f"/users?export=json{limit}") for limit in ("", "&limit=-1", "&limit=5")]

    assert [len(file.json()) for file in files[:2]] == [2, 4]
    assert files[2].status_code == 400


@asynccontextmanager
async def users_named(system, names):
    """Yield a function that exports users with these first names, in this order, in a format."""
    await add_users(
        system, *({"email": f"n{index:03}@n.example.com", "first_name": name} for index, name in enumerate(names))
    )
    async with served(system.settings) as client:
        path = "/users?search=n.example.com&sort=email&fields=first_name&export="
        yield lambda format_: export(client, path + format_)


async def test_parsers_read_every_string_unchanged(writable_db):
    async with users_named(writable_db, TEXTS) as export_as:
        files = {format_: await export_as(format_) for format_ in ("json", "yaml", "xml", "csv")}
    in_xml = [element.text for element in ET.fromstring(files["xml"].content).iter("first_name")]
    in_csv = [row["first_name"] for row in csv.DictReader(io.StringIO(files["csv"].text, newline=""))]

    assert [row["first_name"] for row in files["json"].json()] == TEXTS
    assert [row["first_name"] for row in yaml.safe_load(files["yaml"].content)] == TEXTS
    assert in_xml == TEXTS
    assert in_csv == [f"'{name}" if name in ("- a", "=") else name for name in TEXTS]


async def test_characters_invalid_in_xml_are_replaced(writable_db):
    async with users_named(writable_db, [INVALID_IN_XML]) as export_as:
        in_xml = ET.fromstring((await export_as("xml")).content)
        in_yaml = yaml.safe_load((await export_as("yaml")).content)

    assert in_xml.findtext("data/first_name") == "bell\ufffd and \ufffd"
    assert in_yaml == [{"first_name": INVALID_IN_XML}]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
async def test_a_users_name_is_no_formula_in_a_spreadsheet(writable_db, name):
    async with users_named(writable_db, [name]) as export_as:
        rows = csv.reader(io.StringIO((await export_as("csv")).text, newline=""))
        assert list(rows)[1] == [f"'{name}"]


async def test_an_alias_cannot_break_a_file(client):
    alias = '=1+1"<a b>&: #'
    path = f"/users?fields={quote(alias)}&alias={encode_json({alias: 'email'})}&sort=email&limit=1&export="
    files = {name: (await export(client, path + name)).content for name in ("csv", "xml", "yaml", "json")}

    assert files["csv"] == b'"\'=1+1""<a b>&: #"\n"ada@example.com"'
    assert len(ET.fromstring(files["xml"]).findall("data/*")) == 1
    assert yaml.safe_load(files["yaml"]) == [{alias: "ada@example.com"}]


@pytest.fixture
def create_reader(writable_db):
    """Return a function that creates a reader of the emails a user may see, in batches of two."""

    def create(user, fields="email"):
        users = writable_db.directory(caller(user))["users"]
        query = {"fields": fields, "sort": "email", "limit": -1}
        return KeysetReader(users, lambda access: users.query_parser(access).read(users.collection, query), 2)

    return create


async def test_concurrent_changes_neither_repeat_nor_skip_rows(writable_db, create_reader):
    reader = create_reader("ada")
    rows = reader.rows(await reader.begin())
    found = await anext(rows)
    await add_users(writable_db, {"email": "bea@example.com"})
    async with writable_db.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("ada")).values(email="zoe@example.com"))
        await connection.execute(delete(User).where(User.id == uid("ida")))
    found += [row async for batch in rows for row in batch]

    names = [row["email"].partition("@")[0] for row in found]
    assert names == ["ada", "ann", "ed", "kit", "nora", "sam", "sue", "vi"]


async def test_each_batch_is_read_with_the_permissions_of_that_moment(writable_db, create_reader):
    reader = create_reader("ed", "email,title")
    rows = reader.rows(await reader.begin())
    await anext(rows)
    await write(writable_db, "UPDATE directus_users SET status = 'suspended' WHERE first_name = 'Sam'")
    rest = [row for batch in [batch async for batch in rows] for row in batch]

    assert {"email": "vi@example.com", "title": "Viewer"} in rest
    assert "sam@example.com" not in [row["email"] for row in rest]


@pytest.mark.parametrize("change", [*REVOCATIONS, *INVALIDATIONS])
async def test_a_permission_lost_meanwhile_aborts_the_export(writable_db, create_reader, change):
    reader = create_reader("ed")
    rows = reader.rows(await reader.begin())
    await anext(rows)
    await write(writable_db, {**REVOCATIONS, **INVALIDATIONS}[change])

    with pytest.raises((Forbidden, InvalidCredentials)):
        await anext(rows)


async def test_a_wildcard_that_means_fewer_fields_meanwhile_aborts_the_export(writable_db, create_reader):
    reader = create_reader("ed", "*")
    rows = reader.rows(await reader.begin())
    await write(writable_db, "UPDATE directus_permissions SET fields = 'id,email' WHERE id = 3")

    with pytest.raises(ServiceUnavailable):
        await anext(rows)


async def test_an_unrelated_permission_change_aborts_nothing(writable_db, create_reader):
    reader = create_reader("ed")
    rows = reader.rows(await reader.begin())
    await anext(rows)
    await write(writable_db, "DELETE FROM directus_permissions WHERE id = 8")

    assert await anext(rows)


async def chunks(log, fails=False):
    try:
        yield b"one,"
        yield b"two,"
        if fails:
            raise Forbidden
        yield b"three"
    finally:
        log.append("closed")


def streaming(response):
    async def endpoint(scope, head, body):
        return response

    return HTTPMiddleware({"/": endpoint}, Router(), 1000)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_stream_is_closed_whether_it_is_read_or_not(method):
    log: list[str] = []
    app = streaming(Response(b"", stream=chunks(log)))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://rollcall") as client:
        response = await client.request(method, "/")

    assert response.content == (b"one,two,three" if method == "GET" else b"")
    assert log == ["closed"]


async def messages(app, *, disconnect=False):
    """Return the messages that an app sends, and the error that it raises; maybe disconnect after the first chunk."""
    sent, disconnected = [], asyncio.Event()

    async def receive():
        await disconnected.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if disconnect and message.get("body"):
            disconnected.set()
        await asyncio.sleep(0)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    try:
        await app(scope, receive, send)
    except Forbidden as error:
        return sent, error
    return sent, None


async def test_a_failing_stream_is_not_terminated(caplog):
    log: list[str] = []
    sent, error = await messages(streaming(Response(b"", stream=chunks(log, fails=True))))

    assert [message.get("more_body") for message in sent[1:]] == [True, True]
    assert isinstance(error, Forbidden)
    assert log == ["closed"]
    assert "response_aborted" in caplog.text


async def test_a_stream_stops_when_the_client_disconnects():
    log: list[str] = []
    sent, error = await messages(streaming(Response(b"", stream=chunks(log))), disconnect=True)

    assert len(sent) == 2
    assert error is None
    assert log == ["closed"]


@asynccontextmanager
async def listening(settings):
    """Yield the URL of a real server on a free port; briefly, as it runs in the event loop of the tests."""
    async with in_process_server(create_app(settings)) as port:
        yield f"http://127.0.0.1:{port}"


LARGE, MANY = "x" * 10_000, 8 * BATCH_SIZE
"""More than the buffers between a server and a client that doesn't read can hold."""


@pytest.mark.both_databases
async def test_an_export_aborted_by_a_lost_permission_never_looks_complete(writable_db):
    await add_users(writable_db, *({"email": f"m{n}@m.example.com", "description": LARGE} for n in range(MANY)))
    path = "/users?fields=email,description&limit=-1&export=csv"
    async with (
        listening(writable_db.settings) as base_url,
        AsyncClient(base_url=base_url, headers=ADA) as client,
    ):
        whole = await client.get(path)
        async with client.stream("GET", path) as cut:
            received = cut.aiter_bytes()
            await anext(received)
            await write(writable_db, "UPDATE directus_users SET token = 'another' WHERE first_name = 'Ada'")
            with pytest.raises(httpx.RemoteProtocolError):
                [chunk async for chunk in received]

    assert len(whole.text.splitlines()) > MANY
    assert cut.status_code == 200


async def test_a_stream_without_media_type_has_no_content_type():
    sent, error = await messages(streaming(Response(b"", media=b"", stream=chunks([]))))

    assert error is None
    assert sent[0]["status"] == 200
    assert b"content-type" not in dict(sent[0]["headers"])
