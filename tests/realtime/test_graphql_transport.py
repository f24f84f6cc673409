"""The protocol graphql-transport-ws: who is let in, and what becomes of messages that break its rules."""

import asyncio
import json
from contextlib import suppress
from datetime import timedelta

import pytest
import websockets

from app.core.tokens import sign_access_token
from app.flows.realtime.view import ChangeList, ViewChange
from tests.base_data import static_token, uid
from tests.realtime.sockets import Client, graphql_client, serving, subscribed
from tests.realtime.test_events import write

pytestmark = pytest.mark.one_database

VI = static_token("vi")
SUBSCRIPTION = {"type": "subscribe", "id": "1", "payload": {"query": "subscription { directus_users_mutated { key } }"}}
INIT = {"type": "connection_init", "payload": {"access_token": VI}}


async def close_code_after(server, *messages, **options):
    async with server.connect(**options) as socket:
        with suppress(websockets.ConnectionClosed):
            for message in messages:
                await socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
        return await Client(socket).close_code()


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        (["no JSON"], 4400),
        (["[]"], 4400),
        ([b"\x00\x01"], 4400),
        ([{"type": "nonsense"}], 4400),
        ([SUBSCRIPTION], 4401),
        ([{"type": "connection_init"}], 4403),
        ([{"type": "connection_init", "payload": {"access_token": "wrong"}}], 4403),
        ([{"type": "connection_init", "payload": {"access_token": 5}}], 4400),
        ([INIT, INIT], 4429),
        ([INIT, SUBSCRIPTION, SUBSCRIPTION], 4409),
        ([INIT, {**SUBSCRIPTION, "id": ""}], 4400),
        ([INIT, {**SUBSCRIPTION, "payload": {}}], 4400),
        ([INIT, {"type": "start", "id": "1", "payload": {}}], 4400),
        ([INIT, json.dumps({**SUBSCRIPTION, "payload": {"query": "x" * 100_000}})], 1009),
        ([INIT, *({"type": "pong"} for _ in range(100))], 1008),
        (["[" * 60_000], 4400),
    ],
)
async def test_a_client_that_breaks_a_rule_is_disconnected_with_a_code(server, messages, code):
    assert await close_code_after(server, *messages) == code


@pytest.mark.parametrize("subprotocols", [(), ("graphql-ws",)])
async def test_other_protocols_are_refused(server, subprotocols):
    async with server.connect(subprotocols=subprotocols) as socket:
        code = await Client(socket).close_code()

    assert code == 4406


async def test_a_message_in_endless_fragments_ends_the_connection(server):
    async def fragments():
        while True:
            await asyncio.sleep(0)
            yield ""

    async with server.connect() as socket:
        with pytest.raises(websockets.ConnectionClosed):
            async with asyncio.timeout(20):
                await socket.send(fragments())

        assert await Client(socket).close_code() == 1009


async def test_a_message_of_10_mb_ends_the_connection(server):
    assert await close_code_after(server, "x" * 10_000_000) == 1009


async def test_compression_is_not_offered(server):
    async with server.connect(additional_headers={"Sec-WebSocket-Extensions": "permessage-deflate"}) as socket:
        assert "Sec-WebSocket-Extensions" not in socket.response.headers


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ users { id } }", "Only subscriptions"),
        ("subscription {", "Syntax Error"),
        ("subscription { directus_users_mutated { nonsense } }", "Cannot query field"),
        ("subscription { users_mutated { key } }", "Cannot query field"),
        ("subscription { a: directus_users_mutated { key } b: directus_users_mutated { key } }", "only one top level"),
        ("subscription { directus_files_mutated { key } }", "Cannot query field"),
        ("subscription ($event: EventEnum!) { directus_users_mutated(event: $event) { key } }", "$event"),
        ("{ __schema { types { name } } }", "Only subscriptions"),
    ],
)
async def test_an_invalid_subscription_is_answered_with_an_error(server, query, message):
    async with graphql_client(server, VI) as client:
        await client.subscribe(query)
        error = await client.receive()

    assert error["type"] == "error"
    assert message in json.dumps(error["payload"])


