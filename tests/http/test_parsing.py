"""Reading over REST: equivalent query parameters return the same rows, and invalid ones an error.

Each request is sent three times: once to a server without query plans, and twice to one with them. All three responses
must be equal.
"""

import re
from urllib.parse import quote

import orjson
import pytest
import pytest_asyncio

from app.query.collection import USERS
from tests.base_data import OFFICE_IP, static_token, uid
from tests.http.test_graphql import ADA, bearer, served

EMAILS = ["ada", "ann", "ed", "ida", "kit", "nora", "sam", "sue", "vi"]
VI, SAM, MISSING, EDITOR = uid("vi"), uid("sam"), uid("missing"), uid("role-Editor")
INTERNALS = re.compile(r"Traceback|File \"|\b(SELECT|FROM|WHERE|ORDER BY)\b|sqlite|asyncpg|sqlalchemy|recursion")


@pytest_asyncio.fixture(scope="module")
async def client(readonly_db):
    async with served(readonly_db.settings.model_copy(update={"log_level": "error"})) as client:
        yield client


@pytest_asyncio.fixture(scope="module")
async def client_without_plans(readonly_db):
    async with served(readonly_db.settings.model_copy(update={"graphql_plans": False, "log_level": "error"})) as client:
        yield client


@pytest.fixture
def send(client, client_without_plans):
    """Sends a request without plans and twice with them, and returns the response."""

    async def send(path, user="ada", method="GET", **more):
        headers = bearer(static_token(user)) if user else {}
        clients = (client_without_plans, client, client)
        first, *others = [await each.request(method, path, headers=headers, **more) for each in clients]
        for other in others:
            assert (other.status_code, content(other)) == (first.status_code, content(first))
        return first

    return send


def content(response):
    """Return the parsed body of a response, because a plan's JSON may have other whitespace."""
    return response.json() if response.content[:1] == b"{" else response.content


def encode_json(value):
    return quote(orjson.dumps(value))


def data(response):
    assert response.status_code == 200, response.text
    return response.json()["data"]


def error(response):
    return response.status_code, response.json()["errors"][0]["extensions"]["code"]


def names(rows):
    return [row["email"].removesuffix("@example.com") for row in rows]


LISTS = [
    # query, first names of the rows
    ("sort=email", EMAILS),
    ("sort=-email", EMAILS[::-1]),
    ("sort=email&limit=-1", EMAILS),
    ("sort=email&limit=2", ["ada", "ann"]),
    ("sort=email&limit=0", []),
    ("sort=email&limit=2&offset=1", ["ann", "ed"]),
    ("sort=email&limit=2&page=2", ["ed", "ida"]),
    ("sort=email&limit=2&page=2&offset=7", ["ed", "ida"]),
    ("sort=email&limit=2&page=0", ["ada", "ann"]),
    ("sort=email&limit[]=2", ["ada", "ann"]),
    ("sort=email&limit[7]=2&offset[]=1&page[]=", ["ann", "ed"]),
    ("sort=email&limit=2&page[]=2", ["ed", "ida"]),
    ("sort=email&limit=&offset=&page=", EMAILS),
    ("sort=-status,email&limit=3", ["sue", "ida", "ada"]),
    ("sort=role.name,email&filter[role][_nnull]=true&limit=3", ["ada", "ann", "ed"]),
    ("sort=year(last_access)&filter[last_access][_nnull]=true", ["ed", "ada"]),
    ("sort=email&filter=", EMAILS),
    ("sort=email&filter={}", EMAILS),
    ("filter[email][_eq]=vi@example.com", ["vi"]),
    ("filter[email]=vi@example.com", ["vi"]),
    ("filter[role][name][_eq]=Viewer", ["vi"]),
    ("sort=email&filter[role][name][_in]=Viewer,Self", ["sam", "vi"]),
    ("sort=email&filter[role][name][_in][]=Viewer&filter[role][name][_in][]=Self", ["sam", "vi"]),
    ("sort=email&filter[title][_null]=true", ["ann", "kit", "nora", "sam"]),
    ("sort=email&filter[status][_neq]=active", ["ida", "sue"]),
    ("filter[year(last_access)][_eq]=2024", ["ada"]),
    ("filter[id][_eq]=$CURRENT_USER", ["ada"]),
    ("filter[last_access][_lt]=2024-01-01", ["ed"]),
    ("sort=email&filter[_or][0][title][_eq]=Viewer&filter[_or][1][title][_eq]=Staff", ["sue", "vi"]),
    ("filter[_and][0][status][_eq]=active&filter[_and][1][title][_eq]=Editor", ["ed"]),
    ("search=edelman", ["ed"]),
    ("search=+edelman%09", ["ed"]),
    (f"search=%20{VI}%20", ["vi"]),
    ("search=%20", []),
    ("search=EDEL", ["ed"]),
    ("search=%C4%8Capek", ["sam"]),
    ("search=no+such+thing", []),
    ("sort=email&search=", EMAILS),
    ("sort=email&search=editor&filter[status][_eq]=invited", ["ida"]),
]


