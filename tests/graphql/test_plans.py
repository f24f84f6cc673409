"""Plans return the same results as full execution, for all values and callers."""

import asyncio
from datetime import UTC, datetime
from itertools import permutations

import pytest
from graphql import parse

from app.core.cache import LRUCache
from app.core.caller import Caller
from app.graphql.plans.cache import MAX_TEXT_LENGTH, PlanCache
from app.graphql.plans.literals import MAX_LITERALS, NUMBER_PLACEHOLDER, TEXT_PLACEHOLDER, extract_literals
from app.graphql.schema import schema
from app.repositories.directory import Directory
from app.repositories.services import Services
from tests.base_data import OFFICE_IP, caller, uid

ADA, ED, VI, SAM, ANN = (caller(name) for name in ("ada", "ed", "vi", "sam", "ann"))
CALLERS = [ADA, ED, VI, SAM, ANN, caller("nora"), caller("kit", OFFICE_IP), Caller()]

FILTER = "query($f: directus_users_filter) { users(filter: $f) { id first_name } }"
BY_ID = "query($id: ID!) { users_by_id(id: $id) { id first_name role { name } } }"
BY_IDS = "query($ids: [ID]) { users(filter: { id: { _in: $ids } }) { id } }"
WINDOW = "query($l: Int, $o: Int, $p: Int) { users(limit: $l, offset: $o, page: $p) { id } }"
SEARCH = 'query($t: String) { users(search: $t, filter: { status: { _neq: "draft" } }) { id } }'
SORT = "query($s: [String], $g: [String]) { users_aggregated(groupBy: $g, sort: $s) { group countAll } }"
SKIP = "query($no: Boolean!) { users { id first_name @skip(if: $no) } }"
REPEATED = "query($x: String) { users(search: $x, sort: [$x]) { id } }"
NESTED = """
query($name: String, $n: Int, $t: String) {
  roles(filter: { name: { _contains: $name } }) { name users(limit: $n, search: $t, sort: ["first_name"]) { id } }
}
"""

QUERIES = [
    (FILTER, [{"f": {"title": {"_eq": text}}} for text in ("Editor", "Viewer", "nobody", "", "$CURRENT_USER.title")]),
    (FILTER, [{"f": {"title": {"_in": texts}}} for texts in (["Editor"], ["Viewer", "Staff"], ["Editor", ""], [])]),
    (FILTER, [{"f": {"title": {"_nin": texts}}} for texts in (["Editor"], ["Viewer", "Staff"])]),
    (FILTER, [{"f": {"first_name": {"_icontains": text}}} for text in ("A", "i", "a,b")]),
    (FILTER, [{"f": {"last_access": {"_gt": text}}} for text in ("2023-01-01", "2024-01-01", "yesterday", "$NOW")]),
    (FILTER, [{"f": {"last_access": {"_between": pair}}} for pair in (["2023-01-01", "2024-01-01"], ["2024-01-01"])]),
    (FILTER, [{"f": {"last_access_func": {"year": {"_eq": year}}}} for year in (2023, 2024, "2024", 2.5, -1)]),
    (FILTER, [{"f": {"role": {"_eq": uid(role)}}} for role in ("role-Editor", "role-Self")]),
    (FILTER, [{"f": {"role": {"name": {"_eq": name}}}} for name in ("Editor", "Self")]),
    (FILTER, [{"f": {"id": {"_eq": "$CURRENT_USER"}}}, {"f": {"id": {"_neq": "$CURRENT_USER"}}}]),
    (FILTER, [{"f": {"_or": [{"title": {"_eq": a}}, {"title": {"_eq": b}}]}} for a, b in ("ab", ("Editor", "Staff"))]),
    (FILTER, [{"f": {"status": {"_null": flag}}} for flag in (True, False)]),
    (FILTER, [{"f": None}, {}, {"f": {}}, {"f": 1}, {"g": 1}]),
    (BY_ID, [{"id": key} for key in (uid("ada"), uid("sam"), uid("nobody"), "nonsense", "", 5)]),
    (BY_IDS, [{"ids": ids} for ids in ([uid("ada")], [uid("ed"), uid("vi")], [], uid("sam"), ["x"], [1])]),
    (WINDOW, [{"l": 1}, {"l": 2}, {"l": 2, "o": 1}, {"l": 2, "p": 2}, {"l": 2, "p": 3}, {"l": -1}, {"l": -2}]),
    (SEARCH, [{"t": text} for text in ("ed", "vi", "", None, uid("ada"), uid("ada").upper(), "x" * 36, "\x00")]),
    (SORT, [{"s": s, "g": g} for s, g in ((["title"], ["title"]), (["-title"], ["title"]), (["id"], ["title"]))]),
    (SKIP, [{"no": True}, {"no": False}]),
    (REPEATED, [{"x": "first_name"}, {"x": "id"}]),
    (NESTED, [{"name": "E", "n": 1, "t": "e"}, {"name": "S", "n": 2, "t": "s"}, {"name": "S", "n": 1, "t": None}]),
    ("{ roles_me { id name } users_me { id email } }", [{}, {}]),
    ("{ a: users(limit: 1) { id } b: users(limit: 1) { id } server_ping }", [{}, {}]),
]  # fmt: skip


