"""Known vulnerabilities of signed tokens, of tokens used for another purpose, and of password hashing."""

import asyncio
import hashlib
import hmac
import time
import zlib
from datetime import timedelta
from functools import cache
from itertools import cycle

import pytest
from sqlalchemy import insert, select

from app.core import hashing
from app.core.clock import utc_now
from app.core.config import signing_secret
from app.core.email_links import LinkPurpose, password_fingerprint
from app.core.errors import ServiceUnavailable
from app.core.hash_parameters import MAX_PASSWORD_LENGTH
from app.core.tokens import sign_access_token
from app.db.models import Session, User
from app.passwords import hasher_pool
from app.passwords.hasher_pool import PasswordService
from tests.base_data import static_token, uid
from tests.core.test_tokens import DIGESTS, encode
from tests.flows.inviters import link_token, snapshot
from tests.http.clients import SESSION, send
from tests.http.test_graphql import ADA, bearer
from tests.security.entry_points import (
    ENTRY_POINTS,
    PASSWORD,
    PASSWORD_HASH,
    call_flow,
    error_code,
    get_me,
    response_data,
)

FAR_FUTURE = 4_000_000_000
HEADER = {"alg": "HS256", "typ": "JWT"}
PEM = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"


def claims_of(system, kind):
    """Return the claims of a valid token of a kind."""
    access = {"id": uid("vi"), "role": "", "app_access": True, "admin_access": True}
    return {
        "access token": access,
        "session cookie": {**access, "session": "session-of-vi"},
        "invitation": {"email": "ida@example.com", "scope": LinkPurpose.INVITATION.value, "user": uid("ida")},
        "registration": {"email": "una@example.com", "scope": LinkPurpose.REGISTRATION.value, "user": uid("una")},
        "reset": {
            "email": "vi@example.com",
            "scope": LinkPurpose.RESET.value,
            "user": uid("vi"),
            "hash": password_fingerprint(PASSWORD_HASH),
        },
    }[kind]


def forge(claims, secret, header=None, **overrides):
    payload = {**claims, "iat": 1, "exp": FAR_FUTURE, "iss": "directus", **overrides}
    jose_header = {**HEADER, **(header or {})}
    signing_input = (
        f"{encode(jose_header)}.{encode({name: value for name, value in payload.items() if value is not None})}"
    )
    digest = DIGESTS.get(str(jose_header["alg"]).upper(), hashlib.sha256)
    return f"{signing_input}.{encode(hmac.new(secret.encode(), signing_input.encode(), digest).digest())}"


def unsigned(claims, alg="none"):
    return forge(claims, "", {"alg": alg}).rpartition(".")[0] + "."


@cache
def encrypted():
    """Return a small JWE of five parts that decompresses to 16 MB."""
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(b'{"id":"' + b"a" * 16_000_000) + compressor.flush()
    head = {"alg": "dir", "enc": "A128GCM", "zip": "DEF"}
    return f"{encode(head)}..{encode(b'0' * 12)}.{encode(bomb)}.{encode(b'0' * 16)}"


FORGERIES = {
    "CVE-2024-33663: a public key as the secret": lambda claims, secret: forge(claims, PEM),
    "CVE-2024-33663: signed with HS256, and named RS256": lambda claims, secret: forge(
        claims, secret, {"alg": "RS256"}
    ),
    "CVE-2024-33663: HS512": lambda claims, secret: forge(claims, secret, {"alg": "HS512"}),
    "CVE-2022-29217: hs256": lambda claims, secret: forge(claims, secret, {"alg": "hs256"}),
    "CVE-2022-29217: an embedded key": lambda claims, secret: forge(
        claims, "own-key", {"jwk": {"kty": "oct", "k": encode(b"own-key")}, "kid": "../../dev/null"}
    ),
    "alg none": lambda claims, secret: unsigned(claims),
    "alg None": lambda claims, secret: unsigned(claims, "None"),
    "alg none, signed": lambda claims, secret: forge(claims, secret, {"alg": "none"}),
    "no signature": lambda claims, secret: forge(claims, secret).rpartition(".")[0] + ".",
    "no secret": lambda claims, secret: forge(claims, ""),
    "CVE-2024-33664: five parts": lambda claims, secret: encrypted(),
    "more than 8 kB": lambda claims, secret: forge(claims, secret, role="r" * 8_192),
    "CVE-2026-32597: crit": lambda claims, secret: forge(claims, secret, {"crit": ["exp"], "exp": FAR_FUTURE}),
    "CVE-2026-32597: an unknown extension": lambda claims, secret: forge(claims, secret, {"crit": ["b64"]}),
    "another issuer": lambda claims, secret: forge(claims, secret, iss="other"),
    "several issuers": lambda claims, secret: forge(claims, secret, iss=["directus", "other"]),
    "no issuer": lambda claims, secret: forge(claims, secret, iss=None),
    "no expiry": lambda claims, secret: forge(claims, secret, exp=None),
    "expired": lambda claims, secret: forge(claims, secret, exp=int(time.time()) - 1),
    "not yet valid": lambda claims, secret: forge(claims, secret, nbf=FAR_FUTURE - 1),
}
REJECTION_CODES = {"INVALID_TOKEN", "INVALID_CREDENTIALS", "TOKEN_EXPIRED", "INVALID_PAYLOAD"}


