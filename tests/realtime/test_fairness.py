"""What one client sends over a WebSocket neither keeps others waiting nor escapes the limit on requests."""

import asyncio
import threading

import pytest
import websockets

from app.core.caller import Caller
from app.db.resource_pool import ResourcePool
from app.flows.realtime.hub import TOO_MANY_WAITING
from app.graphql.subscriptions import GraphQLRequest, read_visible
from app.http.realtime.graphql_subscription import ResultReceiver, start_subscription
from app.query.collection import USERS
from tests.base_data import static_token
from tests.realtime.sockets import SUBSCRIBE, graphql_client, serving
from tests.realtime.test_directus_messages import sdk_client

VI, ADA = static_token("vi"), static_token("ada")
INVALID = "subscription { nonsense }"


async def test_documents_are_prepared_in_the_planning_thread(server):
    release = threading.Event()
    async with graphql_client(server, VI) as client:
        planning = asyncio.ensure_future(server.hub.services.planning.run("other", release.wait))
        try:
            await client.subscribe(INVALID)
            await client.nothing(0.3)
            await client.send({"type": "ping"})
            first = await client.receive()
        finally:
            release.set()
            await planning
        second = await client.receive()

    assert (first["type"], second["type"]) == ("pong", "error")


async def test_callers_take_turns_to_start_subscriptions(server):
    hub = server.hub
    busy, other = [await hub.join(Caller(token=token), lambda _: None) for token in (VI, ADA)]
    started = []

    async def start(member):
        await hub.subscribe(member, lambda access: read_visible(USERS, access), None)
        started.append(member)

    try:
        async with hub._lock:  # as while changes are delivered
            waiting = [asyncio.ensure_future(start(member)) for member in (*[busy] * 5, other)]
            await asyncio.sleep(0.1)
        await asyncio.gather(*waiting)
    finally:
        hub.leave(busy)
        hub.leave(other)

    assert started.index(other) <= 2


async def test_clients_that_subscribe_at_once_do_not_fill_the_planning_queue(server):
    hub, receiver = server.hub, ResultReceiver(lambda _: None, lambda _: None)
    members = [await hub.join(Caller(token=token), lambda _: None) for token in (VI, ADA) * 10]
    planning = hub.services.planning.turns.statistics
    waits = planning.waits
    try:
        await asyncio.gather(
            *(start_subscription(hub, member, GraphQLRequest(SUBSCRIBE), receiver) for member in members)
        )
        subscriptions = sum(len(member.subscriptions) for member in members)
    finally:
        for member in members:
            hub.leave(member)

    assert (subscriptions, planning.waits - waits) == (20, 0)


async def test_a_client_whose_subscription_waits_too_long_has_to_connect_again(server):
    hub = server.hub
    turns = hub._starts
    hub._starts = ResourcePool(("turn",), reserved=0, max_waiting=1, timeout=0.05, exhausted=TOO_MANY_WAITING)
    other = await hub.join(Caller(token=ADA), lambda _: None)
    try:
        async with graphql_client(server, VI) as client, hub.turn(other):
            await client.subscribe()
            code = await client.close_code()
    finally:
        hub._starts = turns
        hub.leave(other)

    assert code == 1013  # with which clients try again, later


async def test_messages_that_are_requests_count_as_such(shared_db):
    limit = {"rate_limiter_enabled": True, "rate_limiter_points": 3, "rate_limiter_duration": 60}
    async with (
        serving(shared_db.settings, **limit) as server,
        graphql_client(server, VI) as client,  # each of these connections is a request too
        sdk_client(server, VI) as sdk,
    ):
        await client.subscribe(INVALID)
        counted = await client.receive()
        await client.subscribe(INVALID)
        rejected = await client.receive()
        await sdk.send({"type": "items", "collection": "directus_users", "action": "read"})
        of_sdk = await sdk.receive()

    assert counted["payload"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION"
    assert rejected["payload"][0]["extensions"]["code"] == of_sdk["error"]["code"] == "REQUESTS_EXCEEDED"


async def test_connections_without_credentials_of_one_address_leave_room_for_others(shared_db):
    limits = {"websockets_graphql_conn_limit": 4}
    async with serving(shared_db.settings, **limits) as server, server.connect(), server.connect():
        with pytest.raises(websockets.InvalidStatus):
            await server.connect()
        async with graphql_client(server, additional_headers={"Authorization": f"Bearer {VI}"}):
            pass
