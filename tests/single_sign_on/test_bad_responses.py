"""What can go wrong in a sign-in: a clear error, no session, no changed user, and no secret in the log."""

import asyncio
from datetime import timedelta
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from joserfc import jwt
from sqlalchemy import update
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse

from app.db.models import User
from app.flows.single_sign_on import failures, renewal
from app.identity_providers import http_client
from tests.base_data import uid
from tests.flows.clock import FrozenClock
from tests.http.clients import SESSION, cookies_of, error_of
from tests.logs import captured_logs
from tests.single_sign_on.conftest import APP, NAME, PUBLIC_URL, counts, reason_of, reason_on_sign_in_page, row_of
from tests.single_sign_on.provider import CLIENT_SECRET, KEYS, unsigned

INVALID_CREDENTIALS, UNAVAILABLE = "INVALID_CREDENTIALS", "SERVICE_UNAVAILABLE"
FORGED_CLAIMS = [
    {"iss": "https://evil.example.com"},
    {"iss": None},
    {"aud": "another client"},
    {"aud": ["rollcall", "another client"]},
    {"azp": "another client"},
    {"aud": None},
    {"nonce": "of another sign-in"},
    {"nonce": None},
    {"sub": None},
    {"sub": 1},
    {"exp": 1},
    {"exp": None},
    {"exp": "tomorrow"},
    {"iat": 99999999999},
    {"nbf": 99999999999},
]


async def assert_refused(browser, reason, attempt):
    """Check that an attempt leads back with a reason and changes nothing, and return what is logged of it."""
    before = await counts(browser.system)
    with captured_logs(failures, renewal) as events:
        response = await attempt

    assert reason_of(response) == reason
    assert await counts(browser.system) == before
    assert SESSION not in browser.cookies
    text = str(events)
    for secret in (CLIENT_SECRET, "an-access-token", "new@example.com", "secret details"):
        assert secret not in text
    return [event["reason"] for event in events if "reason" in event]


async def test_an_id_token_with_wrong_claims_is_refused(connect, provider):
    browser = await connect()
    for claims in FORGED_CLAIMS:
        provider.claims = claims
        assert await assert_refused(browser, INVALID_CREDENTIALS, browser.sign_in()), claims


def signed_by_stranger(claims):
    return jwt.encode({"alg": "RS256", "kid": "first"}, claims, KEYS[1])


async def test_an_id_token_with_a_wrong_signature_is_refused(connect, provider):
    browser = await connect()
    signers = [
        unsigned,
        provider.sign_with_secret,
        signed_by_stranger,
        lambda _: "no.jwt",
        lambda _: "x" * 100_000,
        lambda claims: jwt.encode({"alg": "RS256", "kid": "third"}, claims, KEYS[1]),
        lambda claims: jwt.encode({"alg": "PS256", "kid": "first"}, claims, KEYS[0], algorithms=["PS256"]),
    ]
    for signer in signers:
        provider.sign = signer
        assert await assert_refused(browser, INVALID_CREDENTIALS, browser.sign_in())


async def test_a_shared_secret_is_refused_even_if_the_provider_announces_it(connect, provider):
    provider.metadata = {"id_token_signing_alg_values_supported": ["HS256", "none"]}
    provider.sign = provider.sign_with_secret
    browser = await connect()

    await assert_refused(browser, INVALID_CREDENTIALS, browser.sign_in())


async def test_clocks_may_differ_by_less_than_a_minute(connect, provider):
    clock = FrozenClock()
    provider.claims = {"iat": int(clock.now.timestamp()) + 50, "exp": int(clock.now.timestamp()) - 50}
    browser = await connect(clock)

    assert (await browser.sign_in()).headers["location"] == APP


