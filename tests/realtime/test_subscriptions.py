"""A GraphQL subscription sends what changes in its caller's view, and nothing else."""

import asyncio
from uuid import uuid4

import pytest

from app.core.caller import SYSTEM, Caller
from tests.base_data import static_token, uid
from tests.realtime.sockets import SUBSCRIBE, graphql_client, serving, subscribed
from tests.realtime.test_events import write

ADA, VI, ED = uid("ada"), uid("vi"), uid("ed")


@pytest.fixture
def users(restored_db):
    return restored_db.directory(SYSTEM)["users"]


@pytest.mark.parametrize("name", ["ada", "vi"])
async def test_create_update_and_delete_of_a_row_in_view(server, users, name):
    key = str(uuid4())
    role = uid("role-Viewer")
    async with graphql_client(server, static_token(name)) as client:
        await client.subscribe()
        await subscribed(server, 1)
        await users.create_one({"id": key, "email": "new@example.com", "title": "New", "role": role})
        created = await client.next()
        await users.update_one(key, {"title": "Newer"})
        updated = await client.next()
        await users.delete_one(key)
        deleted = await client.next()

    assert created == {"key": key, "event": "create", "data": {"id": key, "title": "New"}}
    assert updated == {"key": key, "event": "update", "data": {"id": key, "title": "Newer"}}
    assert deleted == {"key": key, "event": "delete", "data": None}


async def sql(system, text):
    await write(system, text)


async def test_a_row_that_leaves_a_view_is_deleted_there_and_one_that_enters_it_is_created(server, users):
    async with graphql_client(server, static_token("vi")) as client:  # sees users with a title
        await client.subscribe()
        await subscribed(server, 1)
        await users.update_one(ED, {"title": None})
        left = await client.next()
        await users.update_one(ED, {"title": "Back"})
        entered = await client.next()

    assert left == {"key": ED, "event": "delete", "data": None}
    assert entered == {"key": ED, "event": "create", "data": {"id": ED, "title": "Back"}}


async def test_what_a_caller_may_not_see_is_no_event(server, users):
    hidden = str(uuid4())
    async with graphql_client(server, static_token("vi")) as client:
        await client.subscribe("subscription { directus_users_mutated { key event } }")
        await subscribed(server, 1)
        await users.create_one({"id": hidden, "email": "hidden@example.com"})
        await users.update_one(hidden, {"last_name": "Hidden"})
        await users.update_one(ED, {"description": "not readable for Viewers"})
        await users.delete_one(hidden)

        await client.nothing()


async def test_without_data_every_change_that_the_caller_could_see_is_an_event(server, users):
    async with graphql_client(server, static_token("vi")) as client:
        await client.subscribe("subscription { e: directus_users_mutated { key event __typename } }")
        await subscribed(server, 1)
        await users.update_one(ED, {"first_name": "Edward"})

        assert await client.next() == {"key": ED, "event": "update", "__typename": "directus_users_mutated"}


async def test_a_hidden_field_is_null(server, users):
    query = "subscription { directus_users_mutated { data { id title email } } }"
    async with graphql_client(server, static_token("ed")) as client:
        await client.subscribe(query)
        await subscribed(server, 1)
        await users.update_one(VI, {"title": "Changed"})
        result = await client.next()

    assert result == {"data": {"id": VI, "title": "Changed", "email": "vi@example.com"}}


async def test_a_field_that_the_caller_may_not_read_is_unknown(server, restored_db):
    async with graphql_client(server, static_token("vi")) as client:
        await client.subscribe("subscription { directus_users_mutated { data { email } } }")
        error = await client.receive()

    assert error["type"] == "error"
    assert "Cannot query field 'email' on type 'directus_users'." in str(error["payload"])


async def test_an_event_can_be_chosen(server, users):
    async with graphql_client(server, static_token("vi")) as client:
        await client.subscribe(SUBSCRIBE, event="delete")
        await subscribed(server, 1)
        await users.update_one(ED, {"title": "Changed"})
        await users.update_one(ED, {"title": None})

        assert (await client.next())["event"] == "delete"


async def test_fragments_aliases_and_several_data_fields_are_answered(server, users):
    query = """
    subscription ($yes: Boolean!) { m: directus_users_mutated { k: key ...Parts b: data { name: title } } }
    fragment Parts on directus_users_mutated { a: data { id @include(if: $yes) role { name } } }
    """
    async with graphql_client(server, static_token("ada")) as client:
        await client.subscribe(query, yes=True)
        await subscribed(server, 1)
        await users.update_one(ED, {"title": "Changed"})
        result = await client.next()

    assert result == {"k": ED, "a": {"id": ED, "role": {"name": "Editor"}}, "b": {"name": "Changed"}}


async def test_a_write_by_sql_and_a_foreign_key_are_events(server, restored_db):
    async with graphql_client(server, static_token("vi")) as client:
        await client.subscribe()
        await subscribed(server, 1)
        await sql(restored_db, f"UPDATE directus_users SET title = 'by SQL' WHERE id = '{ED}';")

        assert (await client.next())["data"]["title"] == "by SQL"