@pytest.mark.parametrize(("query", "expected"), LISTS)
async def test_a_list_contains_the_matching_rows(send, query, expected):
    assert names(data(await send(f"/users?fields=email&{query}"))) == expected


SHAPES = [
    # query, row
    ("fields=email", {"email": "vi@example.com"}),
    ("fields=email,title", {"email": "vi@example.com", "title": "Viewer"}),
    ("fields=role", {"role": uid("role-Viewer")}),
    ("fields=role.name", {"role": {"name": "Viewer"}}),
    ("fields=role,role.name", {"role": {"name": "Viewer"}}),
    ("fields=role.name,role.parent", {"role": {"name": "Viewer", "parent": None}}),
    ("fields=role.users", {"role": {"users": [VI]}}),
    ("fields=role.users.email", {"role": {"users": [{"email": "vi@example.com"}]}}),
    ("fields=role.policies.policy.name", {"role": {"policies": [{"policy": {"name": "Viewers"}}]}}),
    ("fields=password,token", {"password": "**********", "token": "**********"}),
    ("fields=year(last_access),count(policies)", {"last_access_year": None, "policies_count": "0"}),
    ("fields=x&alias[x]=email", {"x": "vi@example.com"}),
    ('fields=x&alias={"x":"email"}', {"x": "vi@example.com"}),
    ("fields=x&alias[x]=role", {"x": uid("role-Viewer")}),
    ("fields=x.name&alias[x]=role", {"x": {"name": "Viewer"}}),
    ("fields=x.name,y.id&alias[x]=role&alias[y]=role", {"x": {"name": "Viewer"}, "y": {"id": uid("role-Viewer")}}),
]


@pytest.mark.parametrize(("query", "row"), SHAPES)
async def test_fields_determine_the_shape_of_a_row(send, query, row):
    assert data(await send(f"/users/{VI}?{query}")) == row
    assert data(await send(f"/users?{query}&filter[id][_eq]={VI}")) == [row]


async def test_a_wildcard_includes_every_field_of_one_level(send):
    flat, role = data(await send(f"/users/{VI}?fields=*")), data(await send(f"/users/{VI}?fields=role.*"))["role"]
    deep = data(await send(f"/users/{VI}?fields=*.*"))

    assert set(flat) == set(deep) == set(USERS.fields)
    assert flat["role"] == uid("role-Viewer")
    assert role["name"] == "Viewer"
    assert role["users"] == [VI]
    assert deep == flat | {"role": role}
    assert data(await send(f"/users/{VI}?fields=*,role.name")) == flat | {"role": {"name": "Viewer"}}


@pytest.mark.parametrize("fields", ["*.*.id,role.policies.policy", "role.*.id,role.policies.policy"])
async def test_fields_below_a_wildcard_are_merged_with_the_named_ones(send, fields):
    role = data(await send(f"/users/{VI}?fields={fields}"))["role"]

    assert role["policies"] == [{"id": uid("access-Viewers-Viewer-None"), "policy": uid("policy-Viewers")}]
    assert role["users"] == [{"id": VI}]


