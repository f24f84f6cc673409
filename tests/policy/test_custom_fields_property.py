"""Random custom fields compared with the reference: read, aggregated and written under random rules that use them."""

from contextlib import AsyncExitStack
from copy import copy
from functools import lru_cache
from itertools import combinations
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import event, given, settings
from hypothesis import strategies as st
from sqlalchemy import Integer, String, select
from sqlalchemy.types import TypeEngine

from app.core.errors import RollcallError
from app.db.base import PlainTime, UUIDText
from app.query.collection import FieldKind
from app.query.custom_fields import FieldDefinition, RelationDefinition, extended_registry
from tests.base_data import static_token, uid
from tests.conftest import BACKENDS, open_copy
from tests.policy.query_reference import ordered
from tests.policy.reference import BACK, LINKS, OPERATORS
from tests.policy.strategies import CUSTOM_VALUES, IPS, SEARCHES, directories, filters, replace
from tests.policy.test_aggregate_property import aggregate, expected_groups
from tests.policy.test_property import reference_and_caller
from tests.policy.test_write_property import ADMINS, CHIEF, KEYS, WriteReference, created, updated
from tests.writes.conftest import run_sql

USERS = "directus_users"
COLUMNS: dict[str, tuple[FieldKind, TypeEngine[Any], str | None]] = {
    "code": ("string", String(32), "varchar(32)"),
    "level": ("integer", Integer(), "integer"),
    "born": ("date", PlainTime("date"), "date"),
    "boss": ("uuid", UUIDText(), None),
}
SUBSETS = st.sampled_from([names for count in (2, 3) for names in combinations(COLUMNS, count)])
WRITTEN = {
    "code": st.sampled_from(["a", "ab", "x"]),
    "level": st.sampled_from([0, 1, 2]),
    "born": st.sampled_from(["2023-12-31", "2024-01-01"]),
    "boss": st.sampled_from([uid("u0"), uid("u1")]),
    "title": st.sampled_from(["a", "x"]),
}
VALIDATIONS = {"code": {"_neq": "x"}, "level": {"_gt": 0}, "born": {"_eq": "2024-01-01"}}
PRESETS = {"code": "p", "level": 2, "born": "2024-01-01"}


@lru_cache
def registry_with(names):
    fields = [FieldDefinition(USERS, name, kind, type_) for name in names for kind, type_, _ in [COLUMNS[name]]]
    relations = [RelationDefinition(USERS, "boss", USERS, alias="team", has_foreign_key=False)]
    return extended_registry(fields, relations if "boss" in names else [])


@pytest_asyncio.fixture(params=BACKENDS, scope="module")
async def systems(request, templates, tmp_path_factory):
    """A function that returns the same directory with some of the custom fields."""
    uuid = "char(36)" if request.param == "sqlite" else "uuid"
    async with AsyncExitStack() as stack:
        system = await open_copy(stack, request.param, templates, tmp_path_factory.mktemp("custom"))
        columns = "".join(
            f"ALTER TABLE {USERS} ADD COLUMN {name} {type_ or uuid};" for name, (*_, type_) in COLUMNS.items()
        )
        await run_sql(system.settings.database_url, columns)

        @lru_cache
        def system_with(names):
            other = copy(system)
            other.services = system.services.with_registry(registry_with(names))
            return other

        yield system_with


def names_in(names):
    """Return the fields of a registry with these columns."""
    return (*names, "team") if "boss" in names else names


def is_permitted(reference, name, filter_):
    """Return whether a caller may use every field of a filter; over REST, nothing else is needed."""
    return all(
        all(is_permitted(reference, name, part) for part in value)
        if key in ("_and", "_or")
        else is_entry_permitted(reference, name, key, value)
        for key, value in filter_.items()
    )


def is_entry_permitted(reference, name, key, value):
    field = key.removesuffix("_func")
    if not value:  # it compares nothing
        return True
    if not reference.allowed(name, field):
        return False
    if key.endswith("_func"):
        return True
    if (name, field) in BACK:
        return is_permitted(reference, BACK[name, field][0], value.get("_some", value.get("_none", value)))
    if (name, field) in LINKS and not all(op in OPERATORS for op in value):
        return is_permitted(reference, LINKS[name, field][0], value)
    return are_variables_permitted(reference, value)