async def test_a_withdrawn_right_ends_what_it_showed(server, users, restored_db):
    permission = 'UPDATE directus_permissions SET permissions = \'{"title": {"_eq": "Viewer"}}\' WHERE id = 4;'
    async with graphql_client(server, static_token("vi")) as client:
        await client.subscribe()
        await subscribed(server, 1)
        await sql(restored_db, permission)
        lost = [await client.next() for _ in range(4)]
        await users.update_one(ED, {"title": "Secret"})
        await client.nothing()
        await sql(restored_db, "DELETE FROM directus_permissions WHERE id = 4;")
        ended = await client.receive()

    assert {(row["event"], row["data"]) for row in lost} == {("delete", None)}
    assert {row["key"] for row in lost} == {ADA, ED, uid("ida"), uid("sue")}
    assert ended["type"] == "error"
    assert ended["payload"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_new_right_shows_what_it_grants(server, restored_db):
    narrow = 'UPDATE directus_permissions SET permissions = \'{"title": {"_eq": "Viewer"}}\' WHERE id = 4;'
    wide = 'UPDATE directus_permissions SET permissions = \'{"title": {"_in": ["Viewer", "Director"]}}\' WHERE id = 4;'
    await sql(restored_db, narrow)
    async with graphql_client(server, static_token("vi")) as client:
        await client.subscribe()
        await subscribed(server, 1)
        await sql(restored_db, wide)

        assert await client.next() == {"key": ADA, "event": "create", "data": {"id": ADA, "title": "Director"}}


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE directus_users SET status = 'suspended' WHERE id = '{VI}';",
        f"UPDATE directus_users SET token = NULL WHERE id = '{VI}';",
        f"DELETE FROM directus_users WHERE id = '{VI}';",
    ],
)
async def test_the_connection_of_a_user_who_may_no_longer_sign_in_closes_at_once(server, restored_db, change):
    async with graphql_client(server, static_token("vi")) as client:
        await client.subscribe()
        await subscribed(server, 1)
        await sql(restored_db, change)

        assert await client.close_code() == 4403


async def test_rules_that_follow_relations_are_evaluated_again_when_those_rows_change(server, restored_db):
    rule = '{"role": {"name": {"_eq": "Editor"}}}'
    await sql(restored_db, f"UPDATE directus_permissions SET permissions = '{rule}' WHERE id = 4;")
    async with graphql_client(server, static_token("vi")) as client:
        await client.subscribe()
        await subscribed(server, 1)
        await sql(restored_db, f"UPDATE directus_roles SET name = 'Writer' WHERE id = '{uid('role-Editor')}';")
        lost = [await client.next() for _ in range(2)]

    assert {(row["key"], row["event"]) for row in lost} == {(ED, "delete"), (uid("ida"), "delete")}


async def test_subscriptions_with_equal_rights_and_selections_share_one_statement(server, users):
    async with (
        graphql_client(server, static_token("vi")) as first,
        graphql_client(server, static_token("vi")) as second,
    ):
        await first.subscribe()
        await second.subscribe()
        await subscribed(server, 2)
        assert len(server.hub._views) == 1
        before = server.hub.services.reader.statements
        await users.update_one(ED, {"title": "Once"})
        assert [(await client.next())["data"]["title"] for client in (first, second)] == ["Once", "Once"]
        after = server.hub.services.reader.statements

    polls = 10  # each look for events is a statement too
    assert after - before <= 2 + polls


async def test_a_subscription_that_would_see_too_many_rows_is_refused(shared_db):
    async with (
        serving(shared_db.settings, websockets_max_rows=1) as server,
        graphql_client(server, static_token("vi")) as client,
    ):
        await client.subscribe()
        error = await client.receive()

    assert error["payload"][0]["extensions"]["code"] == "LIMIT_EXCEEDED"


async def test_a_new_custom_field_makes_clients_connect_again_and_is_served(writable_db):
    async with serving(writable_db.settings) as server:
        async with graphql_client(server, static_token("ada")) as client:
            await client.subscribe()
            await subscribed(server, 1)
            writer = writable_db.directory(Caller(token=static_token("ada"))).field_writer
            await writer.create("directus_users", {"field": "phone", "type": "string"})

            assert await client.close_code() == 1012
        async with graphql_client(server, static_token("ada")) as client:
            await client.subscribe("subscription { directus_users_mutated { data { phone } } }")
            await subscribed(server, 1)
            await write(writable_db, f"UPDATE directus_users SET phone = '123' WHERE id = '{ED}';")

            assert await client.next() == {"data": {"phone": "123"}}


async def test_nothing_is_left_of_a_closed_connection(server, restored_db):
    async with graphql_client(server, static_token("vi")) as client:
        await client.subscribe()
        await subscribed(server, 1)
        await client.send({"type": "complete", "id": "0"})
        await subscribed(server, 0)
        await client.subscribe()
        await subscribed(server, 1)
    await subscribed(server, 0)
    async with asyncio.timeout(20):
        while server.hub._members:  # noqa: ASYNC110  # the server tells no event of it
            await asyncio.sleep(0.01)

    assert not server.hub._views
    assert not server.hub._feed.wanted