DEEP = [
    ("users", "deep[users][_limit]=1&deep[users][_sort]=-email", ["ida"]),
    ("users", "deep[users][_sort]=email", ["ed", "ida"]),
    ("users", "deep[users][_sort]=email&deep[users][_offset]=1", ["ida"]),
    ("users", "deep[users][_sort]=email&deep[users][_limit]=1&deep[users][_page]=2", ["ida"]),
    ("users", "deep[users][_filter][status][_eq]=active", ["ed"]),
    ("users", "deep[users][_search]=edelman", ["ed"]),
    ("x", "alias[x]=users&deep[x][_limit]=1&deep[x][_sort]=email", ["ed"]),
    ("users", f"deep[users][_filter]={encode_json({'status': {'_eq': 'active'}})}", ["ed"]),
    ("users", "deep[users][_filter][_or][0][title]={}&deep[users][_filter][_or][3][status]=active", ["ed"]),
]


@pytest.mark.parametrize(("key", "query", "expected"), DEEP)
async def test_deep_parameters_apply_to_related_rows(send, key, query, expected):
    row = data(await send(f"/roles/{EDITOR}?fields={key}.email&{query}"))

    assert names(row[key]) == expected


async def test_deep_parameters_can_be_nested_like_the_fields(send):
    query = "fields=children.users.email&deep[children][users][_sort]=-email&deep[children][users][_limit]=1"
    row = data(await send(f"/roles/{uid('role-Staff')}?{query}"))

    assert row == {"children": [{"users": [{"email": "ida@example.com"}]}]}
    assert data(await send(f"/roles/{EDITOR}?fields=policies&deep[policies][_limit]=0")) == {"policies": []}


AGGREGATES = [
    ("aggregate[count]=*", [{"count": "9"}]),
    ("aggregate[countAll]=*", [{"countAll": "9"}]),
    ("aggregate[count]=title", [{"count": {"title": "5"}}]),
    ("aggregate[countDistinct]=status,role", [{"countDistinct": {"status": "3", "role": "7"}}]),
    ("aggregate[count]=*&filter[status][_eq]=active", [{"count": "7"}]),
    ("aggregate[count]=*&search=edelman", [{"count": "1"}]),
    (
        "aggregate[count]=*&groupBy[]=status&sort=-status",
        [
            {"status": "suspended", "count": "1"},
            {"status": "invited", "count": "1"},
            {"status": "active", "count": "7"},
        ],
    ),
    ("aggregate[count]=id&groupBy[]=status&sort=-count.id&limit=1", [{"status": "active", "count": {"id": "7"}}]),
    (
        "aggregate[count]=*&groupBy[]=year(last_access)&sort=year(last_access)&filter[last_access][_nnull]=true",
        [{"last_access_year": "2023", "count": "1"}, {"last_access_year": "2024", "count": "1"}],
    ),
    ("groupBy=status", [{"status": "active"}, {"status": "invited"}, {"status": "suspended"}]),
    ("groupBy[]=status&sort=-count,status&limit=2", [{"status": "active"}, {"status": "invited"}]),
    ("groupBy=status&aggregate={}&sort=-status&limit[]=1", [{"status": "suspended"}]),
    ("aggregate[count]=*&groupBy=status&sort=-count&limit=1", [{"status": "active", "count": "7"}]),
    ("aggregate[count]=*&groupBy=status&sort=-count.*&limit=1", [{"status": "active", "count": "7"}]),
    (
        "aggregate[max]=last_access&groupBy=role&filter[last_access][_nnull]=true&sort=-max.last_access",
        [
            {"role": uid("role-Administrator"), "max": {"last_access": "2024-01-15T10:30:45.123Z"}},
            {"role": uid("role-Editor"), "max": {"last_access": "2023-12-31T00:00:00.000Z"}},
        ],
    ),
    (
        "aggregate[min]=title,first_name&aggregate[max]=title",
        [{"min": {"title": "Director", "first_name": "Ada"}, "max": {"title": "Viewer"}}],
    ),
    ("aggregate[max]=title&groupBy=status&sort=-max.title&limit=1", [{"status": "active", "max": {"title": "Viewer"}}]),
]


