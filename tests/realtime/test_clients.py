"""Clients from npm, unmodified, against a server on a real socket; they are installed once."""

import asyncio
import json
import re
import shutil

import pytest
import pytest_asyncio

from app.core.caller import SYSTEM
from tests.base_data import static_token, uid
from tests.readme.generated import DOCS
from tests.realtime.sockets import graphql_client, subscribed

PACKAGES = ["graphql-ws@6", "graphql@16", "ws@8", "@directus/sdk@21"]
PAGE = (DOCS / "concepts/realtime.md").read_text()
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


def block(language):
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


@pytest_asyncio.fixture(scope="session")
async def node_modules(tmp_path_factory):
    """A folder with the clients; tests are skipped without npm, or if it reaches no registry."""
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("npm is missing")
    folder = tmp_path_factory.mktemp("clients")
    options = ["--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder)]
    process = await asyncio.create_subprocess_exec("npm", "install", *options, *PACKAGES)
    if await process.wait():
        pytest.skip("npm can't install the clients")
    return folder


async def start(folder, script, **env):
    """Run a script and return its process, whose output is piped."""
    path = folder / "script.mjs"
    await asyncio.to_thread(path.write_text, script)
    return await asyncio.create_subprocess_exec(
        "node", str(path), env={"PATH": "/usr/local/bin:/usr/bin:/bin", **env}, stdout=asyncio.subprocess.PIPE
    )


@pytest.mark.nightly
async def test_graphql_ws_subscribes_as_documented(server, restored_db, node_modules):
    setup = block("js").replace("= createClient(", "= documented(")
    imports = setup.splitlines()[0]
    script = imports + GRAPHQL_WS.replace("SETUP", setup.replace(imports, ""))
    query = "subscription { directus_users_mutated { key event data { title } } }"
    url = f"ws://127.0.0.1:{server.port}/graphql/system"
    process = await start(node_modules, script, URL=url, TOKEN=ADA, QUERY=query)
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
