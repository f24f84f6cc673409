"""Published holes of signed tokens, of tokens used for something else, and of passwords before they are hashed."""

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
from app.core.tokens import sign_access_token
from app.db.models import Session, User
from app.passwords import hasher_pool
from app.passwords.hasher_pool import PasswordService
from tests.core.test_tokens import DIGESTS, encode
from tests.flows.inviters import link_token, snapshot
from tests.http.clients import SESSION, send
from tests.http.test_graphql import ADA, bearer
from tests.security.entry_points import DOORS, HASHED, PASSWORD, ask, code, me, told
from tests.world import static_token, uid

LATER = 4_000_000_000
HEADER = {"alg": "HS256", "typ": "JWT"}
PEM = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"


def claims_of(system, place):
    """What a token claims that would be good at some place, and a session that it may belong to."""
    access = {"id": uid("vi"), "role": "", "app_access": True, "admin_access": True}
    return {
        "a token": access,
        "a session": {**access, "session": "a-session-of-vis"},
        "an invitation": {"email": "ida@example.com", "scope": LinkPurpose.INVITATION.value, "user": uid("ida")},
        "a registration": {"email": "una@example.com", "scope": LinkPurpose.REGISTRATION.value, "user": uid("una")},
        "a reset": {
            "email": "vi@example.com",
            "scope": LinkPurpose.RESET.value,
            "user": uid("vi"),
            "hash": password_fingerprint(HASHED),
        },
    }[place]


def forge(claims, secret, header=None, **more):
    told_ = {**claims, "iat": 1, "exp": LATER, "iss": "directus", **more}
    head = {**HEADER, **(header or {})}
    signed = f"{encode(head)}.{encode({name: value for name, value in told_.items() if value is not None})}"
    digest = DIGESTS.get(str(head["alg"]).upper(), hashlib.sha256)
    return f"{signed}.{encode(hmac.new(secret.encode(), signed.encode(), digest).digest())}"


def unsigned(claims, alg="none"):
    return forge(claims, "", {"alg": alg}).rpartition(".")[0] + "."


@cache
def encrypted():
    """A small token of five parts that grows to 16 MB where somebody unpacks it."""
    packed = zlib.compressobj(9, wbits=-15)
    bomb = packed.compress(b'{"id":"' + b"a" * 16_000_000) + packed.flush()
    head = {"alg": "dir", "enc": "A128GCM", "zip": "DEF"}
    return f"{encode(head)}..{encode(b'0' * 12)}.{encode(bomb)}.{encode(b'0' * 16)}"


FORGED = {
    "CVE-2024-33663: a public key as the secret": lambda claims, secret: forge(claims, PEM),
    "CVE-2024-33663: signed with HS256, and named RS256": lambda claims, secret: forge(
        claims, secret, {"alg": "RS256"}
    ),
    "CVE-2024-33663: HS512": lambda claims, secret: forge(claims, secret, {"alg": "HS512"}),
    "CVE-2022-29217: hs256": lambda claims, secret: forge(claims, secret, {"alg": "hs256"}),
    "CVE-2022-29217: a key of its own": lambda claims, secret: forge(
        claims, "mine", {"jwk": {"kty": "oct", "k": encode(b"mine")}, "kid": "../../dev/null"}
    ),
    "alg none": lambda claims, secret: unsigned(claims),
    "alg None": lambda claims, secret: unsigned(claims, "None"),
    "alg none, signed": lambda claims, secret: forge(claims, secret, {"alg": "none"}),
    "no signature": lambda claims, secret: forge(claims, secret).rpartition(".")[0] + ".",
    "no secret": lambda claims, secret: forge(claims, ""),
    "CVE-2024-33664: five parts": lambda claims, secret: encrypted(),
    "more than 8 kB": lambda claims, secret: forge(claims, secret, role="r" * 8_192),
    "CVE-2026-32597: crit": lambda claims, secret: forge(claims, secret, {"crit": ["exp"], "exp": LATER}),
    "CVE-2026-32597: an extension nobody knows": lambda claims, secret: forge(claims, secret, {"crit": ["b64"]}),
    "another issuer": lambda claims, secret: forge(claims, secret, iss="somebody"),
    "several issuers": lambda claims, secret: forge(claims, secret, iss=["directus", "somebody"]),
    "no issuer": lambda claims, secret: forge(claims, secret, iss=None),
    "no end": lambda claims, secret: forge(claims, secret, exp=None),
    "over": lambda claims, secret: forge(claims, secret, exp=int(time.time()) - 1),
    "to come": lambda claims, secret: forge(claims, secret, nbf=LATER - 1),
}
REFUSED = {"INVALID_TOKEN", "INVALID_CREDENTIALS", "TOKEN_EXPIRED", "INVALID_PAYLOAD"}


