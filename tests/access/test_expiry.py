"""An access row grants nothing once it has expired, and is extended only by callers who hold its rights as long."""

from datetime import timedelta

import pytest
import pytest_asyncio
from sqlalchemy import text

from app.core.errors import Forbidden, RollcallError, UnprocessableContent
from app.core.timestamps import format_timestamp
from app.flows.access.expiry_job import AccessExpiryJob
from app.flows.import_export import export_file, import_file
from app.flows.outbox_worker import OutboxWorker
from app.testing import open_system
from tests.base_data import OFFICE_IP, caller, uid
from tests.flows.clock import FrozenClock
from tests.writes.conftest import editors, editors_db  # noqa: F401  # fixtures of another package

EMAILS = "{ users(limit: -1) { email } }"
EDITORS_ACCESS = uid("access-Editors-Editor-None")
ED, ADA, RITA = caller("ed"), caller("ada"), caller("rita")
HOUR = timedelta(hours=1)
UPDATE = """
mutation ($id: ID!, $data: update_directus_access_input!) { update_access_item(id: $id, data: $data) { id expires } }
"""


class RecordingTransport:
    """A mail transport that only remembers what it is given."""

    def __init__(self):
        self.mails = []

    async def send(self, mail):
        self.mails.append(mail)


class Nodes:
    """Two servers on one database, with one clock of the test's own."""

    def __init__(self, system, other, clock):
        self.system, self.other, self.clock = system, other, clock

    def later(self, span):
        return format_timestamp(self.clock() + span)

    async def expire(self, access, span=HOUR):
        return await self.system.directory(ADA)["access"].update_one(access, {"expires": self.later(span)})


@pytest_asyncio.fixture
async def nodes(restored_db):
    clock = FrozenClock()
    async with open_system(restored_db.settings, clock) as one, open_system(restored_db.settings, clock) as other:
        yield Nodes(one, other, clock)


@pytest_asyncio.fixture
async def grantors(editors):  # noqa: F811
    clock = FrozenClock()
    async with open_system(editors.settings, clock) as one:
        yield Nodes(one, one, clock)


@pytest.mark.both_databases
async def test_a_right_is_over_at_its_moment_on_every_node_without_any_write(nodes):
    await nodes.expire(EDITORS_ACCESS)
    before = [await node.execute(EMAILS, caller=ED) for node in (nodes.system, nodes.other)]
    nodes.clock.advance(HOUR - timedelta(milliseconds=1))
    just_before = await nodes.other.execute(EMAILS, caller=ED)
    nodes.clock.advance(timedelta(milliseconds=1))
    after = [await node.execute(EMAILS, caller=ED) for node in (nodes.system, nodes.other)]

    assert [result.errors for result in (*before, just_before)] == [None, None, None]
    assert all("Cannot query field" in result.errors[0].message for result in after)


async def test_a_right_returns_once_its_row_is_renewed(nodes):
    await nodes.expire(EDITORS_ACCESS)
    nodes.clock.advance(2 * HOUR)
    assert (await nodes.other.execute(EMAILS, caller=ED)).errors
    await nodes.system.directory(ADA)["access"].update_one(EDITORS_ACCESS, {"expires": None})

    assert (await nodes.other.execute(EMAILS, caller=ED)).errors is None


async def test_a_policy_held_twice_lasts_as_long_as_the_later_of_both(nodes):
    await nodes.expire(EDITORS_ACCESS)
    access = nodes.system.directory(ADA)["access"]
    await access.create_one({"policy": uid("policy-Editors"), "user": uid("ed"), "expires": nodes.later(3 * HOUR)})
    nodes.clock.advance(2 * HOUR)
    still = await nodes.system.execute(EMAILS, caller=ED)
    nodes.clock.advance(HOUR)

    assert still.errors is None
    assert (await nodes.system.execute(EMAILS, caller=ED)).errors


async def test_an_admin_policy_and_a_network_end_too(nodes):
    system = nodes.system
    access = system.directory(ADA)["access"]
    await access.create_one({"policy": uid("policy-Administrators"), "user": uid("kit"), "expires": nodes.later(HOUR)})
    kit = await system.directory(caller("kit", OFFICE_IP)).access()
    nodes.clock.advance(HOUR)
    later = await system.directory(caller("kit", OFFICE_IP)).access()

    assert (kit.admin, kit.app, later.admin, later.app) == (True, True, False, False)
    assert later.policies == (uid("policy-Office"),)


async def test_a_plan_waiting_for_a_connection_does_not_outlive_the_right(nodes):
    """The access is checked again when the rows arrive, however long the statement took."""
    await nodes.expire(EDITORS_ACCESS)
    directory = nodes.system.directory(ED)
    access = await directory.access()
    row = await nodes.system.services.access_cache.fetch_state(ED, nodes.system.database.reader)
    is_current_before = access.is_current(row, nodes.clock)
    nodes.clock.advance(HOUR)

    assert is_current_before
    assert not access.is_current(row, nodes.clock)


