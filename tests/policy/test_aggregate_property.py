"""Aggregations compared with the reference, on random policies, users and queries."""

from typing import Any

from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.policy.query_reference import is_visible
from tests.policy.strategies import IPS, SEARCHES, directories, filters, replace
from tests.policy.test_property import execute_twice, reference_and_caller

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
TEXT = {"users": "first_name", "roles": "name"}

AT_LEAST = st.sampled_from([0, 1, 1, 1])


@settings(max_examples=settings().max_examples // 2)
@given(data=st.data())
async def test_an_aggregation_counts_what_the_reference_counts(scratch_db, data):
    name = data.draw(st.sampled_from(["users", "roles"]))
    tables, user = data.draw(directories())
    reference, caller = reference_and_caller(tables, user, data.draw(IPS))
    groups = data.draw(st.lists(st.sampled_from(GROUPED[name]), min_size=data.draw(AT_LEAST), max_size=2, unique=True))
    text = TEXT[name]
    measures = ["countAll", "count", "count.id", "countDistinct.id", f"min.{text}", f"max.{text}"]
    sorts = [*groups, *measures] if groups else ["title"]
    variables = {
        "f": data.draw(st.one_of(st.just({}), st.just({}), filters(name, 1))),
        "g": groups,
        "s": data.draw(st.lists(st.sampled_from([*sorts, *(f"-{key}" for key in sorts)]), max_size=2)),
        "t": data.draw(st.one_of(st.none(), st.none(), SEARCHES)),
        "l": data.draw(st.sampled_from([-1, -1, 1, 2])),
    }
    counted = [field for field in COUNTED[name] if reference.allowed(name, field)]
    await replace(scratch_db, tables)

    query = QUERY % {"name": name, "fields": " ".join(counted or ["id"])}
    result = await execute_twice(scratch_db, query, variables, caller)

    if not is_allowed(reference, name, counted, variables):
        event("refused")
        assert result.data is None, "an aggregation of fields outside the caller's schema was answered"
        return
    event(f"answered with {min(len(result.data[f'{name}_aggregated']) if result.data else 0, 2)} groups or more")
    assert result.errors is None, result.errors
    assert result.data[f"{name}_aggregated"] == expected_groups(reference, name, counted, variables)


def is_allowed(reference, name, counted, variables):
    fields = {key.split("(")[-1].rstrip(")") for key in variables["g"]}
    fields |= {key.split(".")[1] for key in variables["s"] if "." in key}
    return (
        bool(counted)
        and is_visible(reference, name, variables["f"])
        and all(reference.allowed(name, field) for field in fields)
    )


def expected_groups(reference, name, counted, variables):
    rows = [row for row in reference.rows(name) if reference.matches(name, row, variables["f"])]
    rows = [row for row in rows if not variables["t"] or reference.search_matches(name, row, variables["t"])]
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        groups.setdefault(tuple(reference.value(name, row, key) for key in variables["g"]), []).append(row)
    if not variables["g"]:
        groups = {(): rows}
    keys = sorted(groups, key=lambda values: [(value is None, "" if value is None else value) for value in values])
    for key in reversed(variables["s"] if variables["g"] else []):
        keys = sort_by(
            keys, key, variables, lambda values, measure: aggregate(reference, name, groups[values], measure)
        )
    window = keys if variables["l"] == -1 else keys[: variables["l"]]
    return [expected_group(reference, name, counted, variables, values, groups[values]) for values in window]


def sort_by(keys, sort, variables, measure):
    name, descending = sort.removeprefix("-"), sort.startswith("-")
    groups = variables["g"]
    value_of = (lambda values: values[groups.index(name)]) if name in groups else lambda key: measure(key, name)
    present = [values for values in keys if value_of(values) is not None]
    absent = [values for values in keys if value_of(values) is None]
    distinct = sorted({value_of(values) for values in present}, reverse=descending)
    present = [values for value in distinct for values in present if value_of(values) == value]
    return [*absent, *present] if descending else [*present, *absent]


def aggregate(reference, name, rows, measure):
    if measure in ("countAll", "count"):
        return len(rows)
    function, field = measure.split(".")
    values = [value for value in (reference.value(name, row, field) for row in rows) if value is not None]
    if function in ("min", "max"):
        return {"min": min, "max": max}[function](values) if values else None
    return len(values) if function == "count" else len(set(values))


def expected_group(reference, name, counted, variables, values, rows):
    group = {}
    for key, value in zip(variables["g"], values, strict=True):
        function, _, field = key.rstrip(")").rpartition("(")
        wire = str(value) if function == "year" and value is not None else value
        group[f"{field}_{function}" if function else field] = wire
    return {
        "group": group or None,
        "countAll": len(rows),
        "count": {field: aggregate(reference, name, rows, f"count.{field}") for field in counted},
        "countDistinct": {field: aggregate(reference, name, rows, f"countDistinct.{field}") for field in counted},
    }
