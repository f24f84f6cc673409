"""Every change of access in an upgrade is listed by the dry run: recorded requests of 24 users, replayed."""

import json

import pytest
import pytest_asyncio

from app.flows.bootstrap import bootstrap
from app.testing import open_system
from app.upgrade.difference_kinds import GENERAL_DIFFERENCES, DifferenceKind, Direction
from app.upgrade.upgrade_preview import preview_upgrade
from tests.conftest import make_settings
from tests.http.test_graphql import served
from tests.upgrade.databases import no_progress, recorded_rows
from tests.upgrade.response_diff import (
    COLLECTIONS,
    INVALID_IP,
    PROJECT_COLLECTIONS,
    ResponseChange,
    parse_response,
    recorded_requests,
)

ALL_COLLECTIONS = {**COLLECTIONS, **PROJECT_COLLECTIONS}
ADDED_FIELDS = {
    "directus_users": {"text_direction", "policies"},
    "directus_roles": {"parent", "children", "policies"},
    "directus_permissions": {"policy"},
}
"""Fields that Directus 11 added. That they are returned is no change of access."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def listed(readonly_v10):
    """The differences that a dry run lists."""
    preview = await preview_upgrade(readonly_v10.database, 10_000, no_progress)
    assert preview
    return [difference for differences in preview.differences.values() for difference in differences]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def rollcall_responses(v11_url):
    """Rollcall's responses to the same requests on the upgraded database, by (group, actor)."""
    settings = make_settings(v11_url, ip_trust_proxy="true")
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
    responses = {}
    async with served(settings) as client:
        for key, request in recorded_requests("before", COLLECTIONS).items():
            content = json.dumps(request["body"]) if request["body"] else None
            response = await client.request(
                request["method"], request["path"], headers=request["headers"], content=content
            )
            responses[key] = response.json()
    return responses


def roles_of_actors():
    """Return the Directus 10 role of each actor of the recordings; None for those without one."""
    roles = {role["id"]: role for role in recorded_rows("v10", "directus_roles")}
    return {
        user["token"].removeprefix("token-").rstrip("a").rstrip("-"): roles.get(user["role"])
        for user in recorded_rows("v10", "directus_users")
        if user["token"]
    }


def role_of(actor):
    """Return the role of an actor as it is recorded: its name, and after a dash where it calls from."""
    return roles_of_actors().get(actor.partition("-")[0])


def explains(difference, direction, change):
    """Return whether a listed difference explains a change in this direction."""
    if difference.kind is DifferenceKind.IP_ACCESS:
        return change.before.error == INVALID_IP
    # The recorded requests use static tokens, which TFA does not affect.
    return difference.kind.direction is direction and difference.kind is not DifferenceKind.TFA_SETUP_REQUIRED


def general_differences(collection, role):
    """Return the general differences that apply when this role reads a collection."""
    has_app_access = bool(role and role["app_access"])
    return [
        general
        for general in GENERAL_DIFFERENCES
        if (general.collection, general.action) == (collection, "read") and (has_app_access or not general.app_only)
    ]


def unlisted_fields(request, change, collection, role, listed):
    """Return the changed fields that no listed difference explains, by direction; None stands for whole rows."""
    own = [
        difference
        for difference in listed
        if difference.role == (role and role["id"])
        and difference.collection in (None, collection)
        and difference.action in (None, "read")
    ]
    unlisted = {}
    for direction, changed in ((Direction.WIDER, change.wider), (Direction.NARROWER, change.narrower)):
        general = [
            each
            for each in general_differences(collection, role)
            if each.direction is direction or (each.direction is Direction.DIFFERENT and not change.after.error)
        ]
        fields = {name for each in general for name in each.fields}
        requests_removed_field = change.after.error and any(name in request["path"] for name in fields)
        if (
            requests_removed_field
            or any(not each.fields for each in general)
            or any(explains(difference, direction, change) for difference in own)
        ):
            continue
        if rest := changed - fields - ADDED_FIELDS.get(collection, set()):
            unlisted[direction] = rest
    return unlisted


def changed_responses(before, after, collections, listed):
    """Yield every request whose response changes, with the change and the fields that were not listed."""
    for key, request in before.items():
        group, actor = key
        change = ResponseChange(parse_response(request["response"]), parse_response(after[key]))
        if change.wider or change.narrower:
            yield key, change, unlisted_fields(request, change, collections[group], role_of(actor), listed)


@pytest.fixture(params=["rollcall", "directus"])
def changes(request):
    """Returns the changed responses of Rollcall, or of Directus 11 itself, for the differences that are listed."""
    if request.param == "rollcall":
        collections, after = COLLECTIONS, request.getfixturevalue("rollcall_responses")
    else:
        collections = ALL_COLLECTIONS
        after = {key: line["response"] for key, line in recorded_requests("after", collections).items()}
    before = recorded_requests("before", collections)
    return lambda listed: list(changed_responses(before, after, collections, listed))


def test_every_change_of_access_is_listed(listed, changes):
    responses = changes(listed)

    assert {key: unlisted for key, _, unlisted in responses if unlisted} == {}
    assert len(responses) > 90


@pytest.mark.sampled
@pytest.mark.parametrize(
    "kind",
    [
        DifferenceKind.DUPLICATE_PERMISSIONS,
        DifferenceKind.BESIDE_APP_MINIMUM,
        DifferenceKind.IP_ACCESS,
        DifferenceKind.REMOVED_COLUMNS,
    ],
)
def test_a_change_that_is_not_listed_is_found(listed, changes, kind):
    responses = changes([difference for difference in listed if difference.kind is not kind])

    assert {key: unlisted for key, _, unlisted in responses if unlisted}


NOT_RECORDED = {DifferenceKind.LATER_MIGRATIONS, DifferenceKind.TFA_SETUP_REQUIRED}
"""Kinds that the recorded requests can't show: they neither write comments nor log in."""
WITHOUT_EFFECT = {64}
"""A permission that allows less than the requests ask for, in Directus 10 too."""


def test_every_listed_difference_changes_a_response(listed, changes, request):
    seen = {
        (role["id"], collection, direction)
        for (group, actor), change, _ in changes(listed)
        if (role := role_of(actor))
        for collection in (ALL_COLLECTIONS[group], None)
        for direction, fields in ((Direction.WIDER, change.wider), (Direction.NARROWER, change.narrower))
        if fields
    }
    roles = {role["id"] for role in roles_of_actors().values() if role}
    expected = [
        difference
        for difference in listed
        if difference.role in roles
        and difference.action in (None, "read")
        and difference.kind not in NOT_RECORDED
        and not set(difference.ids) & WITHOUT_EFFECT
    ]
    if request.node.callspec.params["changes"] == "rollcall":
        served_collections = {*COLLECTIONS.values(), None}
        expected = [difference for difference in expected if difference.collection in served_collections]

    assert [
        difference
        for difference in expected
        if (difference.role, difference.collection, difference.kind.direction) not in seen
    ] == []
    assert len({difference.kind for difference in expected}) > 4
