"""The caller of a request, by header, query or cookie."""

import time
from datetime import timedelta

import pytest

from app.core.caller import Caller
from app.core.errors import InvalidCredentials, InvalidPayload, InvalidToken, TokenExpired
from app.core.tokens import sign_access_token
from app.http.authentication import Authenticator
from app.http.request_head import RequestHead

SECRET = "a secret that only tests know and use"
USER = "00000102-0000-4000-8000-000000000102"
COOKIE = "directus_session_token"
STATIC = "token-own-aaaaaaaaaaaaaaaaaaaa"
SEVERAL_TOKENS_MESSAGE = "The request uses more than one method for including an access token"


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


def authenticate(*headers, query="", trust=False):
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
def test_a_request_without_a_token_is_anonymous(headers, query):
    assert authenticate(*headers, query=query) == Caller(ip="10.0.0.1")
    assert authenticate(*headers, query=query).anonymous


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
def test_a_static_token_is_read_from_header_query_or_cookie(headers, query):
    assert authenticate(*headers, query=query) == Caller(token=STATIC, ip="10.0.0.1")


def test_static_tokens_are_case_sensitive():
    assert authenticate(bearer(STATIC.upper())).token == STATIC.upper()


def test_a_signed_token_names_its_user_and_its_session():
    assert authenticate(bearer(signed())) == Caller(user=USER, ip="10.0.0.1")
    assert authenticate(cookie(signed("s"))) == Caller(user=USER, session="s", ip="10.0.0.1")


def test_header_and_query_take_precedence_over_the_cookie():
    assert authenticate(bearer(STATIC), cookie("garbage")).token == STATIC
    assert authenticate(cookie(signed(ttl=-1)), query=f"access_token={STATIC}").token == STATIC


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        ([bearer(STATIC)], f"access_token={STATIC}"),
        ([bearer(STATIC), bearer(STATIC)], ""),
        ([], f"access_token={STATIC}&access_token=other"),
    ],
)
def test_two_tokens_are_rejected(headers, query):
    with pytest.raises(InvalidPayload, match=SEVERAL_TOKENS_MESSAGE):
        authenticate(*headers, query=query)


@pytest.mark.parametrize("headers_of", [lambda token: [bearer(token)], lambda token: [cookie(token)]])
def test_an_invalid_signed_token_is_rejected_wherever_it_is_sent(headers_of):
    with pytest.raises(TokenExpired):
        authenticate(*headers_of(signed(ttl=-1)))
    with pytest.raises(InvalidToken):
        authenticate(*headers_of(signed(secret="wrong")))


def test_a_token_that_no_database_can_store_is_rejected():
    with pytest.raises(InvalidCredentials):
        authenticate(query="access_token=a%00b")


def test_a_callers_repr_contains_no_token():
    assert STATIC not in repr(authenticate(bearer(STATIC)))
    assert "s3ss10n" not in repr(authenticate(bearer(signed("s3ss10n"))))


def test_the_ip_address_is_the_one_that_trusted_proxies_report():
    header = ("x-forwarded-for", "1.1.1.1, 2.2.2.2")

    assert authenticate(header).ip == "10.0.0.1"
    assert authenticate(header, trust=True).ip == "1.1.1.1"
    assert authenticate(header, trust=1).ip == "2.2.2.2"


def test_a_header_added_by_a_proxy_is_the_nearest_hop():
    forged, added = ("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "1.1.1.1")

    assert authenticate(forged, added, trust=1).ip == "1.1.1.1"


def test_a_caller_is_cached_while_its_token_is_valid():
    authenticator, head = Authenticator(SECRET, COOKIE, trust=False), head_of(bearer(signed("s")))

    assert authenticator.authenticate(head) is authenticator.authenticate(head)


def test_a_cached_caller_is_not_used_after_its_token_expired():
    expired = Authenticator(SECRET, COOKIE, trust=False, now=lambda: time.time() + 900)
    head = head_of(bearer(signed("s", ttl=900)))

    assert expired.authenticate(head) is not expired.authenticate(head)


def test_requests_that_differ_in_anything_do_not_share_a_cached_caller():
    authenticator = Authenticator(SECRET, COOKIE, trust=True)
    heads = [
        head_of(bearer(STATIC)),
        head_of(bearer(STATIC), ("x-forwarded-for", "10.0.0.2")),
        head_of(cookie(STATIC)),
        head_of(query=f"access_token={STATIC}x"),
        head_of(),
    ]

    for _ in range(2):
        assert [(caller.token, caller.ip) for caller in map(authenticator.authenticate, heads)] == [
            (STATIC, "10.0.0.1"),
            (STATIC, "10.0.0.2"),
            (STATIC, "10.0.0.1"),
            (f"{STATIC}x", "10.0.0.1"),
            (None, "10.0.0.1"),
        ]


def test_neither_errors_nor_very_long_tokens_are_cached():
    authenticator = Authenticator(SECRET, COOKIE, trust=False)
    for _ in range(2):
        with pytest.raises(InvalidToken):
            authenticator.authenticate(head_of(bearer(signed(secret="another secret"))))
    long = head_of(("cookie", f"other={'x' * 5_000}; {COOKIE}={STATIC}"))

    assert authenticator.authenticate(long) is not authenticator.authenticate(long)
