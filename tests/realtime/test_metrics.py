"""The metrics say how many clients there are, and what they are sent."""

import asyncio

from pydantic import SecretStr

from app.core.caller import SYSTEM
from tests.base_data import static_token, uid
from tests.metrics.readings import SCRAPE, TOKEN, parse, value
from tests.realtime.sockets import graphql_client, serving, subscribed

ED, VI = uid("ed"), static_token("vi")


async def read(server):
    """Return the samples at `/metrics`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = "".join(f"{name}: {content}\r\n" for name, content in SCRAPE.items())
    writer.write(f"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n".encode())
    body = (await reader.read()).partition(b"\r\n\r\n")[2]
    writer.close()
    return parse(body.decode())


async def test_clients_subscriptions_views_events_and_changes_are_counted(restored_db):
    async with (
        serving(restored_db.settings, metrics_token=SecretStr(TOKEN)) as server,
        graphql_client(server, VI) as first,
        graphql_client(server, VI) as second,
    ):
        await first.subscribe()
        await second.subscribe()
        await subscribed(server, 2)
        await restored_db.directory(SYSTEM)["users"].update_one(ED, {"title": "Changed"})
        await first.next()
        await second.next()
        async with server.hub._lock:  # the delivery has ended
            pass
        samples = await read(server)

    gauges = [value(samples, f"realtime_{name}") for name in ("clients", "subscriptions", "views", "rows")]
    assert gauges == [2, 2, 1, 5]
    assert value(samples, "realtime_changes_total") == 2
    assert value(samples, "realtime_slow_clients_total") == 0
    assert value(samples, "realtime_feed_lag_seconds") < 20