@pytest.mark.parametrize(("query", "rows"), AGGREGATES)
async def test_a_row_contains_the_group_and_its_aggregates(send, query, rows):
    assert data(await send(f"/users?{query}")) == rows


METAS = [
    ("meta=total_count", {"total_count": 9}),
    ("meta=filter_count", {"filter_count": 1}),
    ("meta=total_count,filter_count", {"total_count": 9, "filter_count": 1}),
    ("meta[]=total_count&meta[]=filter_count", {"total_count": 9, "filter_count": 1}),
    ("meta=*", {"total_count": 9, "filter_count": 1}),
]


@pytest.mark.parametrize(("query", "meta"), METAS)
async def test_meta_counts_regardless_of_the_limit(send, query, meta):
    response = await send(f"/users?fields=email&limit=0&filter[status][_eq]=invited&{query}")

    assert response.json() == {"data": [], "meta": meta}


async def test_meta_counts_the_rows_that_the_caller_may_see(send):
    assert (await send("/users?fields=id&meta=*", "sam")).json()["meta"] == {"total_count": 1, "filter_count": 1}


EQUIVALENT = [
    ("fields=id,email", "fields[]=id&fields[]=email", "fields[0]=id&fields[1]=email", "fields=id&fields=email"),
    ("fields=id,email", "fields=id,%20email,", "fields[]=id,email", "fields%5B%5D=id&fields%5B%5D=email"),
    ("", "fields=*", "fields=", "fields[]=*", "unheard_of=1"),
    ("fields=*,role.*", "fields[]=*&fields[]=role.*"),
    (
        "filter[email][_eq]=vi@example.com",
        f"filter={encode_json({'email': {'_eq': 'vi@example.com'}})}",
        "filter[email]=vi@example.com",
        "filter[_and][0][email][_eq]=vi@example.com",
        "filter[_and][][email][_eq]=vi@example.com",
        "filter%5Bemail%5D%5B_eq%5D=vi%40example.com",
    ),
    (
        "filter[status][_in]=active,invited",
        "filter[status][_in][]=active&filter[status][_in][]=invited",
        "filter[status][_in][0]=active&filter[status][_in][1]=invited",
        f"filter={encode_json({'status': {'_in': ['active', 'invited']}})}",
    ),
    (
        "filter[title][_nnull]=true&filter[status][_eq]=active",
        f"filter={encode_json({'_and': [{'title': {'_nnull': True}}, {'status': {'_eq': 'active'}}]})}",
    ),
    ("sort=-status,email", "sort[]=-status&sort[]=email", "sort[0]=-status&sort[1]=email", "sort=-status&sort=email"),
    ("limit=3&page=2&sort=email", "limit=3&offset=3&sort=email", "limit=3.0&offset=3&sort[]=email"),
    ("limit=-1", "limit=100", "", "limit[]=100", "limit[4]=-1"),
    (
        "filter[_or][0][title][_eq]=Viewer&filter[_or][1][title][_eq]=Staff&sort=email",
        "filter[_or][0][title][_eq]=Viewer&filter[_or][2][title][_eq]=Staff&sort[3]=email",
        "filter[_or][9][title][_eq]=Viewer&filter[_or][4][title][_eq]=Staff&sort[]=email",
        "filter[title][_in][5]=Viewer&filter[title][_in][300]=Staff&sort=email",
    ),
    ("search=ed", "search=ED"),
    ("aggregate[count]=*", f"aggregate={encode_json({'count': '*'})}", f"aggregate={encode_json({'count': ['*']})}"),
    ("aggregate[count]=id,title", "aggregate[count][]=id&aggregate[count][]=title"),
    (
        "aggregate[count]=*&groupBy=role,status",
        "aggregate[count]=*&groupBy[]=role&groupBy[]=status",
        "aggregate[count]=*&groupBy[0]=role&groupBy[1]=status",
    ),
    ("fields=x.name&alias[x]=role", f"fields=x.name&alias={encode_json({'x': 'role'})}"),
    (
        "fields=role.users.id&deep[role][users][_limit]=1&deep[role][users][_sort]=email",
        f"fields=role.users.id&deep={encode_json({'role': {'users': {'_limit': 1, '_sort': ['email']}}})}",
    ),
    ("meta=*", "meta=total_count,filter_count", "meta[]=*"),
]


