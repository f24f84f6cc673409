"""The door of those who sign in."""

from typing import Any

import orjson
from starlette.types import Scope

from app.core.errors import InvalidPayload, RollcallError, RouteNotFound
from app.flows.login import Credentials, SignIn
from app.http.gate import Body
from app.http.head import Head
from app.http.identity import Identity
from app.http.params import parse_json
from app.http.reply import Reply, reply_to

LOGIN = "/auth/login"
MODES = ("cookie", "json", "session")
REQUIRED, KNOWN = ("email", "password"), {"email", "password", "otp", "mode"}


class AuthDoor:
    """The door behind `/auth`."""

    def __init__(self, sign_in: SignIn, identity: Identity) -> None:
        self._sign_in, self._identity = sign_in, identity

    async def __call__(self, scope: Scope, head: Head, body: Body) -> Reply:
        try:
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if (scope["method"], path) != ("POST", LOGIN):
                raise RouteNotFound(scope["path"])
            return await self._login(head, body)
        except RollcallError as error:
            return reply_to(error)._replace(private=True)

    async def _login(self, head: Head, body: Body) -> Reply:
        """Tokens for credentials; whoever shows a token besides has to show a good one."""
        asking = self._identity.of(head)
        shown = _credentials(parse_json(await body(), head.content_type))
        tokens = await self._sign_in.tokens(shown, asking, head.via())
        told = {
            "expires": round(tokens.expires.total_seconds() * 1000),
            "refresh_token": tokens.refresh,
            "access_token": tokens.access,
        }
        return Reply(orjson.dumps({"data": told}), private=True)


def _credentials(given: Any) -> Credentials:
    """What a body shows; raises InvalidPayload in the recorded words."""
    _check(given)
    if "@" not in given["email"].strip("@"):
        raise InvalidPayload('"email" must be a valid email')
    mode = given.get("mode", "json")
    if mode not in MODES:
        raise InvalidPayload(f'"mode" must be one of [{", ".join(MODES)}]')
    if mode != "json":
        raise InvalidPayload('"mode" has to be json: this version gives tokens in its answer, not in cookies')
    return Credentials(given["email"], given["password"], given.get("otp"))


def _check(given: Any) -> None:
    """That a body is an object of the names that are known, with texts in it."""
    if not isinstance(given, dict):
        raise InvalidPayload('"value" must be of type object')
    for name in REQUIRED:
        if name not in given:
            raise InvalidPayload(f'"{name}" is required')
    for name, value in given.items():
        if name not in KNOWN:
            raise InvalidPayload(f'"{name}" is not allowed')
        if not isinstance(value, str):
            raise InvalidPayload(f'"{name}" must be a string')
