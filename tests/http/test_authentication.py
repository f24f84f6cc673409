"""Whom a request claims to come from, by header, query or cookie."""

import time
from datetime import timedelta

import pytest

from app.core.caller import Caller
from app.core.errors import InvalidCredentials, InvalidPayload, InvalidToken, TokenExpired
from app.core.tokens import sign_access_token
from app.http.authentication import Authenticator
from app.http.request_head import RequestHead

SECRET = "a secret only tests know"
USER = "00000102-0000-4000-8000-000000000102"
COOKIE = "directus_session_token"
STATIC = "token-own-aaaaaaaaaaaaaaaaaaaa"
TWICE = "The request uses more than one method for including an access token"


def signed(session=None, ttl=900, secret=SECRET):
    return sign_access_token(secret, USER, session=session, ttl=timedelta(seconds=ttl))


def head_of(*headers, query=""):
    return RequestHead(
        {
            "type": "http",
            "client": ("10.0.0.1", 4711),
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
            "query_string": query.encode(),
        }
    )


def claim(*headers, query="", trust=False):
    return Authenticator(SECRET, COOKIE, trust).authenticate(head_of(*headers, query=query))


def bearer(token):
    return ("authorization", f"Bearer {token}")


def cookie(token):
    return ("cookie", f"other=1; {COOKIE}={token}")


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([], ""),
        ([("authorization", "")], ""),
        ([("authorization", "Bearer")], ""),
        ([("authorization", "Bearer   ")], ""),
        ([("authorization", STATIC)], ""),
        ([("authorization", f"Basic {STATIC}")], ""),
        ([("authorization", f"Bearer{STATIC}")], ""),
        ([], "access_token="),
        ([], f"ACCESS_TOKEN={STATIC}"),
        ([cookie("")], ""),
        ([("cookie", f"another={STATIC}")], ""),
    ],
)
def test_who_shows_no_token_is_nobody_in_particular(headers, query):
    assert claim(*headers, query=query) == Caller(ip="10.0.0.1")
    assert claim(*headers, query=query).anonymous


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([bearer(STATIC)], ""),
        ([("authorization", f"bearer {STATIC}")], ""),
        ([("authorization", f"BEARER   {STATIC} ")], ""),
        ([], f"query=x&access_token={STATIC}"),
        ([], f"%61ccess_token={STATIC}"),
        ([bearer(STATIC)], "access_token="),
        ([bearer("")], f"access_token={STATIC}"),
        ([cookie(STATIC)], ""),
        ([("authorization", "Basic abc"), cookie(STATIC)], ""),
    ],
)
def test_a_static_token_is_taken_from_header_query_or_cookie(headers, query):
    assert claim(*headers, query=query) == Caller(token=STATIC, ip="10.0.0.1")


def test_case_tells_static_tokens_apart():
    assert claim(bearer(STATIC.upper())).token == STATIC.upper()


def test_a_signed_token_names_its_user_and_its_session():
    assert claim(bearer(signed())) == Caller(user=USER, ip="10.0.0.1")
    assert claim(cookie(signed("s"))) == Caller(user=USER, session="s", ip="10.0.0.1")


def test_header_and_query_come_before_the_cookie():
    assert claim(bearer(STATIC), cookie("garbage")).token == STATIC
    assert claim(cookie(signed(ttl=-1)), query=f"access_token={STATIC}").token == STATIC


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([bearer(STATIC)], f"access_token={STATIC}"),
        ([bearer(STATIC), bearer(STATIC)], ""),
        ([], f"access_token={STATIC}&access_token=other"),
    ],
)
def test_two_tokens_at_once_are_refused(headers, query):
    with pytest.raises(InvalidPayload, match=TWICE):
        claim(*headers, query=query)


@pytest.mark.parametrize("place", [lambda token: [bearer(token)], lambda token: [cookie(token)]])
def test_a_signed_token_that_isnt_right_is_refused_wherever_it_stands(place):
    with pytest.raises(TokenExpired):
        claim(*place(signed(ttl=-1)))
    with pytest.raises(InvalidToken):
        claim(*place(signed(secret="wrong")))


def test_a_token_that_no_database_can_hold_is_nobodys():
    with pytest.raises(InvalidCredentials):
        claim(query="access_token=a%00b")


def test_a_token_is_not_shown_where_callers_are():
    assert STATIC not in repr(claim(bearer(STATIC)))
    assert "s3ss10n" not in repr(claim(bearer(signed("s3ss10n"))))


def test_the_address_is_the_one_the_trusted_proxies_tell():
    told = ("x-forwarded-for", "1.1.1.1, 2.2.2.2")

    assert claim(told).ip == "10.0.0.1"
    assert claim(told, trust=True).ip == "1.1.1.1"
    assert claim(told, trust=1).ip == "2.2.2.2"


def test_a_proxy_that_adds_a_header_of_its_own_is_the_nearest():
    invented, added = ("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1")

    assert claim(invented, added, trust=1).ip == "1.1.1.1"


def test_a_claim_is_read_once_while_it_is_good():
    identity, head = Authenticator(SECRET, COOKIE, trust=False), head_of(bearer(signed("s")))

    assert identity.authenticate(head) is identity.authenticate(head)


def test_past_its_end_a_claim_is_read_again_and_not_believed_from_memory():
    late = Authenticator(SECRET, COOKIE, trust=False, now=lambda: time.time() + 900)
    head = head_of(bearer(signed("s", ttl=900)))

    assert late.authenticate(head) is not late.authenticate(head)


def test_a_claim_that_differs_in_anything_is_another():
    identity = Authenticator(SECRET, COOKIE, trust=True)
    heads = [
        head_of(bearer(STATIC)),
        head_of(bearer(STATIC), ("x-forwarded-for", "10.0.0.2")),
        head_of(cookie(STATIC)),
        head_of(query=f"access_token={STATIC}x"),
        head_of(),
    ]

    for _ in range(2):
        assert [(caller.token, caller.ip) for caller in map(identity.authenticate, heads)] == [
            (STATIC, "10.0.0.1"),
            (STATIC, "10.0.0.2"),
            (STATIC, "10.0.0.1"),
            (f"{STATIC}x", "10.0.0.1"),
            (None, "10.0.0.1"),
        ]


def test_neither_refusals_nor_very_long_claims_are_remembered():
    identity = Authenticator(SECRET, COOKIE, trust=False)
    for _ in range(2):
        with pytest.raises(InvalidToken):
            identity.authenticate(head_of(bearer(signed(secret="another secret"))))
    long = head_of(("cookie", f"other={'x' * 5_000}; {COOKIE}={STATIC}"))

    assert identity.authenticate(long) is not identity.authenticate(long)
