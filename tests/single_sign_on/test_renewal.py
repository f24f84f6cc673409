"""Sessions of users who belong to a provider: their renewal asks the provider, whose no ends them."""

import asyncio

import pytest
from sqlalchemy import update
from starlette.responses import JSONResponse, PlainTextResponse

from app.db.models import User
from tests.http.clients import REFRESH, SESSION, data_of, error_of
from tests.single_sign_on.conftest import counts, row_of


def refresh(browser):
    return browser.get("/auth/refresh", "POST", json={})


async def test_a_renewal_redeems_and_replaces_the_refresh_token(connect, provider):
    provider.issues_refresh_tokens = True
    browser = await connect()
    await browser.sign_in()
    (first,) = provider.refresh_tokens
    data_of(await refresh(browser))
    (second,) = provider.refresh_tokens

    assert first != second
    assert (await row_of(browser.system, "subject-1"))["auth_data"] == {"refreshToken": second}
    assert "data" in await browser.me()


@pytest.mark.parametrize("mode", ["session", "cookie"])
async def test_a_no_of_the_provider_ends_the_session(connect, provider, mode):
    provider.issues_refresh_tokens = True
    browser = await connect(mode=mode)
    await browser.sign_in()
    provider.refresh_tokens.clear()
    users, sessions = await counts(browser.system)

    assert error_of(await refresh(browser)) == (403, "INVALID_TOKEN")
    assert await counts(browser.system) == [users, sessions - 1]


@pytest.mark.parametrize(
    "response", [PlainTextResponse("on fire", 503), JSONResponse({"error": "invalid_client"}, 401)]
)
async def test_a_provider_that_cannot_be_asked_leaves_the_session_as_it_is(connect, provider, response):
    provider.issues_refresh_tokens = True
    browser = await connect()
    await browser.sign_in()
    before = await counts(browser.system)
    provider.responses["token"] = response

    assert error_of(await refresh(browser)) == (503, "SERVICE_UNAVAILABLE")
    assert await counts(browser.system) == before
    provider.responses.clear()
    data_of(await refresh(browser))


async def test_concurrent_renewals_of_one_session_redeem_one_token(connect, provider):
    provider.issues_refresh_tokens = True
    browser = await connect()
    await browser.sign_in()
    cookie = {"cookie": f"{SESSION}={browser.cookies[SESSION]}"}
    calls = len(provider.forms)
    requests = (browser.client.post("/auth/refresh", json={}, headers=cookie) for _ in range(4))
    responses = await asyncio.gather(*requests)

    assert [response.status_code for response in responses] == [200] * 4
    assert len(provider.forms) == calls + 1


async def test_a_renewal_without_a_refresh_token_asks_no_provider(connect, provider):
    browser = await connect(mode="cookie")
    await browser.sign_in()
    calls = len(provider.forms)

    data_of(await refresh(browser))
    assert len(provider.forms) == calls
    assert browser.cookies.keys() == {REFRESH}


async def test_a_token_that_another_node_replaced_meanwhile_is_no_no(connect, provider):
    provider.issues_refresh_tokens = True
    browser = await connect()
    await browser.sign_in()

    async def replaced():
        user = (await row_of(browser.system, "subject-1"))["id"]
        async with browser.system.database.transaction() as connection:
            values = update(User).where(User.id == user).values(auth_data={"refreshToken": "of another node"})
            await connection.execute(values)
        return JSONResponse({"error": "invalid_grant"}, 400)

    provider.responses["token"] = replaced
    data_of(await refresh(browser))
