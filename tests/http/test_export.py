"""Rows as files: what stands in them, for whom, and what becomes of one that can't be finished."""

import asyncio
import csv
import io
import re
from contextlib import asynccontextmanager
from urllib.parse import quote
from xml.etree import ElementTree as ET

import httpx
import pytest
import uvicorn
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
from tests.http.test_graphql import ADA, bearer, served
from tests.http.test_parsing import encode_json
from tests.test_revocation import INVALIDATIONS, REVOCATIONS, write
from tests.world import caller, static_token, uid

PEOPLE = "/users?sort=email&limit=3&fields=email,title,tags,role.name,role.parent.name"
TEXTS = [
    *("plain", "yes", "Null", "~", "1e5", "0x1F", "2024-01-15", "12:30:45", "- a", "# b", "a: b", "a #b", "*a", "&a"),
    *("!a", "%a", "[a", "{a", "a,b", '"quoted"', "it's", " lead", "trail ", "two\nlines", "tab\there", "cr\rhere"),
    *("Čeněk", "\U0001f600", "<a>&amp;]]>", "nel\x85", "ls\u2028", "bom\ufeff", "del\x7f", "back\\slash"),
    *("?", ":", "|", ">", "<<", "="),
]
"""First names that some reader takes for something else."""
NOT_IN_XML = "bell\x07 and \x1b"


@pytest.fixture(scope="session")
async def client(readonly_db):
    async with served(readonly_db.settings) as client:
        yield client


async def exported(client, path, who="ada", **more):
    return await client.get(path, headers=bearer(static_token(who)) if who else {}, **more)


async def test_csv_has_a_line_of_names_and_a_column_for_each_field_behind_a_relation(client):
    told = (await exported(client, f"{PEOPLE}&export=csv")).text

    assert told.splitlines() == [
        '"email","title","tags","role.name","role.parent.name"',
        '"ada@example.com","Director","[""a"",""b""]","Administrator",',
        '"ann@example.com",,,"App",',
        '"ed@example.com","Editor",,"Editor","Staff"',
    ]
    assert (await exported(client, f"{PEOPLE}&export=csv_utf8")).text == f"\ufeff{told}"


async def test_in_xml_and_yaml_rows_lie_within_rows(client):
    path = "/users?filter[email][_starts_with]=a&sort=email&fields=email,tags,theme_light_overrides,role.name"
    xml, told = [(await exported(client, f"{path}&export={kind}")).text for kind in ("xml", "yaml")]

    assert xml == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<data>\n'
        "    <data>\n        <email>ada@example.com</email>\n        <tags>a</tags>\n        <tags>b</tags>\n"
        "        <theme_light_overrides/>\n        <role>\n            <name>Administrator</name>\n        </role>\n"
        "    </data>\n"
        "    <data>\n        <email>ann@example.com</email>\n        <tags/>\n        <theme_light_overrides>\n"
        "            <a>1</a>\n            <b>\n                <c>2</c>\n            </b>\n"
        "        </theme_light_overrides>\n        <role>\n            <name>App</name>\n        </role>\n"
        "    </data>\n</data>\n"
    )
    assert told == (
        "- email: ada@example.com\n  tags:\n    - a\n    - b\n  theme_light_overrides: null\n"
        "  role:\n    name: Administrator\n"
        "- email: ann@example.com\n  tags: null\n  theme_light_overrides:\n    a: 1\n    b:\n      c: 2\n"
        "  role:\n    name: App\n"
    )


NOTHING = {
    "csv": "",
    "csv_utf8": "\ufeff",
    "json": "[]",
    "xml": '<?xml version="1.0" encoding="UTF-8"?>\n<data/>\n',
    "yaml": "[]\n",
}


@pytest.mark.parametrize("kind", NOTHING)
async def test_a_file_without_rows_is_one_all_the_same(client, kind):
    of_nobody = f"/users?filter[email][_eq]=x@y.z&export={kind}"
    nobody = await exported(client, of_nobody)
    groups = await exported(client, f"{of_nobody}&aggregate[count]=id&groupBy=status")

    assert (nobody.status_code, nobody.text) == (200, NOTHING[kind])
    assert groups.text == NOTHING[kind]


