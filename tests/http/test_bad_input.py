"""Invalid requests get a 4xx that says what is wrong, on either database, and change nothing."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from tests.base_data import static_token, uid
from tests.conftest import BACKENDS, open_copy
from tests.core.test_tokens import encode, forge
from tests.http.test_export import listening
from tests.http.test_graphql import ADA, PATH, bearer, served
from tests.http.test_parsing import INTERNALS
from tests.writes.editors import checksum

JSON = {"Content-Type": "application/json"}
MAX_BODY_SIZE = 200_000
PAYLOAD, QUERY, CREDENTIALS, FORBIDDEN = "INVALID_PAYLOAD", "INVALID_QUERY", "INVALID_CREDENTIALS", "FORBIDDEN"
CREATED = {"status": "active", "email": "x@example.com"}


@pytest_asyncio.fixture(params=BACKENDS, scope="module")
async def readonly_db(request, templates, tmp_path_factory):
    """Databases of this module alone, so that what goes wrong here affects no other test."""
    async with AsyncExitStack() as stack:
        yield await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("bad"))


@pytest_asyncio.fixture(scope="module")
async def client(readonly_db):
    settings = {"max_payload_size": MAX_BODY_SIZE, "max_batch_mutation": 100, "log_level": "error"}
    async with served(readonly_db.settings.model_copy(update=settings)) as client:
        yield client


@pytest_asyncio.fixture
async def base_url(readonly_db):
    settings = readonly_db.settings.model_copy(update={"max_payload_size": MAX_BODY_SIZE, "log_level": "error"})
    async with listening(settings) as base_url:
        yield base_url


@pytest_asyncio.fixture(scope="module")
async def checksum_before(readonly_db):
    return await checksum(readonly_db)


def nested(levels, value=b"", opening=b"[", closing=b"]"):
    return opening * levels + value + closing * levels


def me(value, name="title"):
    return b'{"%b": %b}' % (name.encode(), value)


def graphql_body(query, **variables):
    return orjson.dumps({"query": query, "variables": variables})


OVERRIDES = "theme_light_overrides"
DEEP_TEXT = b'"%b"' % nested(101)
VARIABLE = b'{"query": "mutation ($v: JSON) { update_users_me(data: { theme_light_overrides: $v }) { id } }", "variables": {"v": %b}}'  # fmt: skip # noqa: E501
OBJECTS = {"opening": b'{"a":', "closing": b"}"}

BODIES = {
    "nothing": (b"", PAYLOAD, "empty document"),
    "half an object": (b'{"title": "a"', PAYLOAD, "not valid JSON"),
    "a trailing comma": (b'{"title": "a",}', PAYLOAD, "not valid JSON"),
    "two objects": (b"{} {}", PAYLOAD, "not valid JSON"),
    "a list": (b"[1]", PAYLOAD, "must be an object"),
    "a string": (b'"title"', PAYLOAD, "must be an object"),
    "null": (b"null", PAYLOAD, "must be an object"),
    "NaN": (me(b"NaN"), PAYLOAD, "not valid JSON"),
    "Infinity": (me(b"-Infinity"), PAYLOAD, "not valid JSON"),
    "a number that no float holds": (me(b"1e999"), PAYLOAD, "infinity"),
    "not UTF-8": (me(b'"\xff\xfe"'), PAYLOAD, "UTF-8"),
    "UTF-8 with a byte order mark": (b"\xef\xbb\xbf{}", PAYLOAD, "UTF-8 byte order mark"),
    "UTF-16": ('{"title": "a"}'.encode("utf-16"), PAYLOAD, "not valid JSON"),
    "NUL in a string": (me(b'"a\\u0000b"'), PAYLOAD, '"title" in directus_users: A string must not contain U+0000'),
    "NUL in JSON": (me(b'{"a": ["b\\u0000"]}', OVERRIDES), PAYLOAD, "U+0000"),
    "NUL in JSON in a string": (me(b'"[\\"\\\\u0000\\"]"', OVERRIDES), PAYLOAD, "U+0000"),
    "a bare NUL": (me(b'"a\0b"'), PAYLOAD, "not valid JSON"),
    "half a surrogate pair": (me(b'"\\ud800"'), PAYLOAD, "surrogate"),
    "the other half": (me(b'"\\udc00a"'), PAYLOAD, "surrogate"),
    "lists ten thousand levels deep": (me(nested(10_000), OVERRIDES), PAYLOAD, "depth limit exceeded"),
    "objects ten thousand levels deep": (me(nested(10_000, b"1", **OBJECTS), OVERRIDES), PAYLOAD, "depth limit"),
    "nested deeper than the encoder allows": (me(nested(300), OVERRIDES), PAYLOAD, "at most 128 levels"),
    "one level too many": (me(nested(101), OVERRIDES), PAYLOAD, "at most 100 levels"),
    "one level too many, in a string": (me(DEEP_TEXT, OVERRIDES), PAYLOAD, "at most 100 levels"),
    "a string that is not JSON": (
        me(b'"nothing"', OVERRIDES),
        PAYLOAD,
        '"theme_light_overrides" in directus_users: Expected JSON',
    ),
    "an object for a string": (me(b'{"a": 1}'), PAYLOAD, "Expected a string"),
    "ten thousand names": (orjson.dumps({f"k{n}": n for n in range(10_000)}), FORBIDDEN, '"k0"'),
    "a string too long": (me(b'"%b"' % (b"x" * 51)), "VALUE_TOO_LONG", "too long"),
    "not an email": (me(b'"nobody"', "email"), "FAILED_VALIDATION", "email"),
    "not a role": (me(b'"nobody"', "role"), "INVALID_FOREIGN_KEY", "role"),
    "an unknown field": (me(b"1", "nothing"), FORBIDDEN, '"nothing"'),
    "too many values": (me(b"[%b1]" % (b"1," * 20_000), OVERRIDES), PAYLOAD, "at most 20000 values"),
    "too many values, in a string": (me(b'"[%b1]"' % (b"1," * 50_000), OVERRIDES), PAYLOAD, "at most 50000 values"),
    "too large": (b'"' + b"x" * MAX_BODY_SIZE + b'"', PAYLOAD, f"larger than the {MAX_BODY_SIZE} bytes"),
}
STATUS = {FORBIDDEN: 403, CREDENTIALS: 401}


def assert_error(response, code, words, status=None):
    error = response.json()["errors"][0]
    assert (response.status_code, error["extensions"]["code"]) == (status or STATUS.get(code, 400), code), response.text
    assert words in f"{error['message']} {error['extensions']}"
    assert not INTERNALS.search(response.text)


@pytest.mark.parametrize("case", BODIES)
async def test_an_invalid_body_is_rejected_with_its_reason(client, readonly_db, checksum_before, case):
    body, code, words = BODIES[case]
    assert_error(await client.patch("/users/me", headers={**ADA, **JSON}, content=body), code, words)

    assert await checksum(readonly_db) == checksum_before


@pytest.mark.sampled
@pytest.mark.parametrize(
    "content_type", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", b"\xff"]
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/users"), ("PATCH", "/users/me"), ("POST", PATH)])
async def test_a_body_needs_the_json_content_type(client, readonly_db, checksum_before, method, path, content_type):
    headers = {**ADA, "Content-Type": content_type} if content_type is not None else ADA
    response = await client.request(method, path, headers=headers, content=orjson.dumps({**CREATED, "query": "{"}))

    assert_error(response, PAYLOAD, "Must provide query string" if path == PATH else "has to be JSON")
    assert await checksum(readonly_db) == checksum_before


BIG = "9" * 5_000
"""An integer with more digits than Python parses."""
GRAPHQL = {
    "nothing": (b"", PAYLOAD, "Must provide query string"),
    "half an object": (b'{"query": ', PAYLOAD, "not valid JSON"),
    "a batch": (b'[{"query": "{ server_ping }"}]', PAYLOAD, "one JSON object"),
    "variables in a list": (b'{"query": "{ server_ping }", "variables": []}', PAYLOAD, '"variables" has to be'),
    "a number for a name": (
        b'{"query": "{ server_ping }", "operationName": 1}',
        PAYLOAD,
        '"operationName" has',
    ),
    "not UTF-8": (b'{"query": "{ server_ping } # \xff"}', PAYLOAD, "UTF-8"),
    "too many values of variables": (
        graphql_body("{ server_ping }", v=[1] * 20_000),
        PAYLOAD,
        "at most 20000 values",
    ),
    "variables nested too deeply": (VARIABLE % nested(200), PAYLOAD, "at most 128 levels"),
    "half a surrogate pair": (b'{"query": "{ server_ping } # \\ud800"}', PAYLOAD, "surrogate"),
    "half a pair, escaped": (
        graphql_body('{ users(search: "\\ud800") { id } }'),
        "GRAPHQL_VALIDATION",
        "Invalid Unicode",
    ),
    "NUL": (graphql_body("{ server_ping \0 }"), "GRAPHQL_VALIDATION", "U+0000"),
    "a thousand brackets": (graphql_body("{" * 1_000), "GRAPHQL_VALIDATION", "Syntax Error"),
    "a value too deep": (
        graphql_body(f"mutation {{ update_users_me(data: {{ tags: {'[' * 900 + ']' * 900} }}) {{ id }} }}"),
        "GRAPHQL_VALIDATION",
        "nested too deeply",
    ),
    "ten thousand levels": (VARIABLE % nested(10_000), PAYLOAD, "depth limit exceeded"),
    "more than 32 bits": (graphql_body("{ users(limit: 99999999999) { id } }"), "GRAPHQL_VALIDATION", "32-bit"),
    "more than 32 bits in a variable": (
        graphql_body("query ($l: Int) { users(limit: $l) { id } }", l=1e99),
        "GRAPHQL_VALIDATION",
        "32-bit",
    ),
    "an integer of 5,000 digits": (
        graphql_body("{ users(limit: " + BIG + ") { id } }"),
        "GRAPHQL_VALIDATION",
        "more than 400 consecutive digits",
    ),
    "a float of 5,000 digits": (
        graphql_body("{ users(filter: { title: { _eq: -0." + BIG + "e9 } }) { id } }"),
        "GRAPHQL_VALIDATION",
        "more than 400 consecutive digits",
    ),
    "5,000 digits in a default": (
        graphql_body("query ($l: Int = " + BIG + ") { users(limit: $l) { id } }"),
        "GRAPHQL_VALIDATION",
        "more than 400 consecutive digits",
    ),
    "5,000 digits in a directive": (
        graphql_body("{ users @include(if: " + BIG + ") { id } }"),
        "GRAPHQL_VALIDATION",
        "more than 400 consecutive digits",
    ),
    "5,000 digits in a variable": (
        b'{"query": "query ($l: Int) { users(limit: $l) { id } }", "variables": {"l": %b}}' % BIG.encode(),
        PAYLOAD,
        "number is infinity",
    ),
    "ten thousand names": (graphql_body("{ users { " + "id " * 10_000 + "} }"), "GRAPHQL_VALIDATION", "5000 tokens"),
    "too large": (b" " * (MAX_BODY_SIZE + 1), PAYLOAD, f"larger than the {MAX_BODY_SIZE} bytes"),
}


@pytest.mark.parametrize("case", GRAPHQL)
async def test_an_invalid_graphql_request_is_rejected_with_its_reason(client, readonly_db, checksum_before, case):
    body, code, words = GRAPHQL[case]
    response = await client.post(PATH, headers={**ADA, **JSON}, content=body)
    assert_error(response, code, words)

    assert await checksum(readonly_db) == checksum_before


FIELD_ERRORS = {
    "one level too many": (VARIABLE % nested(101), PAYLOAD, "at most 100 levels"),
    "NUL in a filter": (graphql_body('{ users(filter: { title: { _eq: "a\\u0000" } }) { id } }'), QUERY, "U+0000"),
    "a number of 400 digits": (
        graphql_body(f"{{ activity(filter: {{ id: {{ _eq: {'9' * 400} }} }}) {{ id }} }}"),
        QUERY,
        "numeric",
    ),
    "not a key": (graphql_body('{ users_by_id(id: "nope") { id } }'), FORBIDDEN, "permission"),
    "a negative limit": (graphql_body("{ users(limit: -2) { id } }"), QUERY, '"limit" must be greater'),
}


@pytest.mark.parametrize("case", FIELD_ERRORS)
async def test_an_error_in_one_field_is_that_fields_error(client, readonly_db, checksum_before, case):
    body, code, words = FIELD_ERRORS[case]
    assert_error(await client.post(PATH, headers={**ADA, **JSON}, content=body), code, words, status=200)

    assert await checksum(readonly_db) == checksum_before


TOO_DEEP = '{"_and":[' * 500 + "{}" + "]}" * 500
QUERIES = {
    f"limit={BIG}": (QUERY, '"limit" must be a number'),
    f"filter[year(last_access)][_eq]={BIG}": (QUERY, "Expected a number"),
    f'filter={{"count(tags)":{{"_in":[{BIG}]}}}}': (QUERY, "Invalid JSON"),
    "limit=1e99": (QUERY, '"limit" must be between'),
    "limit=NaN": (QUERY, '"limit" must be a number'),
    "limit=1.5": (QUERY, '"limit" must be an integer'),
    "limit=-2": (QUERY, '"limit" must be greater'),
    "limit=1&limit=2": (QUERY, '"limit" must be a number'),
    "limit[a]=1": (QUERY, '"limit" must be a number'),
    "limit[]=1&limit[]=2": (QUERY, '"limit" must be a number'),
    "filter[year(last_access)][_gt]=2147483648": (QUERY, "between -2147483648 and 2147483647"),
    "filter[year(last_access)][_gt]=-2147483649": (QUERY, "between -2147483648 and 2147483647"),
    "filter[_or][01][title]=x": (QUERY, "Invalid filter object"),
    "offset=1e18": (QUERY, '"offset" must be between'),
    "page=99999999999": (QUERY, '"page" must be between'),
    "filter" + "[a]" * 1_000 + "=1": (QUERY, "more than 32 brackets"),
    "filter" + "[" * 1_000 + "=1": (QUERY, "unbalanced brackets"),
    "filter[a" + "][a" * 11 + "]=1": (QUERY, "Max relational depth exceeded"),
    "filter=1": (QUERY, '"filter" must be an object'),
    "filter={": (QUERY, "Invalid JSON for filter object"),
    "filter=" + TOO_DEEP: (QUERY, "more than 32 levels deep"),
    "filter[id][_nope]=1": (QUERY, '"_nope"'),
    "filter[id][_eq]=nope": (QUERY, "UUID"),
    "filter[title][_eq]=a%00": (QUERY, "U+0000"),
    "filter[last_access][_gt]=9999999-01-01": (QUERY, "Expected a date"),
    "filter[last_access][_between]=1": (QUERY, "array of two values"),
    "filter[year(last_access)][_eq]=99999999999999999999": (QUERY, "a number between"),
    "filter[nothing][_eq]=1": (FORBIDDEN, '"nothing"'),
    "search=a%00": (QUERY, "U+0000"),
    "search[a]=b": (QUERY, '"search" must be a string'),
    "search=%ff": (QUERY, "not valid UTF-8"),
    "%ff=1": (QUERY, "not valid UTF-8"),
    "fields=nothing": (FORBIDDEN, '"nothing"'),
    "fields=%00": (FORBIDDEN, "permission"),
    "fields[a]=id": (QUERY, "Names must be strings"),
    "fields=" + ".".join(["role"] * 12): (QUERY, "At most 10 fields are allowed in a path"),
    "fields=" + "role.users." * 500 + "id": (QUERY, "Max relational depth exceeded"),
    "sort=nothing": (FORBIDDEN, '"nothing"'),
    "sort[a]=id": (QUERY, "Names must be strings"),
    "aggregate=x": (QUERY, "Invalid JSON for aggregate object"),
    "aggregate[nothing]=id": (QUERY, '"aggregate" supports'),
    "aggregate[count][a]=id": (QUERY, "Names must be strings"),
    "aggregate[count]=id&groupBy=nothing": (FORBIDDEN, '"nothing"'),
    "alias[]=id": (QUERY, '"alias" must be an object'),
    "deep[role]=x&fields=role.name": (QUERY, '"deep" must be an object'),
    "meta=nothing": (QUERY, '"meta[0]" must be one of'),
    "export=pdf": (QUERY, '"export" must be one of'),
    "&".join(f"p{n}=1" for n in range(1_001)): (QUERY, "more than 1000 parameters"),
    "access_token=x&access_token=y": (PAYLOAD, "more than one method"),
}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query[:60])
async def test_an_invalid_query_string_is_rejected_with_its_reason(client, query):
    assert_error(await client.get(f"/users?{query}", headers=ADA), *QUERIES[query])


async def test_a_graphql_query_string_has_to_be_utf_8(client):
    assert_error(await client.get(f"{PATH}?query=%7Bserver_ping%7D%23%ff", headers=ADA), QUERY, "not valid UTF-8")


KEYS = ["nope", "1", "%00", "%ff", "x" * 5_000, "00000000-0000-0000-0000-00000000000g", "null", "*"]


@pytest.mark.both_databases
@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
async def test_an_invalid_key_answers_like_a_missing_row(client, readonly_db, checksum_before, method):
    body = {"content": b"{}"} if method == "PATCH" else {}
    for key in KEYS:
        response = await client.request(method, f"/users/{key}", headers={**ADA, **JSON}, **body)
        assert_error(response, FORBIDDEN, "permission")

    assert await checksum(readonly_db) == checksum_before


WRITES = {
    "an invalid key": ("POST", "/users", {**CREATED, "id": "nope"}, FORBIDDEN, "permission"),
    "a key that is null": ("PATCH", "/users", {"keys": [None], "data": {}}, FORBIDDEN, "permission"),
    "a key that is an object": ("DELETE", "/users", [{"id": 1}], FORBIDDEN, "permission"),
    "keys that are no list": ("DELETE", "/users", {"keys": "x"}, PAYLOAD, '"keys" must be an array'),
    "keys and a query": ("DELETE", "/users", {"keys": [], "query": {}}, PAYLOAD, "conflict"),
    "neither": ("PATCH", "/users", {"data": {}}, PAYLOAD, "must contain at least one of"),
    "an unknown property": ("PATCH", "/users", {"keys": [], "data": {}, "more": 1}, PAYLOAD, '"more" is not allowed'),
    "more rows than a mutation may write": ("POST", "/users", [CREATED] * 101, PAYLOAD, "100"),
    "forty thousand keys": ("DELETE", "/users", ["1"] * 40_000, PAYLOAD, "at most 20000 values"),
    "a filter that is no object": ("SEARCH", "/users", {"query": {"filter": [1]}}, QUERY, '"filter" must be'),
    "a limit of true": ("SEARCH", "/users", {"query": {"limit": True}}, QUERY, '"limit" must be'),
    "an invalid key in a search": ("SEARCH", "/users", {"keys": ["nope"]}, FORBIDDEN, "permission"),
    "a number beyond 64 bits": (
        "PATCH",
        "/settings",
        {"auth_login_attempts": 1e30},
        "VALUE_OUT_OF_RANGE",
        "out of range",
    ),
    "a number beyond 32": ("PATCH", "/settings", {"auth_login_attempts": 2**40}, "VALUE_OUT_OF_RANGE", "out of range"),
    "a page that is an object": ("PATCH", "/users/me/track/page", {"last_page": {}}, PAYLOAD, "Expected a string"),
    "not an email to invite": (
        "POST",
        "/users/invite",
        {"email": 1, "role": uid("role-App")},
        PAYLOAD,
        '"email" must',
    ),
    "not a role to invite with": (
        "POST",
        "/users/invite",
        {"email": "a@b.cz", "role": 2},
        PAYLOAD,
        '"role" must be',
    ),
    "credentials in an object": ("POST", "/auth/login", {"email": {}, "password": []}, PAYLOAD, '"email" must be'),
}


@pytest.mark.parametrize("case", WRITES)
async def test_an_invalid_write_is_rejected_with_its_reason(client, readonly_db, checksum_before, case):
    method, path, body, code, words = WRITES[case]
    assert_error(await client.request(method, path, headers={**ADA, **JSON}, content=orjson.dumps(body)), code, words)

    assert await checksum(readonly_db) == checksum_before


TOKENS = {
    "a token that isn't UTF-8": ({"Authorization": b"Bearer \xff\xfe"}, "", 401),
    "a token of NUL": ({}, "?access_token=%00", 401),
    "two headers": ([("Authorization", "Bearer x"), ("Authorization", "Bearer y")], "", 400),
    "a header and a parameter": (ADA, f"?access_token={static_token('ada')}", 400),
    "a header of another scheme": ({"Authorization": "Basic eDp5"}, "", 200),
    "a cookie that isn't UTF-8": ({"Cookie": b"a=\xff; directus_session_token=\xff"}, "", 401),
    "a cookie beside a valid token": ({**ADA, "Cookie": "directus_session_token=garbage"}, "", 200),
    "a token of ten thousand characters": (bearer("x" * 10_000), "", 401),
}


@pytest.mark.parametrize("case", TOKENS)
async def test_a_request_may_have_one_token(client, case):
    headers, query, status = TOKENS[case]
    for path in ("/roles", "/server/info", "/policies/me/globals", PATH):
        graphql = f"{'&' if query else '?'}query={{server_ping}}" if path == PATH else ""
        response = await client.get(f"{path}{query}{graphql}", headers=headers)

        assert response.status_code == status, response.text
        assert not INTERNALS.search(response.text)


async def test_the_last_of_two_equal_names_in_an_object_counts(restored_db):
    async with served(restored_db.settings) as client:
        response = await client.patch("/users/me", headers={**ADA, **JSON}, content=b'{"title": 1, "title": "b"}')

    assert response.json()["data"]["title"] == "b"


async def test_a_hundred_levels_of_json_are_stored_and_returned_everywhere(restored_db):
    value = orjson.loads(nested(100))
    async with served(restored_db.settings) as client:
        response = await client.patch("/users/me", headers=ADA, json={OVERRIDES: value})
        rows = [
            await client.get(path, headers=ADA)
            for path in (f"/users/me?fields={OVERRIDES}", f"/users?meta=*&fields=*,role.users.role.users.{OVERRIDES}")
        ]
        formats = ("csv", "json", "xml", "yaml")
        files = [await client.get(f"/users?fields={OVERRIDES}&export={name}", headers=ADA) for name in formats]
        revisions = await client.get("/revisions?fields=*,activity.revisions.*", headers=ADA)

    assert response.json()["data"][OVERRIDES] == rows[0].json()["data"][OVERRIDES] == value
    assert {each.status_code for each in (*rows, *files, revisions)} == {200}


async def test_a_chunked_body_that_is_too_large_is_rejected(readonly_db, base_url, checksum_before):
    async def chunks():
        for _ in range(100):
            yield b"x" * 10_000

    async with httpx.AsyncClient(base_url=base_url) as client:
        response = await client.patch("/users/me", headers={**ADA, **JSON}, content=chunks())

    assert_error(response, PAYLOAD, f"larger than the {MAX_BODY_SIZE} bytes")
    assert await checksum(readonly_db) == checksum_before


RAW_REQUESTS = {
    "not HTTP": (b"nonsense\r\n\r\n", b"HTTP/1.1 400"),
    "an invalid length": (b"PATCH /users/me HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n", b"HTTP/1.1 400"),
    "two lengths": (
        b"PATCH /users/me HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 400",
    ),
    "a length and chunks": (
        b"PATCH /users/me HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 400",
    ),
    "an unknown method": (b"BREW /users HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 400"),
}


async def test_invalid_http_is_rejected_by_the_server(base_url):
    url = httpx.URL(base_url)
    for case, (request, expected) in RAW_REQUESTS.items():
        reader, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(request)
        start = await asyncio.wait_for(reader.read(100), 5)
        writer.close()
        await writer.wait_closed()

        assert start.startswith(expected), case


CLAIMS: dict[str, tuple[dict[str, Any], int]] = {
    # claims, status
    "exp=Infinity": ({"exp": float("inf")}, 401),
    "exp=-Infinity": ({"exp": float("-inf")}, 401),
    "exp=NaN": ({"exp": float("nan")}, 401),
    "exp=0": ({"exp": 0}, 401),
    "exp=-1e300": ({"exp": -1e300}, 401),
    "exp=1e300": ({"exp": 1e300}, 200),
    "exp='1e300'": ({"exp": "1e300"}, 403),
    "exp=[]": ({"exp": []}, 403),
    "exp=null": ({"exp": None}, 403),
    "iat=Infinity": ({"iat": float("inf")}, 401),
    "iat={}": ({"iat": {}}, 403),
    "nbf=-Infinity": ({"nbf": float("-inf")}, 401),
    "nbf=null": ({"nbf": None}, 403),
    "id=7": ({"id": 7}, 403),
    "id=Infinity": ({"id": float("inf")}, 401),
    "id is half a surrogate pair": ({"id": "\ud800"}, 401),
    "session is half a surrogate pair": ({"session": "\ud800"}, 401),
    "session=NUL": ({"session": "\0"}, 403),
}


@pytest.mark.parametrize("case", CLAIMS)
async def test_a_signed_token_with_odd_claims_is_never_a_server_error(client, readonly_db, case):
    claims, status = CLAIMS[case]
    secret = readonly_db.settings.secret.get_secret_value()
    token = forge(secret=secret, **{"id": uid("ada"), **claims})
    rest = await client.get("/users/me", headers=bearer(token))
    graphql = await client.post(PATH, json={"query": "{ users_me { id } }"}, headers=bearer(token))

    assert (rest.status_code, graphql.status_code) == (status, status), rest.text


@pytest.mark.parametrize(
    "path", ["/users/register/verify-email?token=", "/auth/password/reset", "/users/invite/accept"]
)
@pytest.mark.parametrize("part", [b"[" * 5_000, b'{"alg":"HS256","exp":Infinity}', b'"\xff"', b"1" * 5_000])
async def test_a_link_with_a_malformed_token_is_rejected(client, path, part):
    token = f"{encode(part)}.{encode(part)}.x"
    if path.endswith("="):
        response = await client.get(path + token)
    else:
        response = await client.post(path, json={"token": token, "password": "a new password"})

    assert_error(response, "INVALID_TOKEN", "Invalid token", status=403)