@pytest.mark.parametrize("queries", EQUIVALENT)
async def test_equivalent_queries_have_the_same_response(send, queries):
    fields = "" if re.search("fields|aggregate", "".join(queries)) else "fields=email&"
    responses = [await send(f"/users?{fields}{query}") for query in queries]

    assert [response.status_code for response in responses] == [200] * len(responses)
    assert [response.json() for response in responses] == [responses[0].json()] * len(responses)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("fields=email&sort=-email&limit=2", {"fields": ["email"], "sort": ["-email"], "limit": 2}),
        ("fields=email&sort=-email&limit=2", {"fields": "email", "sort": "-email", "limit": "2"}),
        ("filter[status][_eq]=invited", {"filter": {"status": {"_eq": "invited"}}}),
        ("aggregate[count]=*&groupBy=status", {"aggregate": {"count": "*"}, "groupBy": ["status"]}),
        ("groupBy=status,title&limit=2", {"groupBy": "status,title", "limit": [2]}),
        ("filter[status][_eq]=invited", {"filter": '{"status": {"_eq": "invited"}}'}),
        ("aggregate[count]=*", {"aggregate": '{"count": "*"}', "filter": "", "alias": "", "deep": ""}),
        ("fields=x&alias[x]=title&sort=email", {"fields": "x", "alias": '{"x": "title"}', "sort": "email"}),
        (
            "fields=role.users.id&deep[role][users][_limit]=1",
            {"fields": "role.users.id", "deep": '{"role": {"users": {"_limit": 1}}}'},
        ),
        ("fields=id&meta=*", {"fields": ["id"], "meta": ["*"]}),
        ("", {}),
        ("", None),
    ],
)
async def test_search_accepts_in_its_body_what_get_accepts_in_its_url(send, query, body):
    by_url = await send(f"/users?{query}")
    by_body = await send("/users", method="SEARCH", json={"query": body})

    assert (by_body.status_code, by_body.json()) == (200, by_url.json())


async def test_search_by_keys_returns_the_rows_that_exist(send):
    body = {"keys": [SAM, VI, MISSING], "query": {"fields": ["email"], "sort": ["email"]}}

    assert names(data(await send("/users", method="SEARCH", json=body))) == ["sam", "vi"]
    assert data(await send("/users", method="SEARCH", json={"keys": []})) == []
    assert len(data(await send("/users", method="SEARCH"))) == len(EMAILS)


SEARCHES = [
    ([], "INVALID_PAYLOAD"),
    ("x", "INVALID_PAYLOAD"),
    ({"keys": 1}, "INVALID_PAYLOAD"),
    ({"filter": {}}, "INVALID_PAYLOAD"),
    ({"query": {"filter": "x"}}, "INVALID_QUERY"),
    ({"query": {"filter": "[]"}}, "INVALID_QUERY"),
    ({"query": {"deep": {"role": {"_filter": "{"}}, "fields": "role.name"}}, "INVALID_QUERY"),
    ({"query": {"aggregate": "{"}}, "INVALID_QUERY"),
    ({"query": {"fields": {"email": 1}}}, "INVALID_QUERY"),
    ({"query": {"limit": True}}, "INVALID_QUERY"),
    ({"query": {"search": ["x"]}}, "INVALID_QUERY"),
    ({"query": {"aggregate": ["count"]}}, "INVALID_QUERY"),
    ({"query": {"alias": {"x": 1}}}, "INVALID_QUERY"),
    ({"query": {"fields": "role.name", "deep": {"role": 1}}}, "INVALID_QUERY"),
    ({"query": {"meta": {"x": 1}}}, "INVALID_QUERY"),
]


@pytest.mark.parametrize(("body", "code"), SEARCHES)
async def test_an_invalid_search_is_an_error(send, body, code):
    response = await send("/users", method="SEARCH", json=body)

    assert error(response) == (400, code)
    assert not INTERNALS.search(response.text)


