"""Counts, sums and groups of the values that the caller sees, with the same results on both databases."""

import pytest

from tests.base_data import caller, uid

ADA, ED, VI = caller("ada"), caller("ed"), caller("vi")


async def aggregate(system, query, as_caller=ADA):
    result = await system.execute(query, caller=as_caller)
    assert result.errors is None, result.errors
    return result.data["users_aggregated"]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("{ countAll }", [{"countAll": 9}]),
        ("(limit: 5) { countAll }", [{"countAll": 9}]),
        ("(limit: 0) { countAll }", []),
        ('(sort: ["title"]) { countAll }', [{"countAll": 9}]),
        ('(search: "ED") { countAll }', [{"countAll": 3}]),
        ('(filter: { status: { _eq: "draft" } }) { countAll count { id } }', [{"countAll": 0, "count": {"id": 0}}]),
        ('(filter: { status: { _eq: "draft" } }, groupBy: ["status"]) { group countAll }', []),
        ("{ countAll n: count { t: title all: id } }", [{"countAll": 9, "n": {"t": 5, "all": 9}}]),
        ("{ countDistinct { title status } }", [{"countDistinct": {"title": 4, "status": 3}}]),
        ("{ count { password token } countDistinct { token } }",
         [{"count": {"password": 1, "token": 9}, "countDistinct": {"token": 1}}]),
        ("{ count { tags theme_light_overrides } }", [{"count": {"tags": 1, "theme_light_overrides": 1}}]),
        ("{ countDistinct { tags } }", [{"countDistinct": {"tags": 1}}]),
        ("{ group }", [{"group": None}]),
        ("{ group countAll }", [{"group": None, "countAll": 9}]),
        ("{ __typename count { __typename } }", [
            {"__typename": "directus_users_aggregated", "count": {"__typename": "directus_users_aggregated_count"}}
        ]),
    ],
)  # fmt: skip
async def test_all_rows_together_are_one_row(readonly_db, query, rows):
    assert await aggregate(readonly_db, f"{{ users_aggregated{query} }}") == rows


@pytest.mark.parametrize(
    ("arguments", "groups"),
    [
        ('groupBy: ["status"]', [{"status": "active"}, {"status": "invited"}, {"status": "suspended"}]),
        ('groupBy: ["status"], sort: ["-status"], limit: 1', [{"status": "suspended"}]),
        ('groupBy: ["status"], sort: ["status"], limit: 1, page: 2', [{"status": "invited"}]),
        ('groupBy: ["status"], sort: ["countAll", "-status"], limit: 1', [{"status": "suspended"}]),
        ('groupBy: ["status"], sort: ["-count.id"], limit: 1', [{"status": "active"}]),
        ('groupBy: ["status"], sort: ["-count"], limit: 1', [{"status": "active"}]),
        ('groupBy: ["status"], sort: ["count.*", "status"], limit: 1', [{"status": "invited"}]),
        ('groupBy: ["status"], sort: ["-max.title"], limit: 1', [{"status": "active"}]),
        ('groupBy: ["role"], filter: { last_access: { _nnull: true } }, sort: ["-max.last_access"], limit: 1',
         [{"role": uid("role-Administrator")}]),
        ('groupBy: ["status", "status"], sort: ["-countDistinct.email"], limit: 1', [{"status": "active"}]),
        ('groupBy: ["year(last_access)"]', [{"last_access_year": year} for year in ("2023", "2024", None)]),
        ('groupBy: ["year(last_access)"], sort: ["-year(last_access)"], limit: 2',
         [{"last_access_year": None}, {"last_access_year": "2024"}]),
        ('groupBy: ["count(tags)"]', [{"tags_count": 2}, {"tags_count": None}]),
        ('groupBy: ["count(policies)"]', [{"policies_count": 0}]),
        ('groupBy: ["tags"], limit: 1', [{"tags": ["a", "b"]}]),
        ('groupBy: ["last_access"], limit: 1', [{"last_access": "2023-12-31T00:00:00.000Z"}]),
        ('groupBy: ["email_notifications"]', [{"email_notifications": True}]),
        ('groupBy: ["token"]', [{"token": "**********"}]),
        ('groupBy: ["role"], sort: ["-countAll"], limit: 1', [{"role": uid("role-Editor")}]),
    ],
)  # fmt: skip
async def test_a_group_contains_its_grouping_values(readonly_db, arguments, groups):
    rows = await aggregate(readonly_db, f"{{ users_aggregated({arguments}) {{ group }} }}")

    assert [row["group"] for row in rows] == groups


