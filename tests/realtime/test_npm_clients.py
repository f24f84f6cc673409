"""Clients of GraphQL subscriptions from npm, unmodified, get every event, and connect again when a server stops."""

from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from app.core.caller import SYSTEM
from tests.base_data import static_token, uid
from tests.realtime.npm import running
from tests.realtime.sockets import serving, subscribed

ADA = static_token("ada")
QUERY = "subscription { directus_users_mutated { key event data { id title } } }"
CREATE_WS_CLIENT = """
import { createClient as createWsClient } from "graphql-ws";
import WebSocket from "ws";
const socket = createWsClient({
  url: process.env.URL.replace("http", "ws"),
  connectionParams: () => ({ access_token: process.env.TOKEN }),
  webSocketImpl: WebSocket,
});
const print = ({ data }) => console.log(JSON.stringify(data.directus_users_mutated));
const fail = (error) => { console.error(error); process.exit(1); };
"""
CREATE_URQL_CLIENT = """
import { Client, fetchExchange, subscriptionExchange } from "@urql/core";
const subscribe = (options) => {
  const client = new Client({ url: process.env.URL, ...options });
  client.subscription(process.env.QUERY, {}).subscribe((result) => (result.error ? fail(result.error) : print(result)));
};
"""
GRAPHQL_WS = """
socket.subscribe({ query: process.env.QUERY }, { next: print, error: fail, complete: () => {} });
"""
GRAPHQL_SSE = """
import { createClient } from "graphql-sse";
const client = createClient({
  url: process.env.URL,
  headers: async () => ({ Authorization: `Bearer ${process.env.TOKEN}` }),
});
client.subscribe({ query: process.env.QUERY }, { next: print, error: fail, complete: () => {} });
"""
APOLLO = """
import { ApolloClient, InMemoryCache, gql } from "@apollo/client/core";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
const client = new ApolloClient({ link: new GraphQLWsLink(socket), cache: new InMemoryCache() });
client.subscribe({ query: gql(process.env.QUERY) }).subscribe({ next: print, error: fail });
"""
URQL = """
subscribe({ exchanges: [subscriptionExchange({ forwardSubscription: (request) => ({
  subscribe: (sink) => ({ unsubscribe: socket.subscribe({ ...request, query: request.query ?? "" }, sink) }),
}) })] });
"""
URQL_EVENTS = """
subscribe({ exchanges: [fetchExchange], fetchSubscriptions: true,
  fetchOptions: { headers: { Authorization: `Bearer ${process.env.TOKEN}` } } });
"""
CLIENTS = {
    "graphql-ws": GRAPHQL_WS,
    "graphql-sse": GRAPHQL_SSE,
    "Apollo Client": APOLLO,
    "urql": CREATE_URQL_CLIENT + URQL,
    "urql with server-sent events": CREATE_URQL_CLIENT + URQL_EVENTS,
}
THAT_CONNECT_AGAIN = sorted(CLIENTS.keys() - {"urql with server-sent events"})
pytestmark = pytest.mark.nightly


def client_of(name, node_modules, port):
    url = f"http://127.0.0.1:{port}/graphql/system"
    return running(node_modules, CREATE_WS_CLIENT + CLIENTS[name], URL=url, TOKEN=ADA, QUERY=QUERY)


def without_typename(result):
    """Return a result without the fields that caches of clients add to their queries."""
    if not isinstance(result, dict):
        return result
    return {name: without_typename(value) for name, value in result.items() if name != "__typename"}


@pytest.fixture
def users(restored_db):
    return restored_db.directory(SYSTEM)["users"]


@pytest.mark.parametrize("name", sorted(CLIENTS))
async def test_a_client_gets_what_is_created_updated_and_deleted(server, users, node_modules, name):
    key = str(uuid4())
    async with client_of(name, node_modules, server.port) as output:
        await subscribed(server, 1)
        await users.create_one({"id": key, "email": "new@example.com", "title": "New"})
        created = without_typename(await output.next())
        await users.update_one(key, {"title": "Newer"})
        updated = without_typename(await output.next())
        await users.delete_one(key)
        deleted = without_typename(await output.next())
    await subscribed(server, 0)

    assert created == {"key": key, "event": "create", "data": {"id": key, "title": "New"}}
    assert updated == {"key": key, "event": "update", "data": {"id": key, "title": "Newer"}}
    assert deleted == {"key": key, "event": "delete", "data": None}


@pytest.mark.parametrize("name", THAT_CONNECT_AGAIN)
async def test_a_client_connects_again_when_its_server_stops(shared_db, users, node_modules, name):
    async with AsyncExitStack() as stack:
        async with serving(shared_db.settings) as first:
            output = await stack.enter_async_context(client_of(name, node_modules, first.port))
            await subscribed(first, 1)
            first.app.drain()
        async with serving(shared_db.settings, port=first.port) as second:
            await subscribed(second, 1)
            await users.update_one(uid("ed"), {"title": "Again"})
            result = without_typename(await output.next())

    assert result == {"key": uid("ed"), "event": "update", "data": {"id": uid("ed"), "title": "Again"}}
