"""Signed tokens in Directus' format."""

import base64
import hashlib
import hmac
import json
import time
import traceback
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.caller import Caller
from app.core.errors import InvalidCredentials, InvalidToken, RollcallError, TokenExpired
from app.core.tokens import AccessClaims, is_directus_jwt, sign_access_token, verify_access_token

SECRET = "a secret that only tests know and use"
USER = "00000102-0000-4000-8000-000000000102"
NOW, DAY = int(time.time()), 86_400
"""When the tests were collected: what depends on it must hold as long as they run."""
CLAIMS = {
    "id": USER,
    "role": None,
    "app_access": False,
    "admin_access": False,
    "iat": NOW,
    "exp": NOW + 2 * DAY,
    "iss": "directus",
}
HEADER = {"alg": "HS256", "typ": "JWT"}
DIGESTS = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def encode(value) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forge(header=HEADER, secret=SECRET, without=(), **claims) -> str:
    payload = {name: value for name, value in {**CLAIMS, **claims}.items() if name not in without}
    signed = f"{encode(header)}.{encode(payload)}"
    digest = DIGESTS.get(header.get("alg"), hashlib.sha256)
    return f"{signed}.{encode(hmac.new(secret.encode(), signed.encode(), digest).digest())}"


def decoded_payload(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


NO_DATES: list[Any] = [float("inf"), float("nan"), "4102444800", "x", None, [], {}, True]
INVALID = {  # what is wrong with the token: the token, the error
    "expired": (forge(exp=NOW - 1), TokenExpired),
    "another issuer": (forge(iss="other"), InvalidCredentials),
    "no issuer": (forge(without=["iss"]), InvalidCredentials),
    "another secret": (forge(secret="wrong"), InvalidToken),
    "no expiry": (forge(without=["exp"]), InvalidToken),
    "not valid yet": (forge(nbf=NOW + DAY), InvalidToken),
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
    "a user that is not a UUID": (forge(id="1 OR 1=1"), InvalidToken),
    "a user that is not a text": (forge(id=7), InvalidToken),
    "a session that is not a text": (forge(session=["nope"]), InvalidToken),
    "two parts": (forge().rpartition(".")[0], InvalidToken),
    "four parts": (forge() + ".x", InvalidToken),
    "more than 8 kB": (forge(role="r" * 8_192), InvalidToken),
    **{
        f"{name} {value!r}": (forge(**{name: value}), InvalidToken)
        for name in ("exp", "nbf", "iat")
        for value in NO_DATES
    },
    "a user with an unpaired surrogate": (forge(id="\ud800"), InvalidToken),
    "a session that no database stores": (forge(session="a\0"), InvalidToken),
    "a session with an unpaired surrogate": (forge(session="\udfff"), InvalidToken),
    "claims nested too deeply": (f"{encode(HEADER)}.{encode(b'[' * 5_000)}.x", InvalidToken),
    "JSON nested too deeply": (f"{encode(b'[' * 4_000)}.e30.x", InvalidToken),
}


def test_an_access_token_has_the_claims_of_directus():
    token = sign_access_token(
        SECRET, USER, role="r", admin_access=True, session="s", ttl=timedelta(minutes=15), now=datetime.now(UTC)
    )
    claims = decoded_payload(token)

    assert list(claims) == ["id", "role", "app_access", "admin_access", "session", "iat", "exp", "iss"]
    assert claims["exp"] - claims["iat"] == 900
    assert is_directus_jwt(token)
    assert verify_access_token(token, SECRET) == AccessClaims(USER, "s")


def test_a_token_without_a_session_lacks_the_claim():
    assert "session" not in decoded_payload(sign_access_token(SECRET, USER, ttl=timedelta(minutes=15)))


def test_a_token_of_another_signer_with_the_same_secret_is_accepted():
    assert verify_access_token(forge(), SECRET) == AccessClaims(USER, None)
    assert verify_access_token(forge(id=USER.upper(), session="s", kid="x"), SECRET) == AccessClaims(USER, "s")


def test_role_and_access_flags_of_a_token_are_ignored():
    assert verify_access_token(forge(admin_access=True, role="admin"), SECRET) == AccessClaims(USER, None)


@pytest.mark.parametrize("wrong", INVALID)
def test_an_invalid_token_is_rejected(wrong):
    token, expected = INVALID[wrong]

    with pytest.raises(expected) as error:
        verify_access_token(token, SECRET)

    assert type(error.value) is expected


@pytest.mark.parametrize("wrong", INVALID)
def test_an_error_contains_neither_the_secret_nor_the_token(wrong):
    token, _ = INVALID[wrong]

    with pytest.raises(RollcallError) as error:
        verify_access_token(token, SECRET)

    text = "".join(traceback.format_exception(error.value))
    assert SECRET not in text
    assert token not in text


def test_representations_hide_sessions_and_tokens():
    assert "s3ss10n" not in repr(AccessClaims(USER, "s3ss10n"))
    assert "s3" not in f"{Caller(USER, 's3ss10n', 's3cret')} {Caller(token='s3cret')!r}"


@pytest.mark.parametrize("token", [forge(), forge(exp=1), forge(secret="wrong"), forge({"alg": "none"})])
def test_a_token_issued_by_directus_is_a_jwt_even_if_invalid(token):
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
        forge(exp=float("inf")),
        forge(exp=float("nan")),
        forge(nbf=float("-inf")),
        forge(session="\ud800"),
        f"{encode(HEADER)}.{encode([1])}.x",
        f"{encode(HEADER)}.{encode(b'[' * 100_000)}.x",
    ],
)
def test_any_other_token_is_static(token):
    assert not is_directus_jwt(token)


@given(st.text(), st.integers(0, 2))
def test_a_modified_token_is_rejected(text, part):
    parts = forge().split(".")
    changed = ".".join([*parts[:part], parts[part] + text, *parts[part + 1 :]])

    if changed != forge():
        with pytest.raises(RollcallError):
            verify_access_token(changed, SECRET)


@given(st.text())
def test_arbitrary_text_is_not_a_jwt(text):
    assert is_directus_jwt(text) is False
