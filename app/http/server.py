"""The doors that tell about the server itself."""

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from app.core.errors import RouteNotFound


async def ping(_: Request) -> PlainTextResponse:
    """Whether the process answers; the database isn't asked."""
    return PlainTextResponse("pong", media_type="text/html")


async def nobody_home(scope: Scope, receive: Receive, send: Send) -> None:
    """Every path that leads nowhere; raises RouteNotFound. Nowhere is anything told over a websocket."""
    if scope["type"] == "websocket":
        await WebSocketClose()(scope, receive, send)
        return
    raise RouteNotFound(scope["path"])
