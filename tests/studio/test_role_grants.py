"""What the permissions of a policy allow, with their conditions in words."""

import pytest

from app.query.collection import BUILT_IN
from app.studio.pages.roles.role_grants import UNREADABLE, grants_by_collection
from app.studio.pages.users.user_fields import rule_words

pytestmark = pytest.mark.one_database

ACTIVE, DRAFT = {"status": {"_eq": "active"}}, {"status": {"_eq": "draft"}}


def conditions(*rules, action="read", collection="directus_users"):
    rows = [{"collection": collection, "action": action, "permissions": rule} for rule in rules]
    (grant,) = grants_by_collection(BUILT_IN, rows, rule_words(lambda text: text))[collection]
    return grant.rows


def test_several_permissions_for_an_action_are_alternatives():
    assert conditions(ACTIVE) == "Status is active"
    assert conditions(ACTIVE, DRAFT) == "Status is active or Status is draft"


@pytest.mark.parametrize("rules", [({},), (None,), (ACTIVE, {}), (ACTIVE, {"_and": []})])
def test_one_permission_without_a_condition_allows_every_row(rules):
    assert conditions(*rules) == ""


def test_a_condition_that_has_no_words_is_still_one():
    assert conditions({"no_such_field": {"_eq": 1}}) == UNREADABLE
    assert conditions({"title": {"_eq": 1}}, collection="articles") == UNREADABLE