def are_variables_permitted(reference, operators):
    values = [v for value in operators.values() for v in (value if isinstance(value, list) else [value])]
    fields = [v.split(".")[1] for v in values if isinstance(v, str) and v.startswith("$CURRENT_USER.")]
    return reference.user is None or all(reference.allowed("users", field) for field in fields)


def drawn_query(data, reference, names):
    """Draw a filter, a sort and a search that use custom fields."""
    sorts = [key for key in (*names, "year(born)", "boss.code", "count(team)") if is_sortable(reference, names, key)]
    custom = names_in(names)
    return {
        "filter": data.draw(
            st.one_of(st.just({}), st.just({}), *(filters("users", depth, custom=custom) for depth in (0, 1)))
        ),
        "sort": data.draw(st.lists(st.sampled_from([*sorts, *(f"-{key}" for key in sorts)]), max_size=2))
        if sorts
        else [],
        "search": data.draw(st.one_of(st.none(), st.none(), st.none(), SEARCHES)),
        "limit": -1,
    }


def is_sortable(reference, names, key):
    fields = key.split(".") if "." in key else [key.split("(")[-1].rstrip(")")]
    return all(field in names_in(names) and reference.allowed("users", field) for field in fields)


def matching_rows(reference, query):
    rows = [row for row in reference.rows("users") if reference.matches("users", row, query["filter"])]
    return [row for row in rows if not query["search"] or reference.search_matches("users", row, query["search"])]