MEDIA = {"csv": "text/csv", "csv_utf8": "text/csv", "json": "application/json", "xml": "text/xml", "yaml": "text/yaml"}


@pytest.mark.parametrize("kind", MEDIA)
async def test_a_file_has_a_name_and_a_type_and_is_kept_nowhere(client, kind):
    found = await exported(client, f"/roles?export={kind}")
    name = rf'attachment; filename="directus_roles \d{{8}}-\d{{6}}\.{kind.partition("_")[0]}"'

    assert re.fullmatch(name, found.headers["content-disposition"])
    assert found.headers["content-type"] == f"{MEDIA[kind]}; charset=utf-8"
    assert found.headers["cache-control"] == "no-store"
    assert "content-length" not in found.headers


async def add(system, *people):
    rows = [{"id": uid(one["email"]), "status": "active", "provider": "default", **one} for one in people]
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
@pytest.mark.parametrize("who", ["ada", "ed", "vi", "sam", "ann", "nora", None])
@pytest.mark.parametrize("path", ["/users", "/roles"])
async def test_a_file_holds_what_the_same_question_is_answered_with(client, path, who, query):
    plain = await exported(client, f"{path}?{query}", who)
    file = await exported(client, f"{path}?{query}&export=json", who)

    assert file.status_code == plain.status_code
    assert file.json() == (plain.json()["data"] if plain.status_code == 200 else plain.json())


async def test_who_may_not_see_a_key_is_given_the_rows_without_it(writable_db):
    await write(writable_db, "UPDATE directus_permissions SET fields = 'email' WHERE id = 3")
    await write(writable_db, f"DELETE FROM directus_access WHERE policy = '{uid('policy-Staff')}'")
    async with served(writable_db.settings) as client:
        told = await exported(client, "/users?sort=email&export=csv", "ed")

    assert told.text.splitlines()[:3] == ['"email"', '"ada@example.com"', '"ann@example.com"']
    assert uid("ada") not in told.text


async def test_search_exports_what_its_body_asks_for(client):
    asked = {"query": {"export": "csv", "fields": ["email"], "sort": ["email"], "limit": 1}}
    by_key = {"query": {"export": "csv", "fields": ["email"]}, "keys": [uid("vi")]}

    told = [await client.request("SEARCH", "/users", json=body, headers=ADA) for body in (asked, by_key)]
    assert [one.text for one in told] == ['"email"\n"ada@example.com"', '"email"\n"vi@example.com"']


async def test_what_there_is_one_of_is_a_file_of_one_row(writable_db):
    await writable_db.directory(SYSTEM)["settings"].upsert_singleton({"project_name": "Files"})
    async with served(writable_db.settings) as client:
        told = await exported(client, "/settings?fields=project_name&export=csv")

    assert told.text == '"project_name"\n"Files"'


async def test_head_says_the_same_of_a_file_without_it(client):
    told = await client.head("/users?export=csv", headers=ADA)

    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["content-type"] == "text/csv; charset=utf-8"


WRONG = {
    "export=pdf": (400, 'Invalid query. "export" must be one of [csv, csv_utf8, json, xml, yaml].'),
    "export[]=csv&export[]=xml": (400, 'Invalid query. "export" must be one of [csv, csv_utf8, json, xml, yaml].'),
    "export=csv&fields=nothing": (403, None),
    "export=csv&limit=-2": (400, None),
    'export=csv&filter={"id":{"_eq":"x"}}': (400, None),
}


@pytest.mark.parametrize("query", WRONG)
async def test_what_can_t_be_exported_is_an_error_and_no_file(client, query):
    status, words = WRONG[query]
    told = await exported(client, f"/users?{query}")

    assert told.status_code == status
    assert "content-disposition" not in told.headers
    assert words is None or told.json()["errors"][0]["message"] == words


async def test_a_file_holds_as_many_rows_as_a_list(readonly_db):
    async with served(
        readonly_db.settings.model_copy(update={"query_limit_default": 2, "query_limit_max": 4})
    ) as client:
        found = [await exported(client, f"/users?export=json{more}") for more in ("", "&limit=-1", "&limit=5")]

    assert [len(told.json()) for told in found[:2]] == [2, 4]
    assert found[2].status_code == 400