async def responses_to(client, entry_point, kind, token):
    """Yield the responses to a token from every request that accepts a token of its kind."""
    arguments = {"password": "the password of a thief"}
    if kind == "access token":
        yield await get_me(client, entry_point, headers=bearer(token))
        yield await send(client, "GET", "/users/me", headers={}, params={"access_token": token, "fields": "id"})
    elif kind == "session cookie":
        yield await get_me(client, entry_point, cookies={SESSION: token})
        yield await call_flow(client, entry_point, "refresh", cookies={SESSION: token}, mode="session")
        yield await call_flow(client, entry_point, "logout", cookies={SESSION: token}, mode="session")
    else:
        flow = {"invitation": "accept", "registration": "verify", "reset": "reset"}[kind]
        yield await call_flow(client, entry_point, flow, token=token, **({} if flow == "verify" else arguments))


async def users_and_sessions(system):
    """Return all rows that an accepted token may change."""
    async with system.database.transaction() as connection:
        return [(await connection.execute(select(model.__table__))).all() for model in (User, Session)]


async def create_session(system, token="session-of-vi"):
    expires = utc_now() + timedelta(hours=1)
    async with system.database.transaction() as connection:
        await connection.execute(insert(Session).values(token=token, user_id=uid("vi"), expires=expires))


@pytest.mark.parametrize("kind", ["access token", "session cookie", "invitation", "registration", "reset"])
async def test_cve_2024_33663_and_cve_2024_33664_forged_tokens_are_rejected_everywhere(client, members, kind):
    """Also CVE-2026-32597 and CVE-2022-29217: wrong algorithms, none, encryption, length, `crit`, wrong issuers."""
    await create_session(members)
    claims, secret, before = (
        claims_of(members, kind),
        signing_secret(members.settings),
        await users_and_sessions(members),
    )
    accepted = [
        (forgery, response.text)
        for i, (forgery, make_token) in enumerate(FORGERIES.items())
        async for response in responses_to(client, ENTRY_POINTS[i % 2], kind, make_token(claims, secret))
        if error_code(response) not in REJECTION_CODES or "thief" in response.text
    ]
    assert accepted == []
    assert await users_and_sessions(members) == before

    # the genuine token is accepted
    async for response in responses_to(client, "graphql", kind, forge(claims, secret)):
        assert error_code(response) is None


ACCEPTED = {
    ("access", "bearer"),
    ("access", "cookie"),
    ("session", "bearer"),
    ("session", "cookie"),
    ("session", "rotate cookie"),
    ("refresh", "rotate token"),
    ("static", "bearer"),
    ("static", "cookie"),
    ("invite", "accept"),
    ("register", "verify"),
    ("reset", "reset"),
}
OWNERS = {"accept": "ida", "verify": "una"}
"""The users whose tokens are tried there: for them a token of the right kind is accepted."""


async def tokens_of(system, name, index):
    """Return one token of each kind, all of the same user."""
    secret, session, email = signing_secret(system.settings), f"session-{name}-{index}", f"{name}@example.com"
    expires = utc_now() + timedelta(hours=1)
    async with system.database.transaction() as connection:
        await connection.execute(insert(Session).values(token=session, user_id=uid(name), expires=expires))
    ttl = timedelta(hours=1)
    binding = uid(name), password_fingerprint(PASSWORD_HASH)
    return {
        "access": sign_access_token(secret, uid(name), ttl=ttl),
        "session": sign_access_token(secret, uid(name), session=session, ttl=ttl),
        "refresh": session,
        "static": static_token(name),
        "invite": link_token(system, LinkPurpose.INVITATION, email, *binding),
        "register": link_token(system, LinkPurpose.REGISTRATION, email, *binding),
        "reset": link_token(system, LinkPurpose.RESET, email, *binding),
        "a hash": PASSWORD_HASH,
    }


USES = {
    "bearer": lambda client, entry_point, token: get_me(client, entry_point, headers=bearer(token)),
    "cookie": lambda client, entry_point, token: get_me(client, entry_point, cookies={SESSION: token}),
    "rotate cookie": lambda client, entry_point, token: call_flow(
        client, entry_point, "refresh", cookies={SESSION: token}, mode="session"
    ),
    "rotate token": lambda client, entry_point, token: call_flow(
        client, entry_point, "refresh", refresh_token=token, mode="json"
    ),
    "accept": lambda client, entry_point, token: call_flow(
        client, entry_point, "accept", token=token, password="a new one"
    ),
    "verify": lambda client, entry_point, token: call_flow(client, entry_point, "verify", token=token),
    "reset": lambda client, entry_point, token: call_flow(
        client, entry_point, "reset", token=token, password="a new one"
    ),
}