@settings(max_examples=settings().max_examples // 4)
@given(data=st.data())
async def test_custom_fields_are_read_as_the_reference_allows(systems, data):
    names = data.draw(SUBSETS)
    tables, user = data.draw(directories(names_in(names)))
    reference, caller = reference_and_caller(tables, user, data.draw(IPS))
    query = drawn_query(data, reference, names)
    fields = [name for name in ("id", *names) if reference.allowed("users", name)]
    nested = {
        alias: data.draw(st.booleans())
        for alias in ("boss", "team")
        if alias in names_in(names) and reference.allowed("users", alias) and reference.allowed("users", "id")
    }
    wanted = [name for name in fields if not nested.get(name)] + [f"{name}.id" for name, on in nested.items() if on]
    system = systems(names)
    await replace(system, tables)

    read = system.directory(caller)["users"].read_by_query({**query, "fields": wanted or ["id"]})
    if not wanted or not is_permitted(reference, "users", query["filter"]):
        event("refused")
        with pytest.raises(RollcallError):
            await read
        return
    rows = await read
    event(f"answered with {min(len(rows), 2)} rows or more")
    expected = ordered(
        matching_rows(reference, query), query["sort"], lambda row, key: reference.value("users", row, key)
    )
    assert rows == [expected_row(reference, row, wanted) for row in expected]


def expected_row(reference, row, wanted):
    result = {}
    for key in wanted:
        name = key.removesuffix(".id")
        if name == key:
            result[name] = reference.value("users", row, name)
        elif name == "boss":
            _, boss = reference.related_row("users", row, "boss")
            result[name] = boss and {"id": reference.value("users", boss, "id")}
        elif not reference.may_see("users", row, "team"):
            result[name] = None
        else:
            team = sorted(reference.related_rows("users", row, "team")[1], key=lambda user: user["id"])
            result[name] = [{"id": reference.value("users", user, "id")} for user in team]
    return result


@settings(max_examples=settings().max_examples // 8)
@given(data=st.data())
async def test_custom_fields_are_aggregated_as_the_reference_allows(systems, data):
    names = data.draw(SUBSETS)
    tables, user = data.draw(directories(names_in(names)))
    reference, caller = reference_and_caller(tables, user, data.draw(IPS))
    query = drawn_query(data, reference, names)
    counted = [name for name in names if reference.allowed("users", name)]
    groups = data.draw(st.lists(st.sampled_from(counted), max_size=2, unique=True)) if counted else []
    query["sort"] = data.draw(st.sampled_from([[], *([key] for name in groups for key in (name, f"-{name}"))]))
    system = systems(names)
    await replace(system, tables)

    aggregates = {"count": counted or ["id"], "countDistinct": counted or ["id"]}
    if "level" in counted:
        aggregates |= {"min": ["level"], "max": ["level"]}
    grouped = {**query, "groupBy": groups, "aggregate": aggregates}
    read = system.directory(caller)["users"].read_by_query(grouped)
    if not counted or not is_permitted(reference, "users", query["filter"]):
        event("refused")
        with pytest.raises(RollcallError):
            await read
        return
    found = await read
    event(f"answered with {min(len(found), 2)} groups or more")
    variables = {"f": query["filter"], "t": query["search"], "g": groups, "s": query["sort"], "l": -1}
    expected = expected_groups(reference, "users", aggregates["count"], variables)
    rows = matching_rows(reference, query)
    assert found == [rest_group(reference, rows, aggregates, group) for group in expected]


def rest_group(reference, rows, aggregates, group):
    """Return a group as repositories have it, with counts as text, and with the smallest and the largest level."""
    values = group["group"] or {}
    members = [row for row in rows if all(reference.value("users", row, key) == values[key] for key in values)]
    counts = {
        function: {field: str(count) for field, count in group[function].items()}
        for function in ("count", "countDistinct")
    }
    extremes = {
        function: {"level": aggregate(reference, "users", members, f"{function}.level")}
        for function in aggregates.keys() & {"min", "max"}
    }
    return ({"group": values} if values else {}) | counts | extremes


@st.composite
def permission(draw, number, action, names):
    """Draw a permission to write users that lists, checks and presets custom fields."""
    checked = draw(st.sampled_from([None, *names]))
    preset = draw(st.sampled_from([None, None, *names]))
    return {
        "id": number,
        "policy": draw(st.sampled_from(["p0", "p0", "p1"]).map(uid)),
        "collection": USERS,
        "action": action,
        "fields": ",".join(["title", *names] if draw(st.booleans()) else draw(st.permutations(names))[:2]),
        "permissions": draw(st.one_of(st.just({}), filters("users", 1, stored=True, custom=names_in(names)))),
        "validation": {checked: VALIDATIONS[checked]} if checked in VALIDATIONS else None,
        "presets": {preset: PRESETS[preset]} if preset in PRESETS else None,
    }


@pytest.mark.parametrize("action", ["create", "update"])
@settings(max_examples=settings().max_examples // 8)
@given(data=st.data())
async def test_custom_fields_are_written_as_the_reference_allows(systems, action, data):
    names = data.draw(SUBSETS)
    tables, user = data.draw(directories(names_in(names)))
    tables["users"].append({**dict.fromkeys(tables["users"][0]), "id": CHIEF, "token": static_token(CHIEF)})
    tables["policies"].append({"id": ADMINS, "name": "p", "ip_access": None, "admin_access": True})
    tables["access"].append({"id": uid("a9"), "policy": ADMINS, "role": None, "user": CHIEF})
    for row in tables["permissions"]:
        row |= {"validation": None, "presets": None}
    tables["permissions"] += [data.draw(permission(number, action, names)) for number in (50, 51, 52)]
    ip, keys = data.draw(IPS), data.draw(KEYS)
    written = data.draw(st.lists(st.sampled_from([*names, "title"]), min_size=1, max_size=2, unique=True))
    payload = {name: data.draw(WRITTEN[name]) for name in written}
    reference, (_, caller) = WriteReference(tables, user, ip, action), reference_and_caller(tables, user, ip)
    system = systems(names)
    await replace(system, tables)
    users = system.directory(caller)["users"]

    if action == "create":
        expected, write = created(reference, payload), users.create_one(payload)
    else:
        expected, write = updated(reference, keys, payload), users.update_many(keys, payload)
    try:
        await write
        code = None
    except RollcallError as error:
        code = error.code

    event(f"{action}: {code}")
    assert code in {None, "FORBIDDEN", "FAILED_VALIDATION"}
    assert (code is None) is (expected is not None)
    assert await stored_users(system, names) == expected_users(expected or tables, names)


async def stored_users(system, names):
    table = system.services.registry[USERS].table
    async with system.database.transaction() as connection:
        rows = await connection.execute(select(table.c.title, *(table.c[name] for name in names)))
        return sorted(map(str, rows.all()))


def expected_users(tables, names):
    return sorted(str(tuple(row[name] for name in ("title", *names))) for row in tables["users"])


def test_the_columns_are_those_of_the_strategies():
    assert COLUMNS.keys() == CUSTOM_VALUES.keys()