async def test_expiry_is_written_read_filtered_and_sorted_as_any_field(nodes):
    system = nodes.system
    written = await system.execute(UPDATE, {"id": EDITORS_ACCESS, "data": {"expires": nodes.later(HOUR)}}, ADA)
    query = """{
      later: access(filter: { expires: { _gt: "$NOW" } }) { id expires policy { name } }
      sorted: access(sort: ["-expires"], limit: 100) { expires }
      never: access_aggregated(filter: { expires: { _null: true } }) { count { id } }
    }"""
    read = await system.execute(query, caller=ADA)

    assert written.errors is read.errors is None
    assert written.data["update_access_item"]["expires"] == nodes.later(HOUR)
    assert read.data["later"] == [{"id": EDITORS_ACCESS, "expires": nodes.later(HOUR), "policy": {"name": "Editors"}}]
    assert nodes.later(HOUR) in [row["expires"] for row in read.data["sorted"]]
    assert read.data["never"][0]["count"]["id"] == len(read.data["sorted"]) - 1


async def test_expiry_is_written_nested_and_recorded(nodes):
    system = nodes.system
    users, later = system.directory(ADA)["users"], nodes.later(HOUR)
    await users.update_one(uid("vi"), {"policies": {"create": [{"policy": uid("policy-Editors"), "expires": later}]}})
    row = await users.read_one(uid("vi"), {"fields": ["policies.expires", "policies.id"]})
    revisions = await system.directory(ADA)["revisions"].read_by_query(
        {"filter": {"item": {"_eq": row["policies"][0]["id"]}}, "fields": ["delta"]}
    )

    assert row["policies"][0]["expires"] == later
    assert revisions[0]["delta"]["expires"] == later


async def test_an_export_holds_the_ends_and_an_import_restores_them(nodes, tmp_path):
    await nodes.expire(EDITORS_ACCESS)
    await export_file(nodes.system.database, tmp_path / "export.json")
    access = nodes.system.directory(ADA)["access"]
    await access.update_one(EDITORS_ACCESS, {"expires": None})
    await import_file(nodes.system.database, tmp_path / "export.json")

    assert (await access.read_one(EDITORS_ACCESS, {"fields": ["expires"]})) == {"expires": nodes.later(HOUR)}


async def test_a_star_means_the_fields_of_directus(nodes):
    rows = await nodes.system.directory(ADA)["access"].read_by_query({"fields": ["*"]})

    assert set(rows[0]) == {"id", "role", "user", "policy", "sort"}


@pytest.mark.parametrize("value", ["soon", "99999-01-01", True])
async def test_an_invalid_end_is_a_clear_error(nodes, value):
    with pytest.raises(RollcallError, match="expires") as raised:
        await nodes.system.directory(ADA)["access"].update_one(EDITORS_ACCESS, {"expires": value})

    assert raised.value.code in ("INVALID_PAYLOAD", "FAILED_VALIDATION")


async def test_the_row_of_a_deleted_access_row_goes_with_it(nodes):
    await nodes.expire(EDITORS_ACCESS)
    await nodes.system.directory(ADA)["access"].delete_one(EDITORS_ACCESS)
    async with nodes.system.database.transaction() as connection:
        left = await connection.scalar(text("SELECT count(*) FROM rollcall_access_expiry"))

    assert left == 0


@pytest.mark.both_databases
async def test_the_last_admin_is_one_whose_access_lasts(nodes):
    row = uid("access-Administrators-Administrator-None")
    access = nodes.system.directory(ADA)["access"]
    admins = await access.read_by_query({"filter": {"policy": {"admin_access": {"_eq": True}}}, "fields": ["id"]})
    for other in admins:
        if other["id"] != row:
            await access.delete_one(other["id"])

    with pytest.raises(UnprocessableContent, match="last admin"):
        await nodes.expire(row)


async def delegate(nodes, **values):
    access = nodes.system.directory(RITA)["access"]
    return await access.create_one({"policy": uid("policy-Rights"), "user": uid("will"), **values})


@pytest.mark.both_databases
async def test_a_right_held_for_good_may_be_granted_for_a_limited_time(grantors):
    await delegate(grantors, expires=grantors.later(HOUR))


@pytest.mark.both_databases
async def test_a_time_boxed_right_is_granted_for_no_longer_than_it_is_held(grantors):
    await grantors.expire(uid("access-Rights-Rights-None"), 2 * HOUR)
    await delegate(grantors, expires=grantors.later(HOUR))
    await delegate(grantors, expires=grantors.later(2 * HOUR))

    for longer in (None, grantors.later(3 * HOUR)):
        with pytest.raises(Forbidden):
            await delegate(grantors, expires=longer)


async def test_nobody_extends_their_own_right(grantors):
    own = uid("access-Rights-Rights-None")
    await grantors.expire(own, 2 * HOUR)
    access = grantors.system.directory(RITA)["access"]

    for longer in (None, grantors.later(3 * HOUR)):
        with pytest.raises(Forbidden):
            await access.update_one(own, {"expires": longer})
    await access.update_one(own, {"expires": grantors.later(HOUR)})