@pytest.mark.parametrize("use", USES)
async def test_a_token_of_one_kind_is_not_accepted_as_another(client, members, use):
    """Keycloak's CVE-2026-4325 and the like, in every direction: each kind of token in each use."""
    tokens = await tokens_of(members, OWNERS.get(use, "vi"), index=0)
    wrong_kinds = [kind for kind in tokens if (kind, use) not in ACCEPTED]
    before, entry_points = await users_and_sessions(members), cycle(ENTRY_POINTS)
    codes = {kind: error_code(await USES[use](client, next(entry_points), tokens[kind])) for kind in wrong_kinds}

    assert len(wrong_kinds) >= 5
    assert {kind: code for kind, code in codes.items() if code not in REJECTION_CODES | {"FORBIDDEN"}} == {}
    assert await users_and_sessions(members) == before
    for i, kind in enumerate(sorted(set(tokens) - set(wrong_kinds))):
        unused = await tokens_of(members, OWNERS.get(use, "vi"), index=i + 1)
        assert error_code(await USES[use](client, next(entry_points), unused[kind])) is None, kind


class RecordingHasher:
    """An argon2 hasher that records the texts it is called with."""

    def __init__(self, hasher, texts):
        self._hasher, self.texts = hasher, texts

    def using(self, **cost):
        return RecordingHasher(self._hasher.using(**cost), self.texts)

    def hash(self, text):
        self.texts.append(text)
        return self._hasher.hash(text)

    def verify(self, text, hashed):
        self.texts.append(text)
        return self._hasher.verify(text, hashed)


TOO_LONG = ("x" * 1_025, "x" * 1_000_000, " " * 2_000)
CONTAINING_NUL = (f"{PASSWORD}\0", "good\0and long enough")


async def test_passlib_the_length_of_a_password_is_checked_before_hashing(client, members, monkeypatch):
    """Argon2 takes longer for longer texts, and some hash functions stop at a NUL."""
    hasher = RecordingHasher(hashing._hasher, [])
    monkeypatch.setattr(hashing, "_hasher", hasher)
    tokens, before = (
        {name: await tokens_of(members, name, index=0) for name in ("ida", "vi")},
        await snapshot(members),
    )
    for password, entry_point in zip((*TOO_LONG, *CONTAINING_NUL), cycle(ENTRY_POINTS), strict=False):
        calls = {
            "login": {"email": "vi@example.com"},
            "generate": {"headers": bearer(static_token("vi"))},
            "register": {"email": "new@example.com"},
            "accept": {"token": tokens["ida"]["invite"]},
            "reset": {"token": tokens["vi"]["reset"]},
        }
        codes = {
            flow: error_code(await call_flow(client, entry_point, flow, password=password, **arguments))
            for flow, arguments in calls.items()
        }
        update = await send(client, "PATCH", "/users/me", {"password": password}, headers=ADA)

        assert (codes["login"], codes["generate"]) == ("INVALID_CREDENTIALS", "INVALID_CREDENTIALS")
        expected = "VALUE_TOO_LONG" if password in TOO_LONG else "INVALID_PAYLOAD"
        assert {codes["register"], codes["accept"], codes["reset"], error_code(update)} == {expected}
        assert error_code(await call_flow(client, entry_point, "hash", string=password)) == (
            "INVALID_PAYLOAD" if password in TOO_LONG else None
        )

    assert [len(text) for text in hasher.texts if len(text) > MAX_PASSWORD_LENGTH] == []
    assert set(hasher.texts) == set(CONTAINING_NUL)
    assert (await snapshot(members))[:2] == before[:2]
    assert "access_token" in response_data(
        await call_flow(client, "rest", "login", email="vi@example.com", password=PASSWORD)
    )


async def test_passlib_concurrent_and_waiting_hashes_are_limited(monkeypatch):
    """Each hash takes 64 MiB, so many at once would exhaust the memory."""
    monkeypatch.setattr(hasher_pool, "MAX_WAITING", 20)
    running, max_running, service = 0, 0, PasswordService()

    def work():
        nonlocal running, max_running
        running += 1
        max_running = max(max_running, running)
        time.sleep(0.002)
        running -= 1
        return "done"

    outcomes = await asyncio.gather(*(service._run(work) for _ in range(30)), return_exceptions=True)
    assert 1 <= max_running <= hasher_pool.HASH_THREADS == 2
    assert [isinstance(outcome, ServiceUnavailable) for outcome in outcomes] == [False] * 22 + [True] * 8
    assert await service._run(work) == "done"