def comparable(result):
    return result.data, [(error.message, error.path, str(error.original_error)) for error in result.errors or ()]


@pytest.fixture
def full_execution(readonly_db):
    """Return a function that executes queries without plans."""
    services = Services.from_settings(
        readonly_db.database, readonly_db.settings.model_copy(update={"graphql_plans": False})
    )

    async def execute(query, variables, caller_):
        return await schema.execute(query, variables, context_value=Directory(caller_, services))

    return execute


@pytest.mark.sampled
@pytest.mark.parametrize(("query", "variables_list"), QUERIES)
async def test_plans_return_the_same_as_full_execution_for_all_values_and_callers(
    readonly_db, full_execution, query, variables_list
):
    requests = [(variables, caller_) for variables in variables_list for caller_ in CALLERS]
    expected_results = [
        comparable(await full_execution(query, dict(variables), caller_)) for variables, caller_ in requests
    ]
    for _ in range(2):
        for (variables, caller_), expected in zip(requests, expected_results, strict=True):
            assert comparable(await readonly_db.execute(query, dict(variables), caller_)) == expected, (
                variables,
                caller_,
            )


LITERALS = [
    ("{ users(limit: %s) { id } }", ["1", "2", "-1", "0", '"x"']),
    ('{ users(filter: { title: { _eq: "%s" } }) { id } }', ["Editor", "Viewer", "a,b", "", "$CURRENT_USER.title"]),
    ('{ users(filter: { title: { _in: ["%s", "Staff"] } }) { id } }', ["Editor", "Staff", "Viewer"]),
    ('{ users(filter: { title: { _in: "%s" } }) { id } }', ["Editor", "Editor,Staff"]),
    ('{ users(sort: ["%s"]) { id } }', ["first_name", "-first_name", "title", "nonsense"]),
    ('{ users_by_id(id: "%s") { id } }', [uid("ada"), uid("vi"), "x"]),
    ('{ users(search: "%s", limit: 3) { id } }', ["ed", "vi", uid("ed")]),
    ('{ users_aggregated(groupBy: ["%s"]) { group countAll } }', ["title", "first_name", "year(last_access)"]),
    ('{ x: users(filter: { title: { _eq: "" }, first_name: { _eq: "%s" } }) { id } }', ["Ada", "Ed"]),
    ('# a comment with "%s"\n{ users(limit: 2) { id } }', ["one", "two"]),
    ("query Q($n: Int = %s) { users(limit: $n) { id } }", ["1", "2"]),
]  # fmt: skip


@pytest.mark.parametrize(("query", "literals"), LITERALS)
async def test_texts_that_differ_only_in_literals_get_their_own_results(readonly_db, full_execution, query, literals):
    for _ in range(2):
        for literal in literals:
            for caller_ in (ADA, ED):
                text = query % literal
                assert comparable(await readonly_db.execute(text, None, caller_)) == comparable(
                    await full_execution(text, None, caller_)
                ), text


