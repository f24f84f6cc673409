"""Who may see what: one table, asked of both databases."""

import pytest

from tests.world import OFFICE_IP, caller, uid

SEEN, HIDDEN, UNKNOWN = "seen", "hidden", "unknown"

VERDICTS = [
    # who,   the field asked for,               of whom,  what comes of it
    ("ada", "users_by_id", "email", "ed", SEEN),
    ("ada", "users_by_id", "external_identifier", "ed", HIDDEN),
    ("ed", "users_by_id", "email", "ada", SEEN),
    ("ed", "users_by_id", "email", "ida", HIDDEN),
    ("ed", "users_by_id", "first_name", "ida", SEEN),
    ("ed", "users_by_id", "last_name", "ada", UNKNOWN),
    ("ed", "users_by_id", "token", "ed", UNKNOWN),
    ("vi", "users_by_id", "title", "ada", SEEN),
    ("vi", "users_by_id", "id", "kit", "forbidden"),
    ("vi", "users_by_id", "email", "ada", UNKNOWN),
    ("vi", "roles_by_id", "name", "role-Viewer", UNKNOWN),
    ("sam", "users_by_id", "last_name", "sam", SEEN),
    ("sam", "users_by_id", "id", "vi", "forbidden"),
    ("kit", "users_by_id", "email", "ada", UNKNOWN),
    ("ann", "users_by_id", "email", "ann", SEEN),
    ("ann", "users_by_id", "last_access", "ann", UNKNOWN),
    ("ann", "users_by_id", "email", "ada", "forbidden"),
    ("ann", "roles_by_id", "name", "role-App", SEEN),
    ("ann", "roles_by_id", "name", "role-Staff", "forbidden"),
    ("nora", "roles_by_id", "name", "role-Staff", SEEN),
    ("nora", "users_by_id", "id", "nora", UNKNOWN),
    (None, "roles_by_id", "name", "role-Viewer", SEEN),
    (None, "roles_by_id", "name", "role-Editor", "forbidden"),
    (None, "users_by_id", "id", "ada", UNKNOWN),
]


@pytest.mark.parametrize(("who", "root", "field", "whom", "verdict"), VERDICTS)
async def test_everybody_sees_what_the_policies_say_and_nothing_else(readonly_db, who, root, field, whom, verdict):
    result = await readonly_db.execute(f'{{ {root}(id: "{uid(whom)}") {{ {field} }} }}', caller=caller(who))

    if verdict in (SEEN, HIDDEN):
        assert result.errors is None
        assert (result.data[root][field] is not None) is (verdict == SEEN)
    elif verdict == UNKNOWN:
        assert result.data is None
        assert "Cannot query field" in result.errors[0].message
    else:
        assert result.errors[0].original_error.code == "FORBIDDEN"


async def test_a_policy_bound_to_a_network_is_in_force_there_and_nowhere_else(readonly_db):
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
async def test_no_question_of_a_client_reaches_a_concealed_value(readonly_db, arguments):
    result = await readonly_db.execute(f"{{ users({arguments}) {{ id }} }}", caller=caller("sam"))

    assert result.data == {"users": []}


async def test_a_hidden_value_can_not_be_found_by_filter_search_or_sort(readonly_db):
    """Ed sees e-mails of active people only: what he asks of Ida's finds nothing, and sorts as nothing."""
    ed = caller("ed")
    by_filter = await readonly_db.execute('{ users(filter: { email: { _starts_with: "ida" } }) { id } }', caller=ed)
    by_search = await readonly_db.execute('{ users(search: "ida@") { id } }', caller=ed)
    by_sort = await readonly_db.execute('{ users(sort: ["email"]) { id email } }', caller=ed)
    through = await readonly_db.execute(
        '{ roles(filter: { users: { email: { _eq: "ida@example.com" } } }) { id } }', caller=ed
    )

    assert by_filter.data == by_search.data == {"users": []}
    assert [row["email"] for row in by_sort.data["users"]][-2:] == [None, None]
    assert through.data == {"roles": []}


async def test_an_empty_variable_matches_nothing(writable_db):
    """Nora has no role and no title: rules on them must not reach those who have none either."""
    await writable_db.load(
        {
            "directus_policies": [{"id": uid("policy-Empty"), "name": "Empty"}],
            "directus_access": [{"id": uid("access-Empty"), "policy": uid("policy-Empty"), "user": uid("nora")}],
            "directus_permissions": [
                _rule(100, {"role": {"_eq": "$CURRENT_ROLE"}}),
                _rule(101, {"role": {"_in": "$CURRENT_ROLES"}}),
                _rule(102, {"title": {"_eq": "$CURRENT_USER.title"}}),
                _rule(103, {"title": {"_in": "$CURRENT_USER.tags"}}),
                _rule(104, {"role": {"_in": ["$CURRENT_USER.role"]}}),
            ],
        }
    )

    result = await writable_db.execute("{ users(limit: -1) { id } }", caller=caller("nora"))

    assert result.data == {"users": []}


def _rule(number, rule):
    return {
        "id": number,
        "policy": uid("policy-Empty"),
        "collection": "directus_users",
        "action": "read",
        "fields": "id",
        "permissions": rule,
    }