async def test_a_subscription_over_http_is_refused(server):
    import httpx

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as http:
        response = await http.post(
            "/graphql/system", json=SUBSCRIPTION["payload"], headers={"Authorization": f"Bearer {VI}"}
        )

    assert response.status_code == 400
    assert "WebSocket" in response.text


async def test_pings_are_answered_before_and_after_the_first_message(server):
    async with server.connect() as socket:
        client = Client(socket)
        await client.send({"type": "ping", "payload": {"a": 1}})
        first = await client.receive()
        await client.init(VI)
        await client.send({"type": "ping"})

        assert (first, await client.receive()) == ({"type": "pong", "payload": {"a": 1}}, {"type": "pong"})


async def test_a_token_in_the_address_identifies_the_client(server):
    async with server.connect(f"/graphql/system?access_token={VI}") as socket:
        await Client(socket).init()


@pytest.mark.parametrize(
    ("path", "status"), [("/graphql/system?access_token=wrong", 401), ("/nonsense", 404), ("/graphql/system/x", 404)]
)
async def test_a_connection_is_refused_over_http(server, path, status):
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with server.connect(path):
            pass

    assert refused.value.response.status_code == status


async def test_a_cookie_counts_only_with_a_known_origin(server, restored_db):
    cookie = {"Cookie": f"directus_session_token={VI}"}
    async with server.connect(additional_headers=cookie, origin=f"http://127.0.0.1:{server.port}") as socket:
        await Client(socket).init()
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with server.connect(additional_headers=cookie, origin="https://evil.example.com"):
            pass

    assert refused.value.response.status_code == 403


async def test_an_expired_token_ends_the_connection(server, shared_db):
    secret = shared_db.settings.secret.get_secret_value()
    token = sign_access_token(secret, uid("vi"), ttl=timedelta(seconds=2))
    async with graphql_client(server, token) as client:
        await client.subscribe()

        assert await client.close_code() == 4403


async def test_a_deleted_session_ends_the_connection(server, shared_db, restored_db):
    insert = (
        "INSERT INTO directus_sessions (token, \"user\", expires) VALUES ('s1', '{}', '2099-01-01T00:00:00.000000Z');"
    )
    await write(restored_db, insert.format(uid("vi")))
    secret = shared_db.settings.secret.get_secret_value()
    token = sign_access_token(secret, uid("vi"), session="s1", ttl=timedelta(minutes=5))
    async with graphql_client(server, token) as client:
        await client.subscribe()
        await subscribed(server, 1)
        await write(restored_db, "DELETE FROM directus_sessions WHERE token = 's1';")

        assert await client.close_code() == 4403


async def test_limits_of_connections_subscriptions_and_slow_clients(shared_db):
    limits = {
        "websockets_user_conn_limit": 1,
        "websockets_graphql_conn_limit": 2,
        "websockets_max_subscriptions": 1,
        "websockets_max_queue": 3,
        "websockets_graphql_auth_timeout": 1,
        "websockets_graphql_auth": "public",
    }
    async with serving(shared_db.settings, **limits) as server, graphql_client(server, VI) as client:
        async with server.connect() as idle:
            assert await Client(idle).close_code() == 4408
        assert await close_code_after(server, INIT) == 1013
        async with server.connect():
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with server.connect():
                    pass
        await client.subscribe()
        await client.subscribe()
        error = await client.receive()
        await subscribed(server, 1)

        assert refused.value.response.status_code == 503
        assert "Too many subscriptions" in str(error)
        (member,) = (member for member in server.hub._members if member.subscriptions)
        (subscription,) = member.subscriptions
        changes = [ViewChange("update", number, {"id": str(number), "title": None}) for number in range(10)]
        subscription.sink.send(ChangeList(changes))  # at once, so that the writer can't send any of them

        assert await client.close_code() == 1013
        assert server.hub.services.metrics.realtime_slow_clients.read() == {(): 1}


async def test_clients_are_told_to_come_back_when_the_server_stops(shared_db):
    async with serving(shared_db.settings) as server, graphql_client(server, VI) as client:
        server.uvicorn.should_exit = True

        assert await client.close_code() == 1012
