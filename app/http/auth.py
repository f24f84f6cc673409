"""The doors of those who sign in, stay signed in, and sign out."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.types import Scope

from app.core.errors import InvalidPayload, RollcallError, RouteNotFound
from app.flows.login import Credentials, SignIn
from app.flows.tokens import Mode, Tokens
from app.http.cookies import spell
from app.http.gate import Body
from app.http.head import Head
from app.http.identity import Identity
from app.http.params import parse_json
from app.http.reply import Reply, reply_to
from app.repositories.base import Services
from app.repositories.directory import Directory

Given = Mapping[str, Any]
Handler = Callable[[Directory, Any], Awaitable[bytes]]


class AuthDoor:
    """The door behind `/auth`."""

    def __init__(self, services: Services, identity: Identity) -> None:
        self._services, self._identity = services, identity

    async def __call__(self, scope: Scope, head: Head, body: Body) -> Reply:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        try:
            handler = HANDLERS.get((scope["method"], path))
            if handler is None:
                raise RouteNotFound(scope["path"])
            directory = Directory(self._identity.of(head), self._services, head.via)
            raw = await body()
            told = await handler(directory, parse_json(raw, head.content_type) if raw else {})
        except RollcallError as error:
            return reply_to(error)._replace(private=True)
        now = self._services.clock()
        more = [spell(cookie, self._services.settings, now) for cookie in directory.handed]
        return Reply(told, 200 if told else 204, more=more, private=True)


async def _login(directory: Directory, given: Any) -> bytes:
    """Tokens for credentials; whoever shows a token besides has to show a good one."""
    _check(given, known={"email", "password", "otp", "mode"}, required=("email", "password"))
    if "@" not in given["email"].strip("@"):
        raise InvalidPayload('"email" must be a valid email')
    mode = _mode(given)
    shown = Credentials(given["email"], given["password"], given.get("otp"))
    return _told(directory, await SignIn(directory).tokens(shown, mode))


HANDLERS: Mapping[tuple[str, str], Handler] = {("POST", "/auth/login"): _login}


def _told(directory: Directory, tokens: Tokens) -> bytes:
    directory.handed += tokens.cookies
    told: dict[str, Any] = {"expires": round(tokens.expires.total_seconds() * 1000)}
    if tokens.refresh is not None:
        told["refresh_token"] = tokens.refresh
    if tokens.access is not None:
        told["access_token"] = tokens.access
    return orjson.dumps({"data": told})


def _mode(given: Given) -> Mode:
    try:
        return Mode(given.get("mode", "json"))
    except ValueError:
        raise InvalidPayload('"mode" must be one of [cookie, json, session]') from None


def _check(given: Any, *, known: set[str], required: tuple[str, ...] = ()) -> None:
    """That a body is an object of the names that are known, with texts in it."""
    if not isinstance(given, dict):
        raise InvalidPayload('"value" must be of type object')
    for name in required:
        if name not in given:
            raise InvalidPayload(f'"{name}" is required')
    for name, value in given.items():
        if name not in known:
            raise InvalidPayload(f'"{name}" is not allowed')
        if not isinstance(value, str):
            raise InvalidPayload(f'"{name}" must be a string')