async def showing(client, door, place, token):
    """What is said to a token wherever one of its kind can be shown."""
    new = {"password": "the password of a thief"}
    if place == "a token":
        yield await me(client, door, headers=bearer(token))
        yield await send(client, "GET", "/users/me", headers={}, params={"access_token": token, "fields": "id"})
    elif place == "a session":
        yield await me(client, door, cookies={SESSION: token})
        yield await ask(client, door, "refresh", cookies={SESSION: token}, mode="session")
        yield await ask(client, door, "logout", cookies={SESSION: token}, mode="session")
    else:
        flow = {"an invitation": "accept", "a registration": "verify", "a reset": "reset"}[place]
        yield await ask(client, door, flow, token=token, **({} if flow == "verify" else new))


async def accounts(system):
    """What may change by a token that is believed: the users that there are, and their sessions."""
    async with system.database.transaction() as connection:
        return [(await connection.execute(select(model.__table__))).all() for model in (User, Session)]


async def begin_session(system, token="a-session-of-vis"):
    later = utc_now() + timedelta(hours=1)
    async with system.database.transaction() as connection:
        await connection.execute(insert(Session).values(token=token, user_id=uid("vi"), expires=later))


@pytest.mark.parametrize("place", ["a token", "a session", "an invitation", "a registration", "a reset"])
async def test_cve_2024_33663_and_cve_2024_33664_a_token_that_is_forged_is_good_nowhere(client, members, place):
    """Also CVE-2026-32597 and CVE-2022-29217: algorithms swapped, none, encrypted, too long, critical, misissued."""
    await begin_session(members)
    claims, secret, before = (
        claims_of(members, place),
        signing_secret(members.settings),
        await accounts(members),
    )
    let_in = [
        (wrong, answer.text)
        for at, (wrong, forged) in enumerate(FORGED.items())
        async for answer in showing(client, DOORS[at % 2], place, forged(claims, secret))
        if code(answer) not in REFUSED or "thief" in answer.text
    ]
    assert let_in == []
    assert await accounts(members) == before

    async for answer in showing(client, "graphql", place, forge(claims, secret)):  # so that it is what was wrong
        assert code(answer) is None


GOOD = {
    ("access", "bearer"),
    ("access", "cookie"),
    ("session", "bearer"),
    ("session", "cookie"),
    ("session", "going on"),
    ("refresh", "refreshing"),
    ("static", "bearer"),
    ("static", "cookie"),
    ("invite", "accept"),
    ("register", "verify"),
    ("reset", "reset"),
}
PERSON = {"accept": "ida", "verify": "una"}
"""Whose tokens are shown there: of somebody for whom one of the right kind would be good."""


async def tokens_of(system, name, at):
    """A token of each kind, all of one person."""
    secret, session, email = signing_secret(system.settings), f"session-{name}-{at}", f"{name}@example.com"
    later = utc_now() + timedelta(hours=1)
    async with system.database.transaction() as connection:
        await connection.execute(insert(Session).values(token=session, user_id=uid(name), expires=later))
    ttl = timedelta(hours=1)
    bound = uid(name), password_fingerprint(HASHED)
    return {
        "access": sign_access_token(secret, uid(name), ttl=ttl),
        "session": sign_access_token(secret, uid(name), session=session, ttl=ttl),
        "refresh": session,
        "static": static_token(name),
        "invite": link_token(system, LinkPurpose.INVITATION, email, *bound),
        "register": link_token(system, LinkPurpose.REGISTRATION, email, *bound),
        "reset": link_token(system, LinkPurpose.RESET, email, *bound),
        "a hash": HASHED,
    }


