"""Reading over REST: every spelling of the query parameters asks the same, and what makes no sense is told so.

Whatever is asked is asked three times: of a server that knows no plans, and twice of one that does. The three answers
are one.
"""

import re
from urllib.parse import quote

import orjson
import pytest
import pytest_asyncio

from app.query.collection import USERS
from tests.http.test_graphql import ADA, bearer, served
from tests.world import OFFICE_IP, static_token, uid

EMAILS = ["ada", "ann", "ed", "ida", "kit", "nora", "sam", "sue", "vi"]
VI, SAM, NOBODY, EDITOR = uid("vi"), uid("sam"), uid("nobody"), uid("role-Editor")
WORDS = re.compile(r"Traceback|File \"|\b(SELECT|FROM|WHERE|ORDER BY)\b|sqlite|asyncpg|sqlalchemy|recursion")


@pytest_asyncio.fixture(scope="session")
async def client(readonly_db):
    async with served(readonly_db.settings.model_copy(update={"log_level": "error"})) as client:
        yield client


@pytest_asyncio.fixture(scope="session")
async def plain(readonly_db):
    async with served(readonly_db.settings.model_copy(update={"graphql_plans": False, "log_level": "error"})) as client:
        yield client


@pytest.fixture
def ask(client, plain):
    """Asks without plans, and twice with them; the one answer."""

    async def asked(path, who="ada", method="GET", **more):
        headers = bearer(static_token(who)) if who else {}
        first, *others = [await one.request(method, path, headers=headers, **more) for one in (plain, client, client)]
        for other in others:
            assert (other.status_code, said(other)) == (first.status_code, said(first))
        return first

    return asked


def said(answer):
    """What an answer says; a plan may space its text otherwise."""
    return answer.json() if answer.content[:1] == b"{" else answer.content


def json(value):
    return quote(orjson.dumps(value))


def data(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def code(answer):
    return answer.status_code, answer.json()["errors"][0]["extensions"]["code"]


def names(rows):
    return [row["email"].removesuffix("@example.com") for row in rows]


LISTS = [
    # what is asked,                                                       who is found
    ("sort=email", EMAILS),
    ("sort=-email", EMAILS[::-1]),
    ("sort=email&limit=-1", EMAILS),
    ("sort=email&limit=2", ["ada", "ann"]),
    ("sort=email&limit=0", []),
    ("sort=email&limit=2&offset=1", ["ann", "ed"]),
    ("sort=email&limit=2&page=2", ["ed", "ida"]),
    ("sort=email&limit=2&page=2&offset=7", ["ed", "ida"]),
    ("sort=email&limit=2&page=0", ["ada", "ann"]),
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
    ("search=EDEL", ["ed"]),
    ("search=%C4%8Capek", ["sam"]),
    ("search=no+such+thing", []),
    ("sort=email&search=", EMAILS),
    ("sort=email&search=editor&filter[status][_eq]=invited", ["ida"]),
]


@pytest.mark.parametrize(("query", "found"), LISTS)
async def test_a_list_holds_who_is_asked_for(ask, query, found):
    assert names(data(await ask(f"/users?fields=email&{query}"))) == found


SHAPES = [
    # of one user,                                                      is told
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
    ("fields=year(last_access),count(policies)", {"last_access_year": None, "policies_count": 0}),
    ("fields=x&alias[x]=role", {"x": uid("role-Viewer")}),
    ("fields=x.name&alias[x]=role", {"x": {"name": "Viewer"}}),
    ("fields=x.name,y.id&alias[x]=role&alias[y]=role", {"x": {"name": "Viewer"}, "y": {"id": uid("role-Viewer")}}),
]


@pytest.mark.parametrize(("query", "told"), SHAPES)
async def test_fields_say_what_is_told(ask, query, told):
    assert data(await ask(f"/users/{VI}?{query}")) == told
    assert data(await ask(f"/users?{query}&filter[id][_eq]={VI}")) == [told]


async def test_an_asterisk_stands_for_every_field_one_level_deep(ask):
    flat, role = data(await ask(f"/users/{VI}?fields=*")), data(await ask(f"/users/{VI}?fields=role.*"))["role"]
    deep = data(await ask(f"/users/{VI}?fields=*.*"))

    assert set(flat) == set(deep) == set(USERS.fields)
    assert flat["role"] == uid("role-Viewer")
    assert role["name"] == "Viewer"
    assert role["users"] == [VI]
    assert deep == flat | {"role": role}
    assert data(await ask(f"/users/{VI}?fields=*,role.name")) == flat | {"role": {"name": "Viewer"}}


DEEP = [
    ("users", "deep[users][_limit]=1&deep[users][_sort]=-email", ["ida"]),
    ("users", "deep[users][_sort]=email", ["ed", "ida"]),
    ("users", "deep[users][_sort]=email&deep[users][_offset]=1", ["ida"]),
    ("users", "deep[users][_sort]=email&deep[users][_limit]=1&deep[users][_page]=2", ["ida"]),
    ("users", "deep[users][_filter][status][_eq]=active", ["ed"]),
    ("users", "deep[users][_search]=edelman", ["ed"]),
    ("x", "alias[x]=users&deep[x][_limit]=1&deep[x][_sort]=email", ["ed"]),
]


@pytest.mark.parametrize(("key", "query", "found"), DEEP)
async def test_deep_asks_of_the_rows_behind_a_relation(ask, key, query, found):
    answer = data(await ask(f"/roles/{EDITOR}?fields={key}.email&{query}"))

    assert names(answer[key]) == found


async def test_deep_goes_as_deep_as_the_fields(ask):
    asked = "fields=children.users.email&deep[children][users][_sort]=-email&deep[children][users][_limit]=1"
    told = data(await ask(f"/roles/{uid('role-Staff')}?{asked}"))

    assert told == {"children": [{"users": [{"email": "ida@example.com"}]}]}
    assert data(await ask(f"/roles/{EDITOR}?fields=policies&deep[policies][_limit]=0")) == {"policies": []}


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
        "aggregate[count]=*&groupBy[]=year(last_access)&sort=year(last_access)&filter[last_access][_nnull]=1",
        [{"last_access_year": "2023", "count": "1"}, {"last_access_year": "2024", "count": "1"}],
    ),
]


