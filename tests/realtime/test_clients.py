"""The clients in the documentation, from npm, against a server on a real socket."""

import asyncio
import json
import re

import pytest

from app.core.caller import SYSTEM
from tests.base_data import static_token, uid
from tests.readme.generated import DOCS
from tests.realtime.npm import start
from tests.realtime.sockets import graphql_client, subscribed

PAGE = (DOCS / "concepts/realtime.md").read_text()
QUERY = "subscription { directus_users_mutated { key event data { title } } }"
ADA, ED = static_token("ada"), uid("ed")
GRAPHQL_WS = """
import WebSocket from "ws";
const currentToken = () => process.env.TOKEN;
const documented = (options) => createClient({ ...options, url: process.env.URL, webSocketImpl: WebSocket });
SETUP
const results = client.iterate({ query: process.env.QUERY });
for await (const result of results) { console.log(JSON.stringify(result.data)); break; }
await client.dispose();
"""


def block(language, heading=""):
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE[PAGE.index(heading) :], re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest.mark.nightly
async def test_graphql_ws_subscribes_as_documented(server, restored_db, node_modules):
    setup = block("js").replace("= createClient(", "= documented(")
    imports = setup.splitlines()[0]
    script = imports + GRAPHQL_WS.replace("SETUP", setup.replace(imports, ""))
    url = f"ws://127.0.0.1:{server.port}/graphql/system"
    process = await start(node_modules, script, URL=url, TOKEN=ADA, QUERY=QUERY)
    await subscribed(server, 1)
    await restored_db.directory(SYSTEM)["users"].update_one(ED, {"title": "By npm"})
    output, _ = await asyncio.wait_for(process.communicate(), 30)

    assert json.loads(output) == {"directus_users_mutated": {"key": ED, "event": "update", "data": {"title": "By npm"}}}


GRAPHQL_SSE = """
const currentToken = () => process.env.TOKEN;
const documented = (options) => createClient({ ...options, url: process.env.URL });
SETUP
const results = client.iterate({ query: process.env.QUERY });
for await (const result of results) { console.log(JSON.stringify(result.data)); break; }
client.dispose();
"""


@pytest.mark.nightly
async def test_graphql_sse_subscribes_as_documented(server, restored_db, node_modules):
    setup = block("js", "server-sent events\n").replace("= createClient(", "= documented(")
    imports = setup.splitlines()[0]
    script = imports + GRAPHQL_SSE.replace("SETUP", setup.replace(imports, ""))
    url = f"http://127.0.0.1:{server.port}/graphql/system"
    process = await start(node_modules, script, URL=url, TOKEN=ADA, QUERY=QUERY)
    await subscribed(server, 1)
    await restored_db.directory(SYSTEM)["users"].update_one(ED, {"title": "By npm"})
    output, _ = await asyncio.wait_for(process.communicate(), 30)

    assert json.loads(output) == {"directus_users_mutated": {"key": ED, "event": "update", "data": {"title": "By npm"}}}


async def test_the_documented_subscription_is_sent_an_update(server, restored_db):
    async with graphql_client(server, ADA) as client:
        await client.subscribe(block("graphql"))
        await subscribed(server, 1)
        await restored_db.directory(SYSTEM)["users"].update_one(ED, {"status": "suspended"})
        result = await client.next()

    assert result["event"] == "update"
    assert result["data"]["status"] == "suspended"


SDK = """
import { createDirectus, realtime, staticToken } from "@directus/sdk";
import WebSocket from "ws";
const documented = (url, options) => createDirectus(process.env.URL, { globals: { WebSocket } });
SETUP
"""


@pytest.mark.nightly
async def test_the_sdk_subscribes_as_documented(server, restored_db, node_modules):
    setup = block("ts").replace("createDirectus(", "documented(")
    setup = setup.replace(setup.splitlines()[0], "").replace("<TOKEN>", ADA)
    process = await start(node_modules, SDK.replace("SETUP", setup), URL=f"http://127.0.0.1:{server.port}")
    await subscribed(server, 1)
    await asyncio.sleep(1)  # the SDK misses a message that arrives while it handles the one before
    await restored_db.directory(SYSTEM)["users"].update_one(ED, {"status": "suspended"})
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    events = [json.loads(line) for line in output.decode().splitlines()]

    assert [event["event"] for event in events] == ["init", "update"]
    assert events[1]["data"] == [{"id": ED, "status": "suspended"}]