@pytest.mark.parametrize(
    "body", [{"query": "x"}, {"query": 1}, {"keys": [VI], "query": "x"}, {"keys": [VI], "query": 5}]
)
async def test_a_search_query_must_be_an_object(send, body):
    assert error(await send("/users", method="SEARCH", json=body)) == (400, "INVALID_PAYLOAD")


QUERY, FORBIDDEN = (400, "INVALID_QUERY"), (403, "FORBIDDEN")

INVALID = [
    ("filter={", QUERY),
    ("filter=x", QUERY),
    ("filter=[]", QUERY),
    ("filter=5", QUERY),
    ("filter[no_such_field][_eq]=1", FORBIDDEN),
    ("filter[role][no_such_field][_eq]=1", FORBIDDEN),
    ("filter[email][_no_such_operator]=1", QUERY),
    ("filter[id][_eq]=%00", QUERY),
    ("filter[_and]=x", QUERY),
    (f"filter={'%7B%22_and%22:%5B' * 2000}{'%5D%7D' * 2000}", QUERY),
    (f"filter{'[_and]' * 1000}=1", QUERY),
    (f"a{'[b]' * 1000}=1", QUERY),
    ("a[=1", QUERY),
    ("a]=1", QUERY),
    ("[a]b[=1", QUERY),
    ("&".join(f"x{index}=1" for index in range(1001)), QUERY),
    ("fields=%FF", QUERY),
    ("fields=%C3", QUERY),
    ("fields=no_such_field", FORBIDDEN),
    ("fields=email.x", FORBIDDEN),
    ("fields=role.no_such_field", FORBIDDEN),
    ("fields=no_such_field.*", FORBIDDEN),
    ("fields=year(email)", QUERY),
    ("fields[a]=email", QUERY),
    (f"fields={'role.users.' * 20}id", QUERY),
    ("sort=no_such_field", FORBIDDEN),
    ("sort=role.no_such_field", FORBIDDEN),
    ("sort=-", FORBIDDEN),
    ("limit=x", QUERY),
    ("limit=1.5", QUERY),
    ("limit=-2", QUERY),
    ("limit=NaN", QUERY),
    ("limit=1&limit=2", QUERY),
    ("offset=-1", QUERY),
    ("offset=x", QUERY),
    ("page=-1", QUERY),
    ("page=x", QUERY),
    ("search=%00", QUERY),
    ("search[]=a&search[]=b", QUERY),
    ("meta=no_such_count", QUERY),
    ("meta=total_count,x", QUERY),
    ("export=pdf", QUERY),
    ("aggregate=x", QUERY),
    ("aggregate[median]=id", QUERY),
    ("aggregate[sum]=email", QUERY),
    ("aggregate[count]=no_such_field", FORBIDDEN),
    ("aggregate[count]=*&groupBy=no_such_field", FORBIDDEN),
    ("aggregate[count]=*&groupBy=role.name", QUERY),
    ("aggregate[count]=*&groupBy=role&sort=email", QUERY),
    ("alias=x", QUERY),
    ("alias[a.b]=role", QUERY),
    ("alias[a]=role.name", QUERY),
    ("deep=[]", QUERY),
    ("deep={", QUERY),
    ("fields=role.users.id&deep[role][users][_limit]=x", QUERY),
    ("fields=role.users.id&deep[role][users][_filter][no_such_field][_eq]=1", FORBIDDEN),
]


async def test_an_invalid_query_is_an_error_without_internals(client):
    for query, expected in INVALID:
        response = await client.get(f"/users?{query}", headers=ADA)
        assert error(response) == expected, query[:60]
        assert not INTERNALS.search(response.text)


async def test_a_filter_nested_too_deeply_is_an_invalid_query(send):
    filter_ = "%7B%22_and%22:%5B" * 400 + "%5D%7D" * 400

    assert error(await send(f"/users?fields=id&filter={filter_}")) == QUERY