@pytest.mark.parametrize(("query", "told"), AGGREGATES)
async def test_an_aggregate_is_told_beside_its_group(ask, query, told):
    assert data(await ask(f"/users?{query}")) == told


METAS = [
    ("meta=total_count", {"total_count": 9}),
    ("meta=filter_count", {"filter_count": 1}),
    ("meta=total_count,filter_count", {"total_count": 9, "filter_count": 1}),
    ("meta[]=total_count&meta[]=filter_count", {"total_count": 9, "filter_count": 1}),
    ("meta=*", {"total_count": 9, "filter_count": 1}),
]


@pytest.mark.parametrize(("query", "told"), METAS)
async def test_meta_counts_whatever_the_limit_is(ask, query, told):
    answer = await ask(f"/users?fields=email&limit=0&filter[status][_eq]=invited&{query}")

    assert answer.json() == {"data": [], "meta": told}


async def test_meta_counts_what_its_caller_may_see(ask):
    assert (await ask("/users?fields=id&meta=*", "sam")).json()["meta"] == {"total_count": 1, "filter_count": 1}


SAME = [
    ("fields=id,email", "fields[]=id&fields[]=email", "fields[0]=id&fields[1]=email", "fields=id&fields=email"),
    ("fields=id,email", "fields=id,%20email,", "fields[]=id,email", "fields%5B%5D=id&fields%5B%5D=email"),
    ("", "fields=*", "fields=", "fields[]=*", "unheard_of=1"),
    ("fields=*,role.*", "fields[]=*&fields[]=role.*"),
    (
        "filter[email][_eq]=vi@example.com",
        f"filter={json({'email': {'_eq': 'vi@example.com'}})}",
        "filter[email]=vi@example.com",
        "filter[_and][0][email][_eq]=vi@example.com",
        "filter[_and][][email][_eq]=vi@example.com",
        "filter%5Bemail%5D%5B_eq%5D=vi%40example.com",
    ),
    (
        "filter[status][_in]=active,invited",
        "filter[status][_in][]=active&filter[status][_in][]=invited",
        "filter[status][_in][0]=active&filter[status][_in][1]=invited",
        f"filter={json({'status': {'_in': ['active', 'invited']}})}",
    ),
    (
        "filter[title][_nnull]=true&filter[status][_eq]=active",
        f"filter={json({'_and': [{'title': {'_nnull': True}}, {'status': {'_eq': 'active'}}]})}",
    ),
    ("sort=-status,email", "sort[]=-status&sort[]=email", "sort[0]=-status&sort[1]=email", "sort=-status&sort=email"),
    ("limit=3&page=2&sort=email", "limit=3&offset=3&sort=email", "limit=3.0&offset=3&sort[]=email"),
    ("limit=-1", "limit=100", ""),
    ("search=ed", "search=ED"),
    ("aggregate[count]=*", f"aggregate={json({'count': '*'})}", f"aggregate={json({'count': ['*']})}"),
    ("aggregate[count]=id,title", "aggregate[count][]=id&aggregate[count][]=title"),
    (
        "aggregate[count]=*&groupBy=role,status",
        "aggregate[count]=*&groupBy[]=role&groupBy[]=status",
        "aggregate[count]=*&groupBy[0]=role&groupBy[1]=status",
    ),
    ("fields=x.name&alias[x]=role", f"fields=x.name&alias={json({'x': 'role'})}"),
    (
        "fields=role.users.id&deep[role][users][_limit]=1&deep[role][users][_sort]=email",
        f"fields=role.users.id&deep={json({'role': {'users': {'_limit': 1, '_sort': ['email']}}})}",
    ),
    ("meta=*", "meta=total_count,filter_count", "meta[]=*"),
]