async def test_a_replaced_key_is_read_once_and_unknown_keys_cause_no_flood(connect, provider):
    clock = FrozenClock()
    browser = await connect(clock)
    await browser.sign_in()
    provider.rotate_keys()
    clock.now += timedelta(seconds=10)
    assert (await browser.sign_in()).headers["location"] == APP
    assert provider.calls.count("keys") == 2

    provider.sign = lambda claims: jwt.encode({"alg": "RS256", "kid": "third"}, claims, KEYS[1])
    browser.cookies = {}
    for _ in range(3):
        await assert_refused(browser, INVALID_CREDENTIALS, browser.sign_in())
    assert provider.calls.count("keys") == 2


NONSENSE = {
    "an error": PlainTextResponse("on fire", 500),
    "a page": PlainTextResponse("<html>"),
    "a list": JSONResponse([]),
    "an empty object": JSONResponse({}),
    "too much": JSONResponse({"x": "y" * 2 * 1024**2}),
    "a redirect": RedirectResponse("https://evil.example.com"),
}


@pytest.mark.parametrize("step", ["keys", "token", "userinfo"])
async def test_nonsense_at_any_step_leads_back_without_a_session(connect, provider, step):
    browser = await connect()
    for name, response in NONSENSE.items():
        provider.responses[step] = response
        expected = INVALID_CREDENTIALS if name == "an empty object" and step != "keys" else UNAVAILABLE
        assert await assert_refused(browser, expected, browser.sign_in()), name


async def test_nonsense_instead_of_metadata_leads_back_before_the_provider(connect, provider):
    browser = await connect()
    for response in NONSENSE.values():
        provider.responses["metadata"] = response
        attempt = browser.get(f"/auth/login/{NAME}", params={"redirect": APP})
        assert await assert_refused(browser, UNAVAILABLE, attempt)
        assert provider.calls.count("token") == 0


async def test_metadata_of_another_issuer_are_refused(connect, provider):
    provider.metadata = {"issuer": "https://evil.example.com"}
    browser = await connect()

    await assert_refused(browser, INVALID_CREDENTIALS, browser.get(f"/auth/login/{NAME}", params={"redirect": APP}))


async def test_a_slow_provider_is_given_up(connect, provider, monkeypatch):
    monkeypatch.setattr(http_client, "CALL_TIMEOUT_SECONDS", 0.1)

    async def wait():
        await asyncio.sleep(1)

    provider.responses["token"] = wait
    browser = await connect()

    (reason,) = await assert_refused(browser, UNAVAILABLE, browser.sign_in())
    assert reason.endswith("Timeout")


async def test_an_unreachable_provider_is_reported(connect, provider):
    browser = await connect(issuer_url="http://127.0.0.1:9")
    attempt = browser.get(f"/auth/login/{NAME}", params={"redirect": APP})

    (reason,) = await assert_refused(browser, UNAVAILABLE, attempt)
    assert reason.endswith("ConnectError")
    assert reason_on_sign_in_page(await browser.get(f"/auth/login/{NAME}")) == UNAVAILABLE
    without_studio = await connect(issuer_url="http://127.0.0.1:9", settings={"studio": False})
    assert error_of(await without_studio.get(f"/auth/login/{NAME}")) == (503, UNAVAILABLE)


async def test_a_response_is_accepted_once(connect, provider):
    browser = await connect()
    url = await browser.authorize(await browser.begin(redirect=APP))
    cookies = dict(browser.cookies)
    assert (await browser.get(url)).headers["location"] == APP
    calls, browser.cookies = list(provider.calls), cookies

    await assert_refused(browser, INVALID_CREDENTIALS, browser.get(url))
    assert provider.calls == calls


async def test_a_response_is_accepted_once_on_all_nodes(connect):
    browser, other_node = await connect(), await connect()
    url = await browser.authorize(await browser.begin(redirect=APP))
    other_node.cookies = dict(browser.cookies)
    assert (await other_node.get(url)).headers["location"] == APP

    await assert_refused(browser, INVALID_CREDENTIALS, browser.get(url))


async def test_concurrent_replays_sign_in_once(connect):
    browser = await connect()
    url = await browser.authorize(await browser.begin(redirect=APP))
    cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    path = url.removeprefix(PUBLIC_URL)
    responses = await asyncio.gather(*(browser.client.get(path, headers={"cookie": cookie}) for _ in range(4)))

    assert sum(SESSION in cookies_of(response) for response in responses) == 1