@asynccontextmanager
async def named(system, names):
    """Users of such first names, in this order."""
    await add(system, *({"email": f"n{at:03}@n.example.com", "first_name": name} for at, name in enumerate(names)))
    async with served(system.settings) as client:
        yield lambda kind: exported(client, f"/users?search=n.example.com&sort=email&fields=first_name&export={kind}")


async def test_every_text_is_read_back_as_it_was(writable_db):
    async with named(writable_db, TEXTS) as file:
        told = {kind: await file(kind) for kind in ("json", "yaml", "xml", "csv")}
    in_xml = [one.text for one in ET.fromstring(told["xml"].content).iter("first_name")]
    in_csv = [row["first_name"] for row in csv.DictReader(io.StringIO(told["csv"].text, newline=""))]

    assert [row["first_name"] for row in told["json"].json()] == TEXTS
    assert [row["first_name"] for row in yaml.safe_load(told["yaml"].content)] == TEXTS
    assert in_xml == TEXTS
    assert in_csv == [f"'{name}" if name in ("- a", "=") else name for name in TEXTS]


async def test_what_xml_cant_hold_is_replaced(writable_db):
    async with named(writable_db, [NOT_IN_XML]) as file:
        told = ET.fromstring((await file("xml")).content)
        in_yaml = yaml.safe_load((await file("yaml")).content)

    assert told.findtext("data/first_name") == "bell\ufffd and \ufffd"
    assert in_yaml == [{"first_name": NOT_IN_XML}]


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
async def test_a_spreadsheet_finds_no_formula_in_somebodys_name(writable_db, name):
    async with named(writable_db, [name]) as file:
        read = csv.reader(io.StringIO((await file("csv")).text, newline=""))
        assert list(read)[1] == [f"'{name}"]


async def test_an_alias_can_break_no_file(client):
    alias = '=1+1"<a b>&: #'
    path = f"/users?fields={quote(alias)}&alias={encode_json({alias: 'email'})}&sort=email&limit=1&export="
    told = {kind: (await exported(client, path + kind)).content for kind in ("csv", "xml", "yaml", "json")}

    assert told["csv"] == b'"\'=1+1""<a b>&: #"\n"ada@example.com"'
    assert len(ET.fromstring(told["xml"]).findall("data/*")) == 1
    assert yaml.safe_load(told["yaml"]) == [{alias: "ada@example.com"}]


@pytest.fixture
def batches(writable_db):
    """The e-mails that somebody may see, two at a time."""

    def begin(who, fields="email"):
        users = writable_db.directory(caller(who))["users"]
        asked = {"fields": fields, "sort": "email", "limit": -1}
        return KeysetReader(users, lambda access: users.parameters(access).read(users.collection, asked), 2)

    return begin


async def test_a_file_begun_holds_each_row_once_whatever_changes_meanwhile(writable_db, batches):
    many = batches("ada")
    rows = many.rows(await many.begin())
    found = await anext(rows)
    await add(writable_db, {"email": "bea@example.com"})
    async with writable_db.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("ada")).values(email="zoe@example.com"))
        await connection.execute(delete(User).where(User.id == uid("ida")))
    found += [row async for batch in rows for row in batch]

    names = [row["email"].partition("@")[0] for row in found]
    assert names == ["ada", "ann", "ed", "kit", "nora", "sam", "sue", "vi"]


async def test_what_is_told_of_a_row_is_what_may_be_seen_when_it_is_read(writable_db, batches):
    many = batches("ed", "email,title")
    rows = many.rows(await many.begin())
    await anext(rows)
    await write(writable_db, "UPDATE directus_users SET status = 'suspended' WHERE first_name = 'Sam'")
    rest = [row for batch in [batch async for batch in rows] for row in batch]

    assert {"email": "vi@example.com", "title": "Viewer"} in rest
    assert "sam@example.com" not in [row["email"] for row in rest]


