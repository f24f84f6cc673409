"""Signed tokens as Directus signs them: believed when they are right."""

import base64
import hashlib
import hmac
import json
import time
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.caller import Caller
from app.core.errors import InvalidCredentials, InvalidToken, RollcallError, TokenExpired
from app.core.tokens import AccessClaims, is_directus_jwt, sign_access_token, verify_access_token

SECRET = "a secret only tests know"
USER = "00000102-0000-4000-8000-000000000102"
NOW = int(time.time())
CLAIMS = {
    "id": USER,
    "role": None,
    "app_access": False,
    "admin_access": False,
    "iat": NOW,
    "exp": NOW + 900,
    "iss": "directus",
}
HEADER = {"alg": "HS256", "typ": "JWT"}
DIGESTS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def encode(value) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forge(header=HEADER, secret=SECRET, without=(), **claims) -> str:
    told = {name: value for name, value in {**CLAIMS, **claims}.items() if name not in without}
    signed = f"{encode(header)}.{encode(told)}"
    digest = DIGESTS.get(header.get("alg"), hashlib.sha256)
    return f"{signed}.{encode(hmac.new(secret.encode(), signed.encode(), digest).digest())}"


def payload(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


REFUSED = {  # what is wrong with the token: the token, and how it is answered
    "it has expired": (forge(exp=NOW - 1), TokenExpired),
    "another issuer": (forge(iss="other"), InvalidCredentials),
    "no issuer": (forge(without=["iss"]), InvalidCredentials),
    "another secret": (forge(secret="wrong"), InvalidToken),
    "no expiry": (forge(without=["exp"]), InvalidToken),
    "its time is to come": (forge(nbf=NOW + 600), InvalidToken),
    "HS512": (forge({**HEADER, "alg": "HS512"}), InvalidToken),
    "HS384": (forge({**HEADER, "alg": "HS384"}), InvalidToken),
    "RS256": (forge({**HEADER, "alg": "RS256"}), InvalidToken),
    "hs256": (forge({**HEADER, "alg": "hs256"}), InvalidToken),
    "no algorithm": (forge({"typ": "JWT"}), InvalidToken),
    "alg none": (forge({**HEADER, "alg": "none"}), InvalidToken),
    "alg none without a signature": (forge({**HEADER, "alg": "none"}).rpartition(".")[0] + ".", InvalidToken),
    "no signature": (forge().rpartition(".")[0] + ".", InvalidToken),
    "a critical header": (forge({**HEADER, "crit": ["exp"], "exp": 1}), InvalidToken),
    "no user": (forge(without=["id"]), InvalidToken),
    "no role": (forge(without=["role"]), InvalidToken),
    "no access flags": (forge(without=["app_access", "admin_access"]), InvalidToken),
    "a user that is no uuid": (forge(id="1 OR 1=1"), InvalidToken),
    "a user that is no text": (forge(id=7), InvalidToken),
    "a session that is no text": (forge(session=["nope"]), InvalidToken),
    "two parts": (forge().rpartition(".")[0], InvalidToken),
    "four parts": (forge() + ".x", InvalidToken),
    "more than 8 kB": (forge(role="r" * 8_192), InvalidToken),
    "json too deep to read": (f"{encode(b'[' * 4_000)}.e30.x", InvalidToken),
}


def test_a_token_is_what_directus_would_write():
    token = sign_access_token(
        SECRET, USER, role="r", admin_access=True, session="s", ttl=timedelta(minutes=15), now=datetime.now(UTC)
    )
    told = payload(token)

    assert list(told) == ["id", "role", "app_access", "admin_access", "session", "iat", "exp", "iss"]
    assert told["exp"] - told["iat"] == 900
    assert is_directus_jwt(token)
    assert verify_access_token(token, SECRET) == AccessClaims(USER, "s")


def test_a_token_without_a_session_says_nothing_of_one():
    assert "session" not in payload(sign_access_token(SECRET, USER, ttl=timedelta(minutes=15)))


def test_a_token_that_somebody_else_signed_with_our_secret_is_believed():
    assert verify_access_token(forge(), SECRET) == AccessClaims(USER, None)
    assert verify_access_token(forge(id=USER.upper(), session="s", kid="x"), SECRET) == AccessClaims(USER, "s")


def test_what_a_token_says_of_rights_is_not_even_read():
    assert verify_access_token(forge(admin_access=True, role="admin"), SECRET) == AccessClaims(USER, None)


@pytest.mark.parametrize("wrong", REFUSED)
def test_a_token_with_something_wrong_is_refused(wrong):
    token, answer = REFUSED[wrong]

    with pytest.raises(answer) as refusal:
        verify_access_token(token, SECRET)

    assert type(refusal.value) is answer


@pytest.mark.parametrize("wrong", REFUSED)
def test_a_refusal_holds_neither_the_secret_nor_the_token(wrong):
    token, _ = REFUSED[wrong]

    with pytest.raises(RollcallError) as refusal:
        verify_access_token(token, SECRET)

    told = "".join(traceback.format_exception(refusal.value))
    assert SECRET not in told
    assert token not in told


def test_a_session_is_not_shown_where_claims_are():
    assert "s3ss10n" not in repr(AccessClaims(USER, "s3ss10n"))
    assert "s3" not in f"{Caller(USER, 's3ss10n', 's3cret')} {Caller(token='s3cret')!r}"


@pytest.mark.parametrize("token", [forge(), forge(exp=1), forge(secret="wrong"), forge({"alg": "none"})])
def test_a_token_that_names_directus_is_a_signed_one_right_or_wrong(token):
    assert is_directus_jwt(token)


@pytest.mark.parametrize(
    "token",
    [
        "",
        "garbage",
        "token-own-aaaaaaaaaaaaaaaaaaaa",
        "a.b.c",
        "é.ü.ö",
        "..",
        f"{forge()}.x",
        forge(iss="other"),
        forge(without=["iss"]),
        f"{encode(HEADER)}.{encode([1])}.x",
        f"{encode(HEADER)}.{encode(b'[' * 100_000)}.x",
    ],
)
def test_any_other_token_is_a_static_one(token):
    assert not is_directus_jwt(token)


@given(st.text(), st.integers(0, 2))
def test_a_token_with_anything_changed_is_refused(text, part):
    parts = forge().split(".")
    changed = ".".join([*parts[:part], parts[part] + text, *parts[part + 1 :]])

    if changed != forge():
        with pytest.raises(RollcallError):
            verify_access_token(changed, SECRET)


@given(st.text())
def test_any_text_can_be_asked_whether_it_is_signed(text):
    assert is_directus_jwt(text) is False