async def test_a_response_is_worthless_in_another_browser(connect, provider):
    browser = await connect()
    url = await browser.authorize(await browser.begin(redirect=APP))
    browser.cookies = {}
    assert reason_on_sign_in_page(await browser.get(url)) == INVALID_CREDENTIALS

    await browser.begin(redirect=APP)  # the other browser has a sign-in of its own
    await assert_refused(browser, INVALID_CREDENTIALS, browser.get(url))
    assert "token" not in provider.calls


async def test_a_code_of_another_sign_in_is_refused(connect):
    browser = await connect()
    stolen = parse_qs(urlsplit(await browser.authorize(await browser.begin(redirect=APP))).query)["code"][0]
    path, _, query = (await browser.authorize(await browser.begin(redirect=APP))).partition("?")
    state = parse_qs(query)["state"][0]
    response = await browser.get(f"{path}?{urlencode({'code': stolen, 'state': state})}")

    # as in Directus, the provider is asked once more with the user's consent
    assert response.headers["location"] == f"../{NAME}?{urlencode({'redirect': APP, 'prompt': 'true'})}"
    assert SESSION not in browser.cookies


async def test_a_forged_response_is_refused(connect):
    browser = await connect()
    for change in ({"state": "forged"}, {"state": ""}, {"code": ""}, {"iss": "https://evil.example.com"}):
        path, _, query = (await browser.authorize(await browser.begin(redirect=APP))).partition("?")
        values = {name: each[0] for name, each in parse_qs(query).items()} | change
        await assert_refused(browser, INVALID_CREDENTIALS, browser.get(f"{path}?{urlencode(values)}"))


async def test_a_sign_in_ends_after_its_time(connect):
    browser = await connect(login_timeout="1ms")
    url = await browser.authorize(await browser.begin(redirect=APP))
    await asyncio.sleep(1.1)  # tokens expire in whole seconds

    assert reason_on_sign_in_page(await browser.get(url)) == INVALID_CREDENTIALS


async def test_a_local_account_with_the_address_is_never_taken_over(connect, provider):
    provider.user |= {"email": "VI@example.com"}
    browser = await connect()

    (reason,) = await assert_refused(browser, "INVALID_PROVIDER", browser.sign_in())
    assert "email" in reason


async def test_the_identifier_of_another_providers_user_is_refused(connect):
    browser = await connect()
    async with browser.system.database.transaction() as connection:
        values = update(User).where(User.id == uid("vi")).values(external_identifier="subject-1", provider="github")
        await connection.execute(values)

    await assert_refused(browser, INVALID_CREDENTIALS, browser.sign_in())


@pytest.mark.parametrize(
    ("status", "reason"),
    [("suspended", "USER_SUSPENDED"), ("archived", INVALID_CREDENTIALS), ("draft", INVALID_CREDENTIALS)],
)
async def test_only_active_users_sign_in_and_others_are_not_changed(connect, provider, status, reason):
    browser = await connect(sync_user_info="true")
    await browser.sign_in()
    async with browser.system.database.transaction() as connection:
        values = update(User).where(User.external_identifier == "subject-1").values(status=status)
        await connection.execute(values)
    provider.user |= {"given_name": "Renamed"}
    before, browser.cookies = await row_of(browser.system, "subject-1"), {}

    await assert_refused(browser, reason, browser.sign_in())
    assert await row_of(browser.system, "subject-1") == before


REGISTRATION = [
    ({"allow_public_registration": ""}, {}),
    ({"require_verified_email": "true"}, {"email_verified": False}),
    ({"require_verified_email": "true"}, {"email_verified": "false"}),
    ({"require_verified_email": "true"}, {"email_verified": None}),
    ({"require_verified_email": "true"}, {"email": None}),
    ({"require_verified_email": "true", "email_key": "upn"}, {"upn": "other@example.com"}),
    ({"identifier_key": "employee"}, {"email": None}),
]