@pytest.mark.parametrize("query", ["limit=1e30", "offset=1e30", "page=1e30"])
async def test_a_number_too_large_for_the_database_is_an_invalid_query(send, query):
    assert error(await send(f"/users?fields=id&{query}")) == QUERY


@pytest.mark.parametrize(
    ("path", "user", "expected"),
    [
        (f"/users/{MISSING}", "ada", FORBIDDEN),
        ("/users/x", "ada", FORBIDDEN),
        ("/permissions/x", "ada", FORBIDDEN),
        ("/permissions/99999999999999999999", "ada", FORBIDDEN),
        (f"/users/{VI}", "sam", FORBIDDEN),
        (f"/users/{VI}", "nora", FORBIDDEN),
        (f"/users/{VI}", None, FORBIDDEN),
        (f"/users/{VI}?fields=no_such_field", "ada", FORBIDDEN),
        (f"/users/{VI}?deep={{", "ada", QUERY),
        ("/users", None, FORBIDDEN),
        ("/users?fields=email", "vi", FORBIDDEN),
        ("/users?filter[email][_eq]=x", "vi", FORBIDDEN),
        ("/users?sort=email", "vi", FORBIDDEN),
        ("/users?fields=role.name", "vi", FORBIDDEN),
        ("/users?aggregate[count]=email", "vi", FORBIDDEN),
        ("/users?fields=x&alias[x]=email", "vi", FORBIDDEN),
        ("/settings", None, FORBIDDEN),
        ("/users", "missing", (401, "INVALID_CREDENTIALS")),
        ("/users/me", None, (401, "INVALID_CREDENTIALS")),
        ("/settings/1", "ada", (404, "ROUTE_NOT_FOUND")),
        (f"/users/{VI}/x", "ada", (404, "ROUTE_NOT_FOUND")),
        ("/users/me/x", "ada", (404, "ROUTE_NOT_FOUND")),
        ("/nothing", "ada", (404, "ROUTE_NOT_FOUND")),
    ],
)
async def test_an_inaccessible_path_is_an_error(send, path, user, expected):
    response = await send(path, user)

    assert error(response) == expected
    assert not INTERNALS.search(response.text)


async def test_a_row_can_be_read_by_its_key(send):
    assert data(await send(f"/users/{VI}"))["email"] == "vi@example.com"
    assert data(await send("/permissions/8?fields=collection,action")) == {
        "collection": "directus_roles",
        "action": "read",
    }


VISIBLE_FIELDS = {"first_name", "id", "password", "title", "token"}


async def test_a_caller_gets_the_fields_it_may_read(send):
    rows = data(await send("/users?sort=title", "vi"))

    assert {frozenset(row) for row in rows} == {frozenset(VISIBLE_FIELDS)}
    assert [row["title"] for row in rows] == ["Director", "Editor", "Editor", "Staff", "Viewer"]
    assert {row["token"] for row in rows} == {"**********"}
    assert set(data(await send(f"/users/{VI}", "vi"))) == VISIBLE_FIELDS
    assert data(await send("/users?fields=*.*&sort=title", "vi")) == rows


async def test_a_caller_gets_the_rows_it_may_read(send):
    assert names(data(await send("/users?limit=-1", "sam"))) == ["sam"]
    assert data(await send(f"/users/{SAM}?fields=last_name", "sam")) == {"last_name": "Čapek"}
    assert data(await send("/users?aggregate[count]=*", "sam")) == [{"count": "1"}]
    assert data(await send("/users?fields=email&search=ada", "sam")) == []


async def test_a_field_is_null_on_rows_where_its_rule_does_not_apply(send):
    emails = {row["first_name"]: row["email"] for row in data(await send("/users?fields=first_name,email", "ed"))}

    assert (emails["Ida"], emails["Sue"]) == (None, None)
    assert emails["Vi"] == "vi@example.com"