@pytest.mark.parametrize(
    ("query", "variables_list"),
    [
        (BY_ID, [{"id": uid("ada")}, {"id": uid("ed")}]),
        (FILTER, [{"f": {"title": {"_eq": "Editor"}}}, {"f": {"title": {"_eq": "Viewer"}}}]),
        (BY_IDS, [{"ids": [uid("ada")]}, {"ids": [uid("ed"), uid("vi")]}]),
        (WINDOW, [{"l": 1, "p": 1}, {"l": 3, "p": 2}]),
        ('{ users(limit: 5, filter: { title: { _eq: "%(x)s" } }) { id } }', [{"x": "Editor"}, {"x": "Viewer"}]),
        ("{ users_me { id } roles_me { id } }", [{}, {}]),
    ],
)
@pytest.mark.counting
@pytest.mark.planning
async def test_another_value_needs_no_other_plan(readonly_db, monkeypatch, query, variables_list):
    first, second = (
        (query, variables) if "%(x)s" not in query else (query % variables, {}) for variables in variables_list
    )
    for _ in range(2):
        await readonly_db.execute(*first, ADA)
    compiled: list[object] = []
    compile_ = readonly_db.database.reader.compile

    def record(clause):
        compiled.append(clause)
        return compile_(clause)

    monkeypatch.setattr(readonly_db.database.reader, "compile", record)
    before = readonly_db.database.reader.statements
    result = await readonly_db.execute(*second, ADA)

    assert result.errors is None
    assert compiled == []
    assert readonly_db.database.reader.statements - before == len(result.data)


async def test_callers_with_the_same_access_shape_share_a_plan_but_not_results(restored_db):
    """Two users who may read only themselves."""
    twin = {"id": uid("tim"), "email": "tim@example.com", "role": uid("role-Self"), "token": "static-of-tim"}
    await restored_db.load({"directus_users": [twin]})
    callers = [SAM, caller("tim")]
    query = "{ users { id } users_me { id } }"
    accesses = [await restored_db.directory(caller_).access() for caller_ in callers]
    results = [(await restored_db.execute(query, caller=caller_)).data for caller_ in (*callers, *callers)]

    assert accesses[0].shape is accesses[1].shape
    assert results == [
        {"users": [{"id": key}], "users_me": {"id": key}} for key in (uid("sam"), uid("tim"), uid("sam"), uid("tim"))
    ]


async def test_a_rule_with_the_id_of_the_callers_role_does_not_share_a_plan(restored_db):
    """The same rule names the role of one caller but not that of the others."""
    rule = {"role": {"_eq": uid("role-Staff")}}
    permission = {"action": "read", "collection": "directus_users", "fields": "id,role", "permissions": rule}
    await restored_db.load(
        {
            "directus_policies": [{"id": uid("policy-named"), "name": "named"}],
            "directus_permissions": [{"id": 70, "policy": uid("policy-named"), **permission}],
            "directus_users": [
                {
                    "id": uid(name),
                    "email": f"{name}@example.com",
                    "role": uid(f"role-{role}"),
                    "token": f"static-of-{name}",
                }
                for name, role in (("sten", "Named"), ("ona", "Other"), ("olga", "Other"))
            ],
            "directus_roles": [{"id": uid(f"role-{name}"), "name": name} for name in ("Named", "Other")],
            "directus_access": [
                {"id": uid(f"access-{name}"), "policy": uid("policy-named"), "role": uid(f"role-{name}")}
                for name in ("Named", "Other")
            ],
        }
    )
    query = '{ users(filter: { role: { _in: ["$CURRENT_ROLE", "$CURRENT_ROLES"] } }) { id } users_me { id } }'
    for _ in range(3):
        for name in ("sten", "ona", "olga"):
            result = await restored_db.execute(query, caller=caller(name))
            assert result.data == {"users": [], "users_me": None}