async def test_nobody_lets_a_condition_of_others_expire(grantors):
    """A policy that only requires TFA may not get an end from a caller who lacks the rights that it restricts."""
    admin = grantors.system.directory(ADA)
    policy = await admin["policies"].create_one({"name": "TFA", "enforce_tfa": True})
    row = await admin["access"].create_one({"policy": policy, "role": uid("role-App")})

    with pytest.raises(Forbidden):
        await grantors.system.directory(RITA)["access"].update_one(row, {"expires": grantors.later(HOUR)})


EXPLAIN = """
query ($user: ID!) {
  access_explain(user: $user, action: "read", collection: "users", field: "email") {
    allowed reasons enough policies { name in_force origins { expires expired } }
  }
}
"""


async def test_an_explanation_says_since_when_a_policy_has_expired(nodes):
    await nodes.expire(EDITORS_ACCESS)
    before = await nodes.system.execute(EXPLAIN, {"user": uid("ed")}, ADA)
    end = nodes.later(HOUR)
    nodes.clock.advance(HOUR)
    after = await nodes.system.execute(EXPLAIN, {"user": uid("ed")}, ADA)

    assert before.errors is after.errors is None
    assert before.data["access_explain"]["allowed"]
    assert f'(from the role "Editor", until {end}) allows to read' in before.data["access_explain"]["reasons"][0]
    explanation = after.data["access_explain"]
    assert not explanation["allowed"]
    assert (
        f'Policy "Editors" (from the role "Editor", expired since {end}) is not in force: it has expired.'
        in (explanation["reasons"])
    )
    assert any(change.startswith('Set a later "expires" on the access row of') for change in explanation["enough"])
    assert {"name": "Editors", "in_force": False, "origins": [{"expires": end, "expired": True}]} in (
        explanation["policies"]
    )


async def test_an_explanation_does_not_tell_users_which_items_an_expired_rule_matches(nodes):
    """Ed sees every user by another policy; the rule of the expired one would tell him the status of a user."""
    await nodes.expire(EDITORS_ACCESS)
    nodes.clock.advance(HOUR)
    query = """
    query ($item: ID!, $user: ID!) {
      access_explain(user: $user, action: "read", collection: "users", item: $item, field: "email") {
        allowed reasons enough policies { name permissions { matches_item } }
      }
    }
    """

    async def explained(asker):
        answers = [
            await nodes.system.execute(query, {"item": uid(item), "user": uid("ed")}, asker) for item in ("vi", "sue")
        ]
        assert [answer.errors for answer in answers] == [None, None]
        return [answer.data["access_explain"] for answer in answers]

    active, suspended = await explained(ED)
    assert "Editors" in {policy["name"] for policy in active["policies"]}
    assert active == suspended
    active, suspended = await explained(ADA)
    assert active != suspended


async def test_an_end_is_announced_and_recorded_once_by_all_nodes(nodes):
    access = nodes.system.directory(ADA)["access"]
    for policy in ("Editors", "Staff"):
        values = {"policy": uid(f"policy-{policy}"), "user": uid("vi"), "expires": nodes.later(2 * HOUR)}
        await access.create_one(values)
    await nodes.expire(EDITORS_ACCESS, timedelta(days=10))
    jobs = [AccessExpiryJob(node.services) for node in (nodes.system, nodes.other)]

    announced = [await job.run_once() for job in jobs]
    async with nodes.system.database.transaction() as connection:
        mails = (await connection.execute(text("SELECT kind, recipient, data FROM rollcall_outbox"))).all()
    end = nodes.later(2 * HOUR)
    nodes.clock.advance(3 * HOUR)
    recorded = [await job.run_once() for job in jobs]
    query = {"filter": {"action": {"_eq": "expire"}}, "fields": ["timestamp", "collection", "user"]}
    activity = await nodes.system.directory(ADA)["activity"].read_by_query(query)

    assert (announced, recorded) == ([2, 0], [2, 0])
    assert [(kind, recipient) for kind, recipient, _ in mails] == [("access_ends", "vi@example.com")]
    assert end in str(mails[0].data)
    assert activity == 2 * [{"timestamp": end, "collection": "directus_access", "user": None}]


async def test_a_changed_end_is_announced_again(nodes):
    job = AccessExpiryJob(nodes.system.services)
    await nodes.expire(EDITORS_ACCESS)
    first = await job.run_once()
    await nodes.expire(EDITORS_ACCESS, 2 * HOUR)

    assert (first, await job.run_once(), await job.run_once()) == (1, 1, 0)


async def test_the_mail_says_when_access_ends_and_leads_to_the_account(nodes):
    transport = RecordingTransport()
    users = nodes.system.directory(ADA)["users"]
    policy = {"policy": uid("policy-Editors"), "expires": nodes.later(HOUR)}
    await users.update_one(uid("vi"), {"policies": {"create": [policy]}})
    await AccessExpiryJob(nodes.system.services).run_once()
    await OutboxWorker(nodes.system.services, transport).run_once()

    (mail,) = transport.mails
    assert f"ends on {(nodes.clock() + HOUR):%Y-%m-%d %H:%M} UTC" in mail.content.text
    assert "/admin/account/rights\n" in mail.content.text
    assert "token" not in mail.content.text + mail.content.html