async def test_numbers_are_exact_and_integral_where_possible(restored_db):
    sizes = [2**53 - 63, 1, 20, 21, 21]
    files = [{"id": uid(f"file-{n}"), "storage": "local", "filename_download": "a", "filesize": size, "width": n}
             for n, size in enumerate(sizes)]  # fmt: skip
    await restored_db.load(
        {"directus_files": [*files, {"id": uid("no-file"), "storage": "s3", "filename_download": "b"}]}
    )
    measures = " ".join(
        f"{name} {{ filesize width }}" for name in ("sum", "avg", "min", "max", "sumDistinct", "avgDistinct")
    )

    small = await restored_db.execute(
        f"{{ files_aggregated(filter: {{ width: {{ _gt: 1 }} }}) {{ {measures} }} }}", caller=caller("ada")
    )
    large = await restored_db.execute("{ files_aggregated { sum { filesize } } }", caller=caller("ada"))
    none = await restored_db.execute(
        '{ files_aggregated(filter: { storage: { _eq: "s3" } }) { sum { width } min { width } } }', caller=caller("ada")
    )

    assert small.data["files_aggregated"] == [
        {
            "sum": {"filesize": 62, "width": 9},
            "avg": {"filesize": 62 / 3, "width": 3},
            "min": {"filesize": 20, "width": 2},
            "max": {"filesize": 21, "width": 4},
            "sumDistinct": {"filesize": 41, "width": 9},
            "avgDistinct": {"filesize": 20.5, "width": 3},
        }
    ]
    assert large.data["files_aggregated"] == [{"sum": {"filesize": 2**53}}]
    assert none.data["files_aggregated"] == [{"sum": {"width": None}, "min": {"width": None}}]


async def test_hidden_values_are_neither_counted_nor_grouped_by(readonly_db):
    """Ed may read the status of active users only; of the others he may see that they exist."""
    rows = await aggregate(
        readonly_db, '{ users_aggregated(groupBy: ["status"]) { group countAll count { email } } }', ED
    )

    assert rows == [
        {"group": {"status": "active"}, "countAll": 7, "count": {"email": 7}},
        {"group": {"status": None}, "countAll": 2, "count": {"email": 0}},
    ]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ('(groupBy: ["status"]) { countAll }', "FORBIDDEN"),
        ('(groupBy: ["no_such_field"]) { countAll }', "FORBIDDEN"),
        ('(groupBy: ["year(last_access)"]) { countAll }', "FORBIDDEN"),
        ('(groupBy: ["title"], sort: ["-count.status"]) { countAll }', "FORBIDDEN"),
        ('(groupBy: ["title"], sort: ["-sum.title"]) { countAll }', "FORBIDDEN"),
        ('(groupBy: ["policies"]) { countAll }', "FORBIDDEN"),
        ('(groupBy: ["role.name"]) { countAll }', "INVALID_QUERY"),
        ('(groupBy: ["title"], sort: ["status"]) { countAll }', "INVALID_QUERY"),
        ('(groupBy: ["title"], sort: ["no_such_field"]) { countAll }', "INVALID_QUERY"),
        ('(groupBy: ["title"], sort: ["-countDistinct"]) { countAll }', "INVALID_QUERY"),
        ("(limit: -2) { countAll }", "INVALID_QUERY"),
    ],
)
async def test_invalid_groups_and_sort_keys_are_rejected_with_a_reason(readonly_db, query, code):
    result = await readonly_db.execute(f"{{ users_aggregated{query} }}", caller=VI)

    assert result.data is None
    assert result.errors[0].original_error.code == code
    assert result.errors[0].original_error.reason


async def test_a_to_many_relation_can_only_be_grouped_by_its_count(readonly_db):
    result = await readonly_db.execute('{ users_aggregated(groupBy: ["policies"]) { countAll } }', caller=ADA)

    assert 'group by "count(policies)"' in result.errors[0].original_error.text


async def test_related_rows_are_counted_for_the_whole_group(readonly_db):
    result = await readonly_db.execute(
        '{ roles_aggregated(groupBy: ["count(users)"], sort: ["-count(users)"]) { group count { users } } }', caller=ADA
    )

    assert result.data["roles_aggregated"][0] == {"group": {"users_count": 2}, "count": {"users": 2}}