@pytest.mark.parametrize("way", [*REVOCATIONS, *INVALIDATIONS])
async def test_a_right_that_goes_in_the_middle_ends_the_file(writable_db, batches, way):
    many = batches("ed")
    rows = many.rows(await many.begin())
    await anext(rows)
    await write(writable_db, {**REVOCATIONS, **INVALIDATIONS}[way])

    with pytest.raises((Forbidden, InvalidCredentials)):
        await anext(rows)


async def test_where_every_field_was_asked_for_and_there_are_fewer_now_it_ends_too(writable_db, batches):
    many = batches("ed", "*")
    rows = many.rows(await many.begin())
    await write(writable_db, "UPDATE directus_permissions SET fields = 'id,email' WHERE id = 3")

    with pytest.raises(ServiceUnavailable):
        await anext(rows)


async def test_a_right_that_has_nothing_to_do_with_it_ends_nothing(writable_db, batches):
    many = batches("ed")
    rows = many.rows(await many.begin())
    await anext(rows)
    await write(writable_db, "DELETE FROM directus_permissions WHERE id = 8")

    assert await anext(rows)


async def pieces(log, fails=False):
    try:
        yield b"one,"
        yield b"two,"
        if fails:
            raise Forbidden
        yield b"three"
    finally:
        log.append("closed")


def streaming(reply):
    async def door(scope, head, body):
        return reply

    return HTTPMiddleware({"/": door}, Router(), 1000)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_stream_is_closed_whether_it_is_read_or_not(method):
    log: list[str] = []
    gate = streaming(Response(b"", stream=pieces(log)))
    async with AsyncClient(transport=ASGITransport(gate), base_url="http://rollcall") as client:
        told = await client.request(method, "/")

    assert told.content == (b"one,two,three" if method == "GET" else b"")
    assert log == ["closed"]


async def messages(gate, *, leaves=False):
    """What the server is given to send, and what was raised."""
    sent, gone = [], asyncio.Event()

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if leaves and message.get("body"):
            gone.set()
        await asyncio.sleep(0)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""}
    try:
        await gate(scope, receive, send)
    except Forbidden as error:
        return sent, error
    return sent, None


async def test_a_stream_that_fails_has_no_end(caplog):
    log: list[str] = []
    sent, error = await messages(streaming(Response(b"", stream=pieces(log, fails=True))))

    assert [message.get("more_body") for message in sent[1:]] == [True, True]
    assert isinstance(error, Forbidden)
    assert log == ["closed"]
    assert "response_aborted" in caplog.text


async def test_nobody_reads_on_for_a_client_that_left():
    log: list[str] = []
    sent, error = await messages(streaming(Response(b"", stream=pieces(log))), leaves=True)

    assert len(sent) == 2
    assert error is None
    assert log == ["closed"]


@asynccontextmanager
async def listening(settings):
    """The address of a real server on a free port; not to be kept for long, as it lives in the loop of the tests."""
    server = uvicorn.Server(uvicorn.Config(create_app(settings), port=0, log_config=None))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  # it tells nobody when it has
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


LARGE, MANY = "x" * 10_000, 8 * BATCH_SIZE
"""More than what lies between a server and a client that doesn't read holds."""


async def test_a_file_whose_right_goes_on_the_way_never_looks_whole(writable_db):
    await add(writable_db, *({"email": f"m{at}@m.example.com", "description": LARGE} for at in range(MANY)))
    path = "/users?fields=email,description&limit=-1&export=csv"
    async with (
        listening(writable_db.settings) as address,
        AsyncClient(base_url=address, headers=ADA) as client,
    ):
        whole = await client.get(path)
        async with client.stream("GET", path) as cut:
            pieces = cut.aiter_bytes()
            await anext(pieces)
            await write(writable_db, "UPDATE directus_users SET token = 'another' WHERE first_name = 'Ada'")
            with pytest.raises(httpx.RemoteProtocolError):
                [piece async for piece in pieces]

    assert len(whole.text.splitlines()) > MANY
    assert cut.status_code == 200


async def test_a_stream_of_no_type_bears_none():
    sent, error = await messages(streaming(Response(b"", media=b"", stream=pieces([]))))

    assert error is None
    assert sent[0]["status"] == 200
    assert b"content-type" not in dict(sent[0]["headers"])