async def test_a_plan_is_not_used_after_its_permission_was_changed(restored_db):
    query = "{ users(limit: -1) { email } }"
    for _ in range(3):
        assert (await restored_db.execute(query, caller=ED)).data
    await restored_db.load({"directus_permissions": [{"id": 3, "fields": "id,status"}]})

    assert (await restored_db.execute(query, caller=ED)).data is None


async def test_now_is_evaluated_for_each_request(restored_db):
    now = datetime(2024, 1, 1, tzinfo=UTC)
    restored_db.services = Services.from_settings(restored_db.database, restored_db.settings, lambda: now)
    query = '{ users(filter: { last_access: { _lt: "$NOW" } }) { first_name } }'
    before = [(await restored_db.execute(query, caller=ADA)).data["users"] for _ in range(3)]
    now = datetime(2025, 1, 1, tzinfo=UTC)
    after = [(await restored_db.execute(query, caller=ADA)).data["users"] for _ in range(3)]

    assert before == [[{"first_name": "Ed"}]] * 3
    assert all(len(rows) == 2 for rows in after)


@pytest.mark.parametrize(
    ("text", "remaining_text", "values"),
    [
        ("{ a }", "{ a }", []),
        ('{ a(b: "c", d: 1) }', f"{{ a(b: {TEXT_PLACEHOLDER}, d: {NUMBER_PLACEHOLDER}) }}", ["c", 1]),
        ('{ a(b: "", c: "x,y", d: "$NOW", e: -1, f: 1.5) }', '{ a(b: "", c: "x,y", d: "$NOW", e: -1, f: 1.5) }', []),
        ('{ a(b: "c", d: "c") }', '{ a(b: "c", d: "c") }', []),
        (
            '{ a(b: 5, c: "d", e: 5, f: "5", g: 6) }',
            f"{{ a(b: 5, c: {TEXT_PLACEHOLDER}, e: 5, f: {TEXT_PLACEHOLDER}, g: {NUMBER_PLACEHOLDER}) }}",
            ["d", "5", 6],
        ),
        (
            '{ a(b: "c,d", e: " c:", f: 7) }',
            f'{{ a(b: "c,d", e: {TEXT_PLACEHOLDER}, f: {NUMBER_PLACEHOLDER}) }}',
            [" c:", 7],
        ),
        (
            "{ a(b: 007, c: 1e5, d: 0, e: \u0665, f: 1234567890) }",
            f"{{ a(b: 007, c: 1e5, d: {NUMBER_PLACEHOLDER}, e: \u0665, f: 1234567890) }}",
            [0],
        ),
        (f"{{ a(b: 1{NUMBER_PLACEHOLDER}) }}", f"{{ a(b: 1{NUMBER_PLACEHOLDER}) }}", []),
        ('{ a1(b2: "\\n") }', '{ a1(b2: "\\n") }', []),
        ('{ a(b: "c\rd", e: "f\x00") }', '{ a(b: "c\rd", e: "f\x00") }', []),
        ('{ a(b: "x") } # "y"', '{ a(b: "x") } # "y"', []),
        ('{ a(b: """x""") }', '{ a(b: """x""") }', []),
        (f'{{ a(b: "{TEXT_PLACEHOLDER}") }}', f'{{ a(b: "{TEXT_PLACEHOLDER}") }}', []),
        ("query($_literal_0: Int) { a(b: 1) }", "query($_literal_0: Int) { a(b: 1) }", []),
    ],
)
def test_only_literals_that_can_be_replaced_are_extracted(text, remaining_text, values):
    extracted = extract_literals(text)

    assert (extracted.remaining_text, list(extracted.values.values())) == (remaining_text, values)


def test_the_number_of_extracted_literals_is_limited():
    numbers = range(2, MAX_LITERALS + 12)

    extracted = extract_literals(f'{{ a(b: [{" ".join(map(str, numbers))}], c: "d") }}')

    assert (list(extracted.numbers), extracted.texts) == (list(numbers[:MAX_LITERALS]), ["d"])
    assert extracted.remaining_text.endswith(
        f"{NUMBER_PLACEHOLDER} {MAX_LITERALS + 2} 103 104 105 106 107 108 109 110 111], c: {TEXT_PLACEHOLDER}) }}"
    )