PLACES = {
    "bearer": lambda client, door, token: me(client, door, headers=bearer(token)),
    "cookie": lambda client, door, token: me(client, door, cookies={SESSION: token}),
    "going on": lambda client, door, token: ask(client, door, "refresh", cookies={SESSION: token}, mode="session"),
    "refreshing": lambda client, door, token: ask(client, door, "refresh", refresh_token=token, mode="json"),
    "accept": lambda client, door, token: ask(client, door, "accept", token=token, password="a new one"),
    "verify": lambda client, door, token: ask(client, door, "verify", token=token),
    "reset": lambda client, door, token: ask(client, door, "reset", token=token, password="a new one"),
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_token_of_one_kind_is_good_for_nothing_else(client, members, place):
    """Keycloak CVE-2026-4325 and its like, in every direction: each kind of token at each place where one is shown."""
    kinds = await tokens_of(members, PERSON.get(place, "vi"), at=0)
    wrong = [kind for kind in kinds if (kind, place) not in GOOD]
    before, doors = await accounts(members), cycle(DOORS)
    refused = {kind: code(await PLACES[place](client, next(doors), kinds[kind])) for kind in wrong}

    assert len(wrong) >= 5
    assert {kind: said for kind, said in refused.items() if said not in REFUSED | {"FORBIDDEN"}} == {}
    assert await accounts(members) == before
    for at, kind in enumerate(sorted(set(kinds) - set(wrong))):
        fresh = await tokens_of(members, PERSON.get(place, "vi"), at=at + 1)
        assert code(await PLACES[place](client, next(doors), fresh[kind])) is None, kind


class Seen:
    """Argon2, and the texts that it was given."""

    def __init__(self, real, texts):
        self._real, self.texts = real, texts

    def using(self, **cost):
        return Seen(self._real.using(**cost), self.texts)

    def hash(self, text):
        self.texts.append(text)
        return self._real.hash(text)

    def verify(self, text, hashed):
        self.texts.append(text)
        return self._real.verify(text, hashed)


TOO_LONG = ("x" * 1_025, "x" * 1_000_000, " " * 2_000)
WITH_NUL = (f"{PASSWORD}\0", "good\0and long enough")


async def test_passlib_a_password_is_measured_before_it_is_hashed(client, members, monkeypatch):
    """Argon2 takes its time for whatever it is given, and some hashes stop reading at a NUL."""
    seen = Seen(hashing._hasher, [])
    monkeypatch.setattr(hashing, "_hasher", seen)
    tokens, before = (
        {name: await tokens_of(members, name, at=0) for name in ("ida", "vi")},
        await snapshot(members),
    )
    for odd, door in zip((*TOO_LONG, *WITH_NUL), cycle(DOORS), strict=False):
        tried = {
            "login": {"email": "vi@example.com"},
            "generate": {"headers": bearer(static_token("vi"))},
            "register": {"email": "new@example.com"},
            "accept": {"token": tokens["ida"]["invite"]},
            "reset": {"token": tokens["vi"]["reset"]},
        }
        codes = {flow: code(await ask(client, door, flow, password=odd, **given)) for flow, given in tried.items()}
        mine = await send(client, "PATCH", "/users/me", {"password": odd}, headers=ADA)

        assert (codes["login"], codes["generate"]) == ("INVALID_CREDENTIALS", "INVALID_CREDENTIALS")
        said = "VALUE_TOO_LONG" if odd in TOO_LONG else "INVALID_PAYLOAD"
        assert {codes["register"], codes["accept"], codes["reset"], code(mine)} == {said}
        assert code(await ask(client, door, "hash", string=odd)) == ("INVALID_PAYLOAD" if odd in TOO_LONG else None)

    assert [len(text) for text in seen.texts if len(text) > hashing.MAX_PASSWORD_LENGTH] == []
    assert set(seen.texts) == set(WITH_NUL)
    assert (await snapshot(members))[:2] == before[:2]
    assert "access_token" in told(await ask(client, "rest", "login", email="vi@example.com", password=PASSWORD))


async def test_passlib_only_so_many_are_hashed_at_once_and_only_so_many_wait(monkeypatch):
    """Each takes 64 MiB, so that many at once would take all there is."""
    monkeypatch.setattr(hasher_pool, "WAITING", 20)
    under_way, most, lanes = 0, 0, PasswordService()

    def work():
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        time.sleep(0.002)
        under_way -= 1
        return "done"

    outcomes = await asyncio.gather(*(lanes._aside(work) for _ in range(30)), return_exceptions=True)
    assert 1 <= most <= hasher_pool.HASH_THREADS == 2
    assert [isinstance(one, ServiceUnavailable) for one in outcomes] == [False] * 22 + [True] * 8
    assert await lanes._aside(work) == "done"
