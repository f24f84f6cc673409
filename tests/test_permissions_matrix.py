"""Which caller may read which value, as one table, on both databases."""

import pytest

from tests.base_data import OFFICE_IP, caller, uid

VISIBLE, HIDDEN, UNKNOWN, FORBIDDEN = "visible", "hidden", "unknown", "forbidden"

CASES = [
    # user, root field, field, row, expected visibility
    ("ada", "users_by_id", "email", "ed", VISIBLE),
    ("ada", "users_by_id", "external_identifier", "ed", HIDDEN),
    ("ed", "users_by_id", "email", "ada", VISIBLE),
    ("ed", "users_by_id", "email", "ida", HIDDEN),
    ("ed", "users_by_id", "first_name", "ida", VISIBLE),
    ("ed", "users_by_id", "last_name", "ada", UNKNOWN),
    ("ed", "users_by_id", "token", "ed", UNKNOWN),
    ("vi", "users_by_id", "title", "ada", VISIBLE),
    ("vi", "users_by_id", "id", "kit", FORBIDDEN),
    ("vi", "users_by_id", "email", "ada", UNKNOWN),
    ("vi", "roles_by_id", "name", "role-Viewer", UNKNOWN),
    ("sam", "users_by_id", "last_name", "sam", VISIBLE),
    ("sam", "users_by_id", "id", "vi", FORBIDDEN),
    ("kit", "users_by_id", "email", "ada", UNKNOWN),
    ("ann", "users_by_id", "email", "ann", VISIBLE),
    ("ann", "users_by_id", "last_access", "ann", UNKNOWN),
    ("ann", "users_by_id", "email", "ada", FORBIDDEN),
    ("ann", "roles_by_id", "name", "role-App", VISIBLE),
    ("ann", "roles_by_id", "name", "role-Staff", FORBIDDEN),
    ("nora", "roles_by_id", "name", "role-Staff", VISIBLE),
    ("nora", "users_by_id", "id", "nora", UNKNOWN),
    (None, "roles_by_id", "name", "role-Viewer", VISIBLE),
    (None, "roles_by_id", "name", "role-Editor", FORBIDDEN),
    (None, "users_by_id", "id", "ada", UNKNOWN),
]


@pytest.mark.parametrize(("user", "root", "field", "row", "expected"), CASES)
async def test_callers_see_exactly_what_their_policies_allow(readonly_db, user, root, field, row, expected):
    result = await readonly_db.execute(f'{{ {root}(id: "{uid(row)}") {{ {field} }} }}', caller=caller(user))

    if expected in (VISIBLE, HIDDEN):
        assert result.errors is None
        assert (result.data[root][field] is not None) is (expected == VISIBLE)
    elif expected == UNKNOWN:
        assert result.data is None
        assert "Cannot query field" in result.errors[0].message
    else:
        assert result.errors[0].original_error.code == "FORBIDDEN"


async def test_a_policy_bound_to_a_network_only_applies_there(readonly_db):
    query = "{ users(limit: -1) { email } }"
    inside = await readonly_db.execute(query, caller=caller("kit", OFFICE_IP))
    outside = await readonly_db.execute(query, caller=caller("kit"))
    again = await readonly_db.execute(query, caller=caller("kit", OFFICE_IP))

    assert len(inside.data["users"]) == len(again.data["users"]) == 9
    assert outside.data is None


@pytest.mark.parametrize("alias", ["password", "plain", "token", "x"])
async def test_concealed_values_read_as_asterisks_whatever_the_alias(readonly_db, alias):
    query = f"{{ me: users_me {{ {alias}: password t: token tfa: tfa_secret auth: auth_data }} }}"
    sam = (await readonly_db.execute(query, caller=caller("sam"))).data["me"]
    vi = (await readonly_db.execute("{ users_me { password token } }", caller=caller("vi"))).data["users_me"]

    assert sam == {alias: None, "t": "**********", "tfa": None, "auth": "**********"}
    assert vi == {"password": "**********", "token": "**********"}


LEAKS = [
    'search: "static-of-sam"',
    'search: "hidden"',
    'filter: { title: { _eq: "$CURRENT_USER.token" } }',
    'filter: { first_name: { _eq: "$CURRENT_USER.password" } }',
    'filter: { last_name: { _icontains: "$CURRENT_USER.token" } }',
]


@pytest.mark.parametrize("arguments", LEAKS)
async def test_no_query_matches_a_concealed_value(readonly_db, arguments):
    result = await readonly_db.execute(f"{{ users({arguments}) {{ id }} }}", caller=caller("sam"))

    assert result.data == {"users": []}


async def test_a_hidden_value_can_not_be_found_by_filter_search_or_sort(readonly_db):
    """Ed may read the email of active users only, so no query matches Ida's, and it sorts as null."""
    ed = caller("ed")
    by_filter = await readonly_db.execute('{ users(filter: { email: { _starts_with: "ida" } }) { id } }', caller=ed)
    by_search = await readonly_db.execute('{ users(search: "ida@") { id } }', caller=ed)
    by_sort = await readonly_db.execute('{ users(sort: ["email"]) { id email } }', caller=ed)
    by_relation = await readonly_db.execute(
        '{ roles(filter: { users: { email: { _eq: "ida@example.com" } } }) { id } }', caller=ed
    )

    assert by_filter.data == by_search.data == {"users": []}
    assert [row["email"] for row in by_sort.data["users"]][-2:] == [None, None]
    assert by_relation.data == {"roles": []}


async def test_an_empty_variable_matches_nothing(restored_db):
    """Nora has no role and no title: rules on them must not match users who have none either."""
    await restored_db.load(
        {
            "directus_policies": [{"id": uid("policy-Empty"), "name": "Empty"}],
            "directus_access": [{"id": uid("access-Empty"), "policy": uid("policy-Empty"), "user": uid("nora")}],
            "directus_permissions": [
                _permission(100, {"role": {"_eq": "$CURRENT_ROLE"}}),
                _permission(101, {"role": {"_in": "$CURRENT_ROLES"}}),
                _permission(102, {"title": {"_eq": "$CURRENT_USER.title"}}),
                _permission(103, {"title": {"_in": "$CURRENT_USER.tags"}}),
                _permission(104, {"role": {"_in": ["$CURRENT_USER.role"]}}),
            ],
        }
    )

    result = await restored_db.execute("{ users(limit: -1) { id } }", caller=caller("nora"))

    assert result.data == {"users": []}


def _permission(number, rule):
    return {
        "id": number,
        "policy": uid("policy-Empty"),
        "collection": "directus_users",
        "action": "read",
        "fields": "id",
        "permissions": rule,
    }