@pytest.mark.parametrize(
    ("path", "user", "expected"),
    [
        ("/users/me?fields=email", "ada", {"email": "ada@example.com"}),
        ("/users/me?fields=title", "vi", {"title": "Viewer"}),
        ("/users/me", "nora", {"id": uid("nora")}),
        ("/roles/me?fields=name", "ada", [{"name": "Administrator"}]),
        ("/roles/me?fields=name&sort=name", "ed", [{"name": "Editor"}, {"name": "Staff"}]),
        ("/roles/me", "sam", [{"id": uid("role-Self")}]),
        ("/roles/me", "nora", []),
        ("/policies/me/globals", "ada", {"app_access": True, "admin_access": True, "enforce_tfa": False}),
        ("/policies/me/globals", "ann", {"app_access": True, "admin_access": False, "enforce_tfa": False}),
        ("/policies/me/globals", "sam", {"app_access": False, "admin_access": False, "enforce_tfa": False}),
        ("/policies/me/globals", None, {"app_access": False}),
        ("/settings", "ada", {}),
        ("/activity", "ada", []),
        ("/revisions", "ada", []),
    ],
)
async def test_every_caller_can_read_its_own_data(send, path, user, expected):
    assert data(await send(path, user)) == expected


async def test_every_caller_can_read_its_own_permissions(send):
    sam, ada = data(await send("/permissions/me", "sam")), data(await send("/permissions/me"))

    assert sam["directus_users"]["update"] == {"access": "none"}
    assert sam["directus_users"]["read"] == {"access": "partial", "fields": ["*"]}
    assert ada["directus_users"]["delete"] == {"access": "full", "fields": ["*"]}


@pytest.mark.parametrize(
    ("item", "user", "access"),
    [
        (f"directus_users/{VI}", "ada", True),
        (f"directus_users/{MISSING}", "ada", False),
        ("directus_users/x", "ada", False),
        (f"directus_users/{VI}", "sam", False),
        ("directus_settings", "ada", True),
        ("directus_settings", "sam", False),
        ("no_such_collection/1", "sam", False),
    ],
)
async def test_every_caller_can_read_its_own_permissions_for_a_row(send, item, user, access):
    permissions = data(await send(f"/permissions/me/{item}", user))

    assert permissions["update"] == permissions["delete"] == {"access": access}


@pytest.mark.parametrize(
    "path", ["/permissions/me", "/permissions/me/directus_roles", "/permissions/me/no_such_collection/1", "/roles/me"]
)
async def test_anonymous_callers_have_neither_roles_nor_permissions_of_their_own(send, path):
    assert (await send(path, None)).status_code == 403


async def test_permissions_bound_to_a_network_depend_on_the_client_ip(client, readonly_db):
    proxied = readonly_db.settings.model_copy(update={"ip_trust_proxy": True})
    inside = bearer(static_token("kit")) | {"X-Forwarded-For": OFFICE_IP}
    async with served(proxied) as proxied_client:
        from_inside = [await proxied_client.get("/users?fields=email&limit=1", headers=inside) for _ in range(2)]
        from_outside = await proxied_client.get("/users?fields=email&limit=1", headers=bearer(static_token("kit")))

    assert [response.status_code for response in from_inside] == [200, 200]
    assert from_outside.status_code == 403


@pytest.mark.parametrize("path", ["/users", f"/users/{VI}", "/users/me", "/users?meta=*", "/settings"])
async def test_a_response_to_head_has_no_body(send, path):
    response = await send(path, method="HEAD")

    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("path", ["/users", f"/users/{VI}", "/users/me"])
async def test_options_lists_the_allowed_methods(send, path):
    response = await send(path, None, "OPTIONS")

    assert response.status_code == 200
    assert {"GET", "SEARCH", "PATCH"} <= set(response.headers["allow"].split(","))


@pytest.mark.parametrize("method", ["PUT", "TRACE", "NOTHING"])
async def test_other_methods_have_no_route(send, method):
    for path in ("/users", f"/users/{VI}", "/users/me"):
        assert error(await send(path, method=method)) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize("path", ["/users?fields=id,first_name&sort=id", "/users/me?fields=id", "/roles?fields=name"])
async def test_a_response_does_not_depend_on_previous_callers(send, path):
    for user in ("ada", "ed", "vi", "sam", "ann", "nora", None):
        response = await send(path, user)
        assert response.status_code in (200, 401, 403)
        assert not INTERNALS.search(response.text)