@pytest.mark.parametrize(("settings", "user"), REGISTRATION, ids=str)
async def test_only_permitted_users_are_registered(connect, provider, settings, user):
    provider.user |= user
    browser = await connect(**settings)

    await assert_refused(browser, INVALID_CREDENTIALS, browser.sign_in())


@pytest.mark.parametrize("require", ["", "true"])
async def test_an_address_that_is_not_verified_identifies_nobody(connect, provider, require):
    """Where the address is the identifier, users who can choose theirs would otherwise sign in as others."""
    browser = await connect(identifier_key="employee", require_verified_email=require)
    await browser.sign_in()
    assert await row_of(browser.system, "new@example.com")
    provider.user |= {"sub": "subject-2", "email_verified": False}
    browser.cookies = {}

    await assert_refused(browser, INVALID_CREDENTIALS, browser.sign_in())


async def test_an_invalid_address_is_refused(connect, provider):
    browser = await connect()
    before = await counts(browser.system)
    for email in ("no address", "a" * 130 + "@example.com", "a\x00@example.com"):
        provider.user |= {"email": email}
        assert reason_of(await browser.sign_in()) in ("FAILED_VALIDATION", "VALUE_TOO_LONG", "INVALID_PAYLOAD")
        assert await counts(browser.system) == before


REJECTED_REDIRECTS = [
    f"{PUBLIC_URL}.evil.example/",
    f"{PUBLIC_URL}@evil.example/",
    "https://allowed.example.com/pathological",
    "https://allowed.example.com/path/below",
    "https://allowed.example.com.evil.example/path",
    "http://allowed.example.com/path",
    "http://directory.example.com/",
    "//evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "https:/evil.example",
    "javascript:alert(1)",
    "evil.example",
    "/ evil",
    "/\tevil",
    "/" + "x" * 3000,
]


async def test_a_redirect_that_is_not_allowed_is_refused(connect):
    browser = await connect(redirect_allow_list="https://allowed.example.com/path")
    for redirect in REJECTED_REDIRECTS:
        response = await browser.get(f"/auth/login/{NAME}", params={"redirect": redirect})
        assert error_of(response) == (400, "INVALID_PAYLOAD"), redirect
        assert browser.cookies == {}


async def test_allowed_redirects_are_followed(connect):
    browser = await connect(redirect_allow_list="https://allowed.example.com/path")
    for redirect in ("/admin/users?page=2", f"{PUBLIC_URL}/x", "https://allowed.example.com/path?x=y"):
        assert (await browser.sign_in(redirect=redirect)).headers["location"] == redirect


async def test_a_query_that_cannot_be_read_is_refused(connect):
    browser = await connect()
    for query in ("redirect=a&redirect=b", "redirect=%FF", "x" * 20_000):
        assert error_of(await browser.get(f"/auth/login/{NAME}?{query}")) == (400, "INVALID_PAYLOAD")


async def test_an_unknown_provider_has_no_route(connect):
    browser = await connect()

    assert error_of(await browser.get("/auth/login/other")) == (404, "ROUTE_NOT_FOUND")
    assert error_of(await browser.get("/auth/login/other/callback")) == (404, "ROUTE_NOT_FOUND")


async def test_a_lost_group_never_takes_the_role_of_the_last_admin(connect, provider):
    admin = uid("role-Administrator")
    browser = await connect(role_mapping=f'{{"admins": "{admin}"}}')
    provider.user["groups"] = ["admins"]
    await browser.sign_in()
    async with browser.system.database.transaction() as connection:
        others = update(User).where(User.external_identifier.is_distinct_from("subject-1"))
        await connection.execute(others.values(status="suspended"))
    provider.user["groups"], browser.cookies = [], {}

    await assert_refused(browser, "UNPROCESSABLE_CONTENT", browser.sign_in())
    assert str((await row_of(browser.system, "subject-1"))["role"]) == admin
