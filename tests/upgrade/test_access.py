"""Whoever may see something else after an upgrade was told so before: recorded requests of 24 people, replayed."""

import json

import pytest
import pytest_asyncio

from app.flows.bootstrap import bootstrap
from app.testing import open_system
from app.upgrade.difference_kinds import GENERAL, DifferenceKind, Direction
from app.upgrade.upgrade_preview import survey
from tests.conftest import make_settings
from tests.http.test_graphql import served
from tests.upgrade.databases import quiet, recorded
from tests.upgrade.response_diff import COLLECTIONS, PROJECTS_OWN, Change, answer, requests

ALL_COLLECTIONS = {**COLLECTIONS, **PROJECTS_OWN}
NEW = {
    "directus_users": {"text_direction", "policies"},
    "directus_roles": {"parent", "children", "policies"},
    "directus_permissions": {"policy"},
}
"""Fields that Directus 11 has and 10 hadn't: that they are seen is no right that anybody was given."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def announced(still_ten):
    """The differences that a dry run tells."""
    found = await survey(still_ten.database, 10_000, quiet)
    assert found
    return [one for kept in found.kept.values() for one in kept]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ours(eleven_url):
    """What Rollcall answers to the same requests on the upgraded database, by (group, actor)."""
    settings = make_settings(eleven_url, ip_trust_proxy="true")
    async with open_system(settings) as system:
        await bootstrap(system.database, settings)
    answers = {}
    async with served(settings) as client:
        for key, asked in requests("before", COLLECTIONS).items():
            body = json.dumps(asked["body"]) if asked["body"] else None
            told = await client.request(asked["method"], asked["path"], headers=asked["headers"], content=body)
            answers[key] = told.json()
    return answers


def people():
    """The role and whether it is app access, of everybody who asks."""
    roles = {role["id"]: role for role in recorded("v10", "directus_roles")}
    found = {}
    for user in recorded("v10", "directus_users"):
        if user["token"]:
            found[user["token"].removeprefix("token-").rstrip("a").rstrip("-")] = roles.get(user["role"])
    return found


def covers(one, way, change):
    """Whether a difference that was announced explains a change in that way."""
    if one.kind is DifferenceKind.ADDRESS:
        return change.before.refused == "INVALID_IP"
    return one.kind.way is way and one.kind is not DifferenceKind.ENROLLING  # nobody signs in here


def unannounced(asked, change, collection, role, announced):
    """What a change shows that no announcement explains: the fields, by way; None stands for whole rows."""
    mine = [one for one in announced if one.role == (role and role["id"]) and one.collection in (None, collection)]
    mine = [one for one in mine if one.action in (None, "read")]
    place, app = (collection, "read"), bool(role and role["app_access"])
    general = [one for one in GENERAL if (one.collection, one.action) == place and (app or not one.app_only)]
    left = {}
    for way, shown in ((Direction.WIDER, change.wider), (Direction.NARROWER, change.narrower)):
        told = [
            one for one in general if one.way is way or (one.way is Direction.OTHERWISE and not change.after.refused)
        ]
        named = {name for one in told for name in one.fields}
        asked_for_what_goes = change.after.refused and any(name in asked["path"] for name in named)
        if asked_for_what_goes or any(not one.fields for one in told) or any(covers(one, way, change) for one in mine):
            continue
        if rest := shown - named - NEW.get(collection, set()):
            left[way] = rest
    return left


def differing(before, after, collections, announced):
    """Every request that is answered otherwise, with what of it wasn't announced."""
    roles = people()
    for key, asked in before.items():
        change = Change(answer(asked["response"]), answer(after[key]))
        if change.wider or change.narrower:
            role = roles.get(key[1].partition("-")[0])
            yield key, change, unannounced(asked, change, collections[key[0]], role, announced)


@pytest.fixture(params=["rollcall", "directus"])
def replayed(request):
    """The differences that announcements leave unexplained, at Rollcall's door or at Directus 11's own."""
    served_there = COLLECTIONS if request.param == "rollcall" else ALL_COLLECTIONS
    if request.param == "rollcall":
        after = request.getfixturevalue("ours")
    else:
        after = {key: line["response"] for key, line in requests("after", served_there).items()}
    before = requests("before", served_there)
    return lambda announced: list(differing(before, after, served_there, announced))


def test_nobody_is_shown_more_or_less_than_was_announced(announced, replayed):
    found = replayed(announced)

    assert {key: left for key, _, left in found if left} == {}
    assert len(found) > 90


@pytest.mark.parametrize(
    "kind", [DifferenceKind.SEVERAL, DifferenceKind.BESIDE, DifferenceKind.ADDRESS, DifferenceKind.DROPPED]
)
def test_what_is_not_announced_would_be_found_out(announced, replayed, kind):
    found = replayed([one for one in announced if one.kind is not kind])

    assert {key: left for key, _, left in found if left}


UNASKED = {DifferenceKind.LATER, DifferenceKind.ENROLLING}
"""What the recorded requests can't show: comments that are written, and people who sign in."""
NOT_ALLOWED_BEFORE = {64}
"""A permission that lets read less than the requests ask for, in Directus 10 too."""


def test_nothing_is_announced_that_does_not_come_true(announced, replayed, request):
    came_true = {
        (role["id"], place, way)
        for (group, actor), change, _ in replayed(announced)
        if (role := people().get(actor.partition("-")[0]))
        for place in (ALL_COLLECTIONS[group], None)
        for way, shown in ((Direction.WIDER, change.wider), (Direction.NARROWER, change.narrower))
        if shown
    }
    asking = {role["id"] for role in people().values() if role}
    served_here = {*COLLECTIONS.values(), None}
    could = [one for one in announced if one.role in asking and one.action in (None, "read")]
    could = [one for one in could if one.kind not in UNASKED and not set(one.ids) & NOT_ALLOWED_BEFORE]
    if request.node.callspec.params["replayed"] == "rollcall":
        could = [one for one in could if one.collection in served_here]

    assert [one for one in could if (one.role, one.collection, one.kind.way) not in came_true] == []
    assert len({one.kind for one in could}) > 4