async def test_a_document_with_a_password_is_not_cached(readonly_db):
    plans = PlanCache(schema.graphql)
    text = 'mutation { auth_login(email: "ada@example.com", password: "not to be kept") { access_token } }'
    for document in (text, "fragment F on Query { server_ping } " + text):
        assert await plans.execute(readonly_db.directory(ADA), document, None, None) is None

    assert "not to be kept" not in repr(vars(plans))
    parse(text)


@pytest.mark.planning
async def test_every_cache_is_bounded(readonly_db):
    plans = PlanCache(schema.graphql, max_texts=2, max_plans=4)
    await readonly_db.directory(ADA).access()
    for number, sort in enumerate(permutations(("id", "email", "title"))):
        await plans.execute(readonly_db.directory(ADA), f"query Q{number} {{ users {{ a{number}: id }} }}", None, None)
        await plans.execute(
            readonly_db.directory(ADA), "query($s: [String]) { users(sort: $s) { id } }", {"s": list(sort)}, None
        )

    sizes = {name: len(cache) for name, cache in vars(plans).items() if isinstance(cache, LRUCache)}
    assert sizes.pop("_shapes") in (3, 4)  # a hit in the old generation moves an entry to the young one
    assert sizes == {"_texts": 2, "_documents": 2, "_plans": 4, "_returning_plans": 0, "_coordinates": 0}


async def test_long_texts_count_as_several_cache_entries(readonly_db):
    plans = PlanCache(schema.graphql, max_texts=8, max_plans=8)
    await readonly_db.directory(ADA).access()
    for number in range(8):
        assert await plans.execute(
            readonly_db.directory(ADA), f"{{ users_me {{ a{number}: id }} }}{' ' * 4_000}", None, None
        )

    assert (len(plans._documents), len(plans._texts), len(plans._shapes)) == (2, 2, 2)


async def test_huge_variables_are_executed_but_not_cached(readonly_db):
    plans = PlanCache(schema.graphql)
    await readonly_db.directory(ADA).access()
    conditions = [{"email": {"_eq": "a,b"}}] * MAX_TEXT_LENGTH

    assert await plans.execute(readonly_db.directory(ADA), FILTER, {"f": {"_or": conditions[:9]}}, None)
    assert (len(plans._documents), len(plans._shapes)) == (1, 1)
    await plans.execute(readonly_db.directory(ADA), FILTER, {"f": {"_or": conditions}}, None)
    assert (len(plans._documents), len(plans._shapes)) == (1, 1)


async def test_a_very_long_text_is_executed_but_not_cached(readonly_db):
    plans = PlanCache(schema.graphql)
    await readonly_db.directory(ADA).access()
    text = f"{{ users_me {{ id }} }}{' ' * MAX_TEXT_LENGTH}"

    assert await plans.execute(readonly_db.directory(ADA), text, None, None) is None
    assert not any(len(cache) for cache in vars(plans).values() if isinstance(cache, LRUCache))
    assert (await readonly_db.execute(text, caller=ADA)).errors is None


@pytest.mark.counting
@pytest.mark.planning
async def test_changed_permissions_are_loaded_once_for_concurrent_requests(restored_db):
    query, count = "{ users { id title } }", 16
    for _ in range(2):
        before = (await restored_db.execute(query, caller=VI)).data["users"]
    title = before[0]["title"]
    await restored_db.load({"directus_permissions": [{"id": 4, "permissions": {"title": {"_eq": title}}}]})
    statements_before = restored_db.database.reader.statements
    results = await asyncio.gather(*(restored_db.execute(query, caller=VI) for _ in range(count)))

    assert restored_db.database.reader.statements - statements_before == 2 * count + 1
    assert len(before) > 1
    assert {row["title"] for result in results for row in result.data["users"]} == {title}
