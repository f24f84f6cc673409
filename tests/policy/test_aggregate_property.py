"""What is counted and grouped, against the same reference."""

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.policy.query_reference import admits
from tests.policy.strategies import IPS, SEARCHES, filters, replace, worlds
from tests.policy.test_property import asking, twice

QUERY = """
query($f: directus_%(name)s_filter, $g: [String], $s: [String], $t: String, $l: Int) {
  %(name)s_aggregated(filter: $f, groupBy: $g, sort: $s, search: $t, limit: $l) {
    group countAll count { %(fields)s } countDistinct { %(fields)s }
  }
}
"""
COUNTED = {"users": ["id", "first_name", "title", "token", "role"], "roles": ["id", "name", "parent"]}
GROUPED = {
    "users": ["first_name", "title", "token", "role", "year(last_access)", "count(tags)"],
    "roles": ["name", "parent", "count(users)"],
}

AT_LEAST = st.sampled_from([0, 1, 1, 1])


@settings(max_examples=settings().max_examples // 2)
@given(data=st.data())
async def test_the_counts_are_the_references(scratch, data):
    name = data.draw(st.sampled_from(["users", "roles"]))
    tables, who = data.draw(worlds())
    reference, caller = asking(tables, who, data.draw(IPS))
    groups = data.draw(st.lists(st.sampled_from(GROUPED[name]), min_size=data.draw(AT_LEAST), max_size=2, unique=True))
    by = [*groups, "countAll", "count.id", "countDistinct.id"] if groups else ["title"]
    asked = {
        "f": data.draw(st.one_of(st.just({}), st.just({}), filters(name, 1))),
        "g": groups,
        "s": data.draw(st.lists(st.sampled_from([*by, *(f"-{key}" for key in by)]), max_size=2)),
        "t": data.draw(st.one_of(st.none(), st.none(), SEARCHES)),
        "l": data.draw(st.sampled_from([-1, -1, 1, 2])),
    }
    counted = [field for field in COUNTED[name] if reference.allowed(name, field)]
    await replace(scratch, tables)

    query = QUERY % {"name": name, "fields": " ".join(counted or ["id"])}
    result = await twice(scratch, query, asked, caller)

    if not admitted(reference, name, counted, asked):
        event("refused")
        assert result.data is None, "what may not be seen was counted"
        return
    event(f"answered with {min(len(result.data[f'{name}_aggregated']) if result.data else 0, 2)} groups or more")
    assert result.errors is None, result.errors
    assert result.data[f"{name}_aggregated"] == expected(reference, name, counted, asked)


def admitted(reference, name, counted, asked):
    fields = {key.split("(")[-1].rstrip(")") for key in asked["g"]}
    fields |= {key.split(".")[1] for key in asked["s"] if "." in key}
    return bool(counted) and admits(reference, name, asked["f"]) and all(reference.allowed(name, f) for f in fields)


def expected(reference, name, counted, asked):
    rows = [row for row in reference.rows(name) if reference.holds(name, row, asked["f"])]
    rows = [row for row in rows if not asked["t"] or reference.finds(name, row, asked["t"])]
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        groups.setdefault(tuple(reference.seen(name, row, key) for key in asked["g"]), []).append(row)
    if not asked["g"]:
        groups = {(): rows}
    keys = sorted(groups, key=lambda values: [(value is None, "" if value is None else value) for value in values])
    for key in reversed(asked["s"] if asked["g"] else []):
        keys = by(keys, key, asked, lambda values, measure: told(reference, name, groups[values], measure))
    window = keys if asked["l"] == -1 else keys[: asked["l"]]
    return [answer(reference, name, counted, asked, values, groups[values]) for values in window]


def by(keys, spelled, asked, measure):
    name, down = spelled.removeprefix("-"), spelled.startswith("-")
    value_of = (lambda values: values[asked["g"].index(name)]) if name in asked["g"] else lambda k: measure(k, name)
    present = [values for values in keys if value_of(values) is not None]
    absent = [values for values in keys if value_of(values) is None]
    distinct = sorted({value_of(values) for values in present}, reverse=down)
    present = [values for wanted in distinct for values in present if value_of(values) == wanted]
    return [*absent, *present] if down else [*present, *absent]


def told(reference, name, rows, measure):
    if measure == "countAll":
        return len(rows)
    function, field = measure.split(".")
    values = [value for value in (reference.seen(name, row, field) for row in rows) if value is not None]
    return len(values) if function == "count" else len(set(values))


def answer(reference, name, counted, asked, values, rows):
    spelled = {}
    for key, value in zip(asked["g"], values, strict=True):
        function, _, field = key.rstrip(")").rpartition("(")
        wire = str(value) if function == "year" and value is not None else value
        spelled[f"{field}_{function}" if function else field] = wire
    return {
        "group": spelled or None,
        "countAll": len(rows),
        "count": {field: told(reference, name, rows, f"count.{field}") for field in counted},
        "countDistinct": {field: told(reference, name, rows, f"countDistinct.{field}") for field in counted},
    }
