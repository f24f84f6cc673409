"""Clients from npm, unmodified, which are installed once, and run by node."""

import asyncio
import json
import shutil
from contextlib import asynccontextmanager

import pytest

PACKAGES = [
    "graphql-ws@6",
    "graphql-sse@2",
    "graphql@16",
    "ws@8",
    "@directus/sdk@21",
    "@apollo/client@4",
    "rxjs@7",
    "@urql/core@6",
]


async def install(folder):
    """Install the clients in a folder; tests are skipped without npm, or if it reaches no registry."""
    if not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("npm is missing")
    options = ["--no-audit", "--no-fund", "--loglevel=error", "--prefix", str(folder)]
    process = await asyncio.create_subprocess_exec("npm", "install", *options, *PACKAGES)
    if await process.wait():
        pytest.skip("npm can't install the clients")


async def start(folder, script, **env):
    """Run a script and return its process, whose output is piped."""
    path = folder / "script.mjs"
    await asyncio.to_thread(path.write_text, script)
    return await asyncio.create_subprocess_exec(
        "node", str(path), env={"PATH": "/usr/local/bin:/usr/bin:/bin", **env}, stdout=asyncio.subprocess.PIPE
    )


class Output:
    """What a script prints: a line of JSON for each result. A line must arrive within `seconds`."""

    def __init__(self, process, seconds=30):
        self._process, self._seconds = process, seconds

    async def next(self):
        """Return the next line."""
        async with asyncio.timeout(self._seconds):
            return json.loads(await self._process.stdout.readline())


@asynccontextmanager
async def running(folder, script, **env):
    """Run a script while the block runs, and yield its output."""
    process = await start(folder, script, **env)
    try:
        yield Output(process)
    finally:
        process.kill()
        await process.wait()