@pytest.mark.parametrize("spellings", SAME)
async def test_different_spellings_ask_the_same(ask, spellings):
    fields = "" if re.search("fields|aggregate", "".join(spellings)) else "fields=email&"
    answers = [await ask(f"/users?{fields}{spelled}") for spelled in spellings]

    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert [answer.json() for answer in answers] == [answers[0].json()] * len(answers)


@pytest.mark.parametrize(
    ("query", "asked"),
    [
        ("fields=email&sort=-email&limit=2", {"fields": ["email"], "sort": ["-email"], "limit": 2}),
        ("fields=email&sort=-email&limit=2", {"fields": "email", "sort": "-email", "limit": "2"}),
        ("filter[status][_eq]=invited", {"filter": {"status": {"_eq": "invited"}}}),
        ("aggregate[count]=*&groupBy=status", {"aggregate": {"count": "*"}, "groupBy": ["status"]}),
        ("fields=id&meta=*", {"fields": ["id"], "meta": ["*"]}),
        ("", {}),
        ("", None),
    ],
)
async def test_search_asks_by_its_body_what_get_asks_by_its_url(ask, query, asked):
    by_url = await ask(f"/users?{query}")
    by_body = await ask("/users", method="SEARCH", json={"query": asked})

    assert (by_body.status_code, by_body.json()) == (200, by_url.json())


async def test_search_finds_by_keys_those_that_are_there(ask):
    asked = {"keys": [SAM, VI, NOBODY], "query": {"fields": ["email"], "sort": ["email"]}}

    assert names(data(await ask("/users", method="SEARCH", json=asked))) == ["sam", "vi"]
    assert data(await ask("/users", method="SEARCH", json={"keys": []})) == []
    assert len(data(await ask("/users", method="SEARCH"))) == len(EMAILS)


SEARCHES = [
    ([], "INVALID_PAYLOAD"),
    ("x", "INVALID_PAYLOAD"),
    ({"keys": 1}, "INVALID_PAYLOAD"),
    ({"filter": {}}, "INVALID_PAYLOAD"),
    ({"query": {"filter": "x"}}, "INVALID_QUERY"),
    ({"query": {"fields": {"email": 1}}}, "INVALID_QUERY"),
    ({"query": {"limit": True}}, "INVALID_QUERY"),
    ({"query": {"search": ["x"]}}, "INVALID_QUERY"),
    ({"query": {"aggregate": ["count"]}}, "INVALID_QUERY"),
    ({"query": {"alias": {"x": 1}}}, "INVALID_QUERY"),
    ({"query": {"fields": "role.name", "deep": {"role": 1}}}, "INVALID_QUERY"),
    ({"query": {"meta": {"x": 1}}}, "INVALID_QUERY"),
]


