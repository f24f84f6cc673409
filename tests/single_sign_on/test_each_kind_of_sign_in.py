"""Whichever way users sign in, they get the rights of their policies and no others, and lose them at once."""

import pytest_asyncio

from app.core.caller import SYSTEM
from app.core.email_links import LinkPurpose, password_fingerprint
from tests.base_data import uid
from tests.flows.inviters import link_token, update_user, user_row
from tests.http.clients import PASSWORD, PASSWORD_HASH, SESSION, cookies_of, data_of, error_of, login, send
from tests.single_sign_on.conftest import NAME, reason_of
from tests.single_sign_on.test_account_link import LINK

KINDS = ("password", "invitation", "openid", "oauth2", "linked")
EMAILS = {"password": "vi@example.com", "linked": "vi@example.com", "invitation": "ida@example.com"}
OAUTH2_URLS = {"authorize_url": "authorize", "access_url": "token", "profile_url": "profile"}
CREDENTIALS = {"password": "another one", "provider": "default", "external_identifier": "x", "auth_data": {"a": "b"}}
REFUSED = {"FORBIDDEN", "INVALID_CREDENTIALS", "INVALID_TOKEN", "USER_SUSPENDED"}


class SignedIn:
    """A browser whose user signed in in one of the `KINDS`, with the role of a viewer."""

    def __init__(self, kind, browser, email):
        self.kind, self.browser, self.email, self.system = kind, browser, email, browser.system

    @property
    def has_provider(self):
        return self.kind not in ("password", "invitation")

    async def sign_in(self):
        """Sign in, and return the response of the last step."""
        self.browser.cookies = {}
        if self.has_provider:
            return await self.browser.sign_in()
        return await self.browser.get(
            "/auth/login", "POST", json={"email": self.email, "password": PASSWORD, "mode": "session"}
        )

    async def row(self):
        return await user_row(self.system, self.email)


@pytest_asyncio.fixture(params=KINDS)
async def signed_in(request, connect, provider, inviters):
    kind = request.param
    email = EMAILS.get(kind, provider.user["email"])
    provider.user["email"] = email
    options = {"link_existing_accounts": "true"} if kind == "linked" else {}
    if kind == "oauth2":
        urls = {name: f"{provider.url}/{path}" for name, path in OAUTH2_URLS.items()}
        options = {"driver": "oauth2", "issuer_url": "", "identifier_key": "sub", **urls}
    browser = await connect(default_role_id=uid("role-Viewer"), **options)
    user = SignedIn(kind, browser, email)
    for name in ("vi", "ida"):
        password = None if name == "ida" else PASSWORD_HASH
        await update_user(inviters, name, role=uid("role-Viewer"), password=password, tfa_secret=None)
    if kind == "invitation":
        token = link_token(inviters, LinkPurpose.INVITATION, email, uid("ida"))
        await send(browser.client, "POST", "/users/invite/accept", {"token": token, "password": PASSWORD})
    await user.sign_in()
    if kind == "linked":
        data_of(await browser.get(LINK, "POST", json={"password": PASSWORD}))
    assert SESSION in browser.cookies
    return user


async def test_nobody_gains_rights_or_another_way_to_sign_in(signed_in):
    browser, before = signed_in.browser, await signed_in.row()
    attempts = [
        ("PATCH", "/users/me", {"role": uid("role-Administrator")}),
        ("PATCH", f"/users/{uid('ada')}", {"password": "another one"}),
        ("PATCH", f"/roles/{uid('role-Viewer')}", {"parent": uid("role-Administrator")}),
        ("POST", "/access", {"user": str(before["id"]), "policy": uid("policy-Administrators")}),
        ("POST", "/users", {"email": "more@example.com", "role": uid("role-Administrator")}),
        *(("PATCH", f"/users/{uid('ada')}", {name: value}) for name, value in CREDENTIALS.items()),
        *(("PATCH", "/users/me", {name: value}) for name, value in CREDENTIALS.items() if name != "password"),
    ]
    codes = [error_of(await browser.get(path, method, json=body)) for method, path, body in attempts]
    rights = data_of(await browser.get("/policies/me/globals"))

    assert set(codes) == {(403, "FORBIDDEN")}
    assert (rights["admin_access"], str(before["role"])) == (False, uid("role-Viewer"))
    assert await signed_in.row() == {**before, "last_access": (await signed_in.row())["last_access"]}


async def test_a_suspended_user_is_out_at_once_and_stays_out(signed_in):
    browser, row = signed_in.browser, await signed_in.row()
    assert (await browser.me())["data"]["id"] == str(row["id"])
    await signed_in.system.directory(SYSTEM)["users"].update_one(str(row["id"]), {"status": "suspended"})

    cookies = dict(browser.cookies)
    codes = [error_of(await browser.get("/users/me?fields=id"))[1]]
    browser.cookies = cookies  # the response has deleted it
    codes.append(error_of(await browser.get("/auth/refresh", "POST", json={"mode": "session"}))[1])
    again = await signed_in.sign_in()
    codes.append(reason_of(again) if signed_in.has_provider else error_of(again)[1])
    assert set(codes) <= REFUSED
    assert SESSION not in browser.cookies
    assert SESSION not in cookies_of(again)


async def test_a_user_can_sign_in_in_no_other_way(signed_in):
    """A password does not open the account of a provider, nor a provider that of a password."""
    browser, row = signed_in.browser, await signed_in.row()
    if not signed_in.has_provider:
        browser.cookies = {}
        assert reason_of(await browser.sign_in()) == "INVALID_PROVIDER"
        assert (await signed_in.row())["provider"] == "default"
        return
    await signed_in.system.directory(SYSTEM)["users"].update_one(str(row["id"]), {"password": PASSWORD})
    stored = (await signed_in.row())["password"]
    failures = [await login(browser.client, email, PASSWORD) for email in (signed_in.email, "nobody@example.com")]
    token = link_token(
        signed_in.system, LinkPurpose.RESET, signed_in.email, str(row["id"]), password_fingerprint(stored)
    )
    reset = await send(browser.client, "POST", "/auth/password/reset", {"token": token, "password": "another one"})

    assert failures[0].json() == failures[1].json()
    assert error_of(failures[0]) == (401, "INVALID_CREDENTIALS")
    assert error_of(reset) == (403, "FORBIDDEN")
    assert (await signed_in.row())["provider"] == NAME
