"""An OpenID provider on a real socket. It signs tokens by RS256, and can misbehave at each step."""

import asyncio
import hmac
import logging
import socket
import time
from base64 import urlsafe_b64encode
from contextlib import asynccontextmanager
from hashlib import sha256
from secrets import token_urlsafe
from urllib.parse import parse_qsl, urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route

from tests.in_process import in_process_server

LOGGERS = ("uvicorn.error", "uvicorn.access", "uvicorn.asgi")
CLIENT_ID, CLIENT_SECRET = "rollcall", "a secret of the client"
KEYS = [RSAKey.generate_key(2048, {"kid": name, "use": "sig"}) for name in ("first", "second")]
"""Generated once: it takes a tenth of a second each."""

UNSIGNED_HEADER, SHARED_SECRET_HEADER = b'{"alg":"none"}', b'{"alg":"HS256","kid":"first"}'


class OpenIdServer:
    """Signs in `user`, whose claims tests may change, without asking.

    `responses` replaces the response of a step: `metadata`, `keys`, `token` or `userinfo`. `claims` are added to ID
    tokens, from which `None` removes one; `sign` may replace how these are signed. `calls` lists the steps.
    """

    def __init__(self):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.reset()

    def reset(self):
        self.user = {"sub": "subject-1", "email": "new@example.com", "email_verified": True}
        self.user |= {"given_name": "New", "family_name": "Person", "groups": []}
        self.key, self.published = KEYS[0], [KEYS[0]]
        self.metadata, self.claims, self.responses, self.sign = {}, {}, {}, None
        self.calls, self.forms, self.codes = [], [], {}
        self.refresh_tokens, self.issues_refresh_tokens = {}, False

    @asynccontextmanager
    async def up(self):
        routes = [
            Route("/.well-known/openid-configuration", self._metadata),
            Route("/keys", self._keys),
            Route("/authorize", self._authorize),
            Route("/token", self._token, methods=["POST"]),
            Route("/userinfo", self._userinfo),
            Route("/profile", self._userinfo),
        ]
        levels = {logger: logger.level for logger in map(logging.getLogger, LOGGERS)}
        app = Starlette(routes=routes)
        try:
            async with in_process_server(app, self.socket, log_level="critical", lifespan="off"):
                yield self
        finally:
            for logger, level in levels.items():  # the configuration has set those of the whole process
                logger.setLevel(level)

    def rotate_keys(self):
        """Sign with another key, and publish no other."""
        self.key, self.published = KEYS[1], [KEYS[1]]

    def sign_with_secret(self, claims):
        """Sign a token with the public key as if it were a shared secret."""
        payload = jwt.encode({"alg": "RS256"}, claims, self.key).split(".")[1]
        signed = f"{encoded(SHARED_SECRET_HEADER)}.{payload}"
        signature = hmac.digest(self.key.as_pem(private=False), signed.encode(), "sha256")
        return f"{signed}.{encoded(signature)}"

    async def _answer(self, step, default):
        self.calls.append(step)
        response = self.responses.get(step)
        if response is None:
            return default()
        return await response() if asyncio.iscoroutinefunction(response) else response

    async def _metadata(self, request):
        values = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "id_token_signing_alg_values_supported": ["RS256"],
            **self.metadata,
        }
        return await self._answer("metadata", lambda: JSONResponse(values))

    async def _keys(self, request):
        keys = [key.as_dict(private=False) for key in self.published]
        return await self._answer("keys", lambda: JSONResponse({"keys": keys}))

    async def _authorize(self, request):
        code = token_urlsafe(16)
        self.codes[code] = dict(request.query_params)
        query = urlencode({"code": code, "state": request.query_params["state"], "iss": self.url})
        return RedirectResponse(f"{request.query_params['redirect_uri']}?{query}")

    async def _token(self, request):
        form = dict(parse_qsl((await request.body()).decode()))
        self.forms.append((form, request.headers.get("authorization")))
        return await self._answer("token", lambda: self._issue(form))

    def _issue(self, form):
        if form["grant_type"] == "refresh_token":
            if self.refresh_tokens.pop(form["refresh_token"], None) is None:
                return JSONResponse({"error": "invalid_grant"}, 400)
            return JSONResponse(self._tokens(None))
        request = self.codes.pop(form["code"], None)
        challenge = encoded(sha256(form["code_verifier"].encode()).digest())
        if request is None or (request["code_challenge"], request["redirect_uri"]) != (challenge, form["redirect_uri"]):
            return JSONResponse({"error": "invalid_grant", "error_description": "secret details"}, 400)
        return JSONResponse(self._tokens(request.get("nonce")))

    def _tokens(self, nonce):
        tokens = {"access_token": "an-access-token", "token_type": "Bearer", "id_token": self._id_token(nonce)}
        if self.issues_refresh_tokens:
            token = f"refresh-{token_urlsafe(8)}"
            self.refresh_tokens[token] = True
            tokens["refresh_token"] = token
        return tokens

    def _id_token(self, nonce):
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT_ID,
            "sub": self.user.get("sub"),
            "nonce": nonce,
            "iat": now,
            "exp": now + 60,
        }
        claims = {name: value for name, value in {**claims, **self.claims}.items() if value is not None}
        if self.sign is not None:
            return self.sign(claims)
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, claims, self.key)

    async def _userinfo(self, request):
        assert request.headers["authorization"] == "Bearer an-access-token"
        return await self._answer("userinfo", lambda: JSONResponse(self.user))


def encoded(part):
    return urlsafe_b64encode(part).rstrip(b"=").decode()


def unsigned(claims):
    """Return a token with `alg: none`."""
    payload = jwt.encode({"alg": "RS256"}, claims, KEYS[0]).split(".")[1]
    return f"{encoded(UNSIGNED_HEADER)}.{payload}."