@pytest.mark.parametrize(("body", "told"), SEARCHES)
async def test_a_search_that_makes_no_sense_is_told_so(ask, body, told):
    answer = await ask("/users", method="SEARCH", json=body)

    assert code(answer) == (400, told)
    assert not WORDS.search(answer.text)


@pytest.mark.parametrize(
    "body", [{"query": "x"}, {"query": 1}, {"keys": [VI], "query": "x"}, {"keys": [VI], "query": 5}]
)
async def test_a_search_whose_query_is_no_object_is_told_so(ask, body):
    assert code(await ask("/users", method="SEARCH", json=body)) == (400, "INVALID_PAYLOAD")


QUERY, FORBIDDEN = (400, "INVALID_QUERY"), (403, "FORBIDDEN")

WRONG = [
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
    ("&".join(f"x{at}=1" for at in range(1001)), QUERY),
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


async def test_what_makes_no_sense_is_told_without_a_trace(client):
    for query, told in WRONG:
        answer = await client.get(f"/users?{query}", headers=ADA)
        assert code(answer) == told, query[:60]
        assert not WORDS.search(answer.text)


async def test_a_filter_nested_too_deeply_is_told_so(ask):
    filter_ = "%7B%22_and%22:%5B" * 400 + "%5D%7D" * 400

    assert code(await ask(f"/users?fields=id&filter={filter_}")) == QUERY


@pytest.mark.parametrize("query", ["limit=1e30", "offset=1e30", "page=1e30"])
async def test_a_window_that_no_database_can_hold_is_told_so(ask, query):
    assert code(await ask(f"/users?fields=id&{query}")) == QUERY


@pytest.mark.parametrize(
    ("path", "who", "told"),
    [
        (f"/users/{NOBODY}", "ada", FORBIDDEN),
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
        ("/users", "nobody", (401, "INVALID_CREDENTIALS")),
        ("/users/me", None, (401, "INVALID_CREDENTIALS")),
        ("/settings/1", "ada", (404, "ROUTE_NOT_FOUND")),
        (f"/users/{VI}/x", "ada", (404, "ROUTE_NOT_FOUND")),
        ("/users/me/x", "ada", (404, "ROUTE_NOT_FOUND")),
        ("/nothing", "ada", (404, "ROUTE_NOT_FOUND")),
    ],
)
async def test_what_is_out_of_reach_is_told_so(ask, path, who, told):
    answer = await ask(path, who)

    assert code(answer) == told
    assert not WORDS.search(answer.text)


async def test_a_row_is_told_by_its_key(ask):
    assert data(await ask(f"/users/{VI}"))["email"] == "vi@example.com"
    assert data(await ask("/permissions/8?fields=collection,action")) == {
        "collection": "directus_roles",
        "action": "read",
    }


SEEN = {"first_name", "id", "password", "title", "token"}


async def test_who_may_read_some_fields_is_told_these(ask):
    rows = data(await ask("/users?sort=title", "vi"))

    assert {frozenset(row) for row in rows} == {frozenset(SEEN)}
    assert [row["title"] for row in rows] == ["Director", "Editor", "Editor", "Staff", "Viewer"]
    assert {row["token"] for row in rows} == {"**********"}
    assert set(data(await ask(f"/users/{VI}", "vi"))) == SEEN
    assert data(await ask("/users?fields=*.*&sort=title", "vi")) == rows


async def test_who_may_read_one_row_is_told_this_one(ask):
    assert names(data(await ask("/users?limit=-1", "sam"))) == ["sam"]
    assert data(await ask(f"/users/{SAM}?fields=last_name", "sam")) == {"last_name": "Čapek"}
    assert data(await ask("/users?aggregate[count]=*", "sam")) == [{"count": "1"}]
    assert data(await ask("/users?fields=email&search=ada", "sam")) == []


async def test_of_a_row_that_a_rule_leaves_out_a_field_is_null(ask):
    told = {row["first_name"]: row["email"] for row in data(await ask("/users?fields=first_name,email", "ed"))}

    assert (told["Ida"], told["Sue"]) == (None, None)
    assert told["Vi"] == "vi@example.com"


@pytest.mark.parametrize(
    ("path", "who", "told"),
    [
        ("/users/me?fields=email", "ada", {"email": "ada@example.com"}),
        ("/users/me?fields=title", "vi", {"title": "Viewer"}),
        ("/users/me", "nora", {"id": uid("nora")}),
        ("/roles/me?fields=name", "ada", [{"name": "Administrator"}]),
        ("/roles/me?fields=name&sort=name", "ed", [{"name": "Editor"}, {"name": "Staff"}]),
        ("/roles/me", "sam", [{"id": uid("role-Self")}]),
        ("/roles/me", "nora", []),
        ("/roles/me", None, []),
        ("/policies/me/globals", "ada", {"app_access": True, "admin_access": True, "enforce_tfa": False}),
        ("/policies/me/globals", "ann", {"app_access": True, "admin_access": False, "enforce_tfa": False}),
        ("/policies/me/globals", "sam", {"app_access": False, "admin_access": False, "enforce_tfa": False}),
        ("/policies/me/globals", None, {"app_access": False}),
        ("/settings", "ada", {}),
        ("/activity", "ada", []),
        ("/revisions", "ada", []),
    ],
)
async def test_everybody_may_ask_about_themselves(ask, path, who, told):
    assert data(await ask(path, who)) == told


async def test_everybody_may_ask_what_they_may_do(ask):
    nobodys, sams = data(await ask("/permissions/me", None)), data(await ask("/permissions/me", "sam"))
    adas = data(await ask("/permissions/me"))

    assert set(nobodys) == {"directus_roles"}
    assert nobodys["directus_roles"]["read"] == {"access": "partial", "fields": ["id", "name"]}
    assert nobodys["directus_roles"]["update"] == {"access": "none"}
    assert sams["directus_users"]["read"] == {"access": "partial", "fields": ["*"]}
    assert adas["directus_users"]["delete"] == {"access": "full", "fields": ["*"]}


@pytest.mark.parametrize(
    ("item", "who", "may"),
    [
        (f"directus_users/{VI}", "ada", True),
        (f"directus_users/{NOBODY}", "ada", False),
        ("directus_users/x", "ada", False),
        (f"directus_users/{VI}", "sam", False),
        (f"directus_users/{VI}", None, False),
        ("directus_settings", "ada", True),
        ("directus_settings", "sam", False),
        ("no_such_collection/1", "sam", False),
    ],
)
async def test_everybody_may_ask_what_they_may_do_to_a_row(ask, item, who, may):
    told = data(await ask(f"/permissions/me/{item}", who))

    assert told["update"] == told["delete"] == {"access": may}


async def test_rights_that_depend_on_the_network_are_asked_of_the_address(client, readonly_db):
    proxied = readonly_db.settings.model_copy(update={"ip_trust_proxy": True})
    inside = bearer(static_token("kit")) | {"X-Forwarded-For": OFFICE_IP}
    async with served(proxied) as trusting:
        near = [await trusting.get("/users?fields=email&limit=1", headers=inside) for _ in range(2)]
        far = await trusting.get("/users?fields=email&limit=1", headers=bearer(static_token("kit")))

    assert [answer.status_code for answer in near] == [200, 200]
    assert far.status_code == 403


@pytest.mark.parametrize("path", ["/users", f"/users/{VI}", "/users/me", "/users?meta=*", "/settings"])
async def test_an_answer_to_head_has_no_body(ask, path):
    answer = await ask(path, method="HEAD")

    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize("path", ["/users", f"/users/{VI}", "/users/me"])
async def test_options_say_what_is_allowed(ask, path):
    answer = await ask(path, None, "OPTIONS")

    assert answer.status_code == 200
    assert {"GET", "SEARCH", "PATCH"} <= set(answer.headers["allow"].split(","))


@pytest.mark.parametrize("method", ["PUT", "TRACE", "NOTHING"])
async def test_other_methods_lead_nowhere(ask, method):
    for path in ("/users", f"/users/{VI}", "/users/me"):
        assert code(await ask(path, method=method)) == (404, "ROUTE_NOT_FOUND")


@pytest.mark.parametrize("path", ["/users?fields=id,first_name&sort=id", "/users/me?fields=id", "/roles?fields=name"])
async def test_an_answer_is_its_callers_whoever_asked_before(ask, path):
    for who in ("ada", "ed", "vi", "sam", "ann", "nora", None):
        answer = await ask(path, who)
        assert answer.status_code in (200, 401, 403)
        assert not WORDS.search(answer.text)
