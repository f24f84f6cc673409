"""A server in the event loop of the tests: for one module at most, since it runs beside their statements."""

import asyncio
from contextlib import asynccontextmanager

import uvicorn


@asynccontextmanager
async def in_process_server(app, listener=None, **options):
    """Serve an application with options of uvicorn, on this socket or a free port, and yield the port."""
    server = uvicorn.Server(uvicorn.Config(app, **{"port": 0, "log_config": None, "ws": "none", **options}))
    task = asyncio.create_task(server.serve(listener and [listener]))
    while not server.started:  # uvicorn has no event for it
        assert not task.done(), "the server did not start"
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task
