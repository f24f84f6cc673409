"""Password resets: who gets a mail, and what its link allows."""

import asyncio
from datetime import timedelta
from itertools import product
from types import SimpleNamespace

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from app.core.email_links import LinkPurpose, password_fingerprint
from app.core.errors import Forbidden, InvalidCredentials, InvalidPayload, RollcallError
from app.db.models import Session
from app.flows.login import Credentials, LoginService
from app.flows.password_reset import PasswordReset
from app.repositories.directory import Directory
from tests.base_data import caller, cheap_hash, uid
from tests.flows.inviters import (
    ALLOWED_URLS,
    INVALID_PASSWORDS,
    LOOKALIKE_EMAILS,
    PASSWORD,
    REJECTED_URLS,
    invalid_links,
    link_token,
    queued_mails,
    snapshot,
    update_settings,
    update_user,
    user_row,
)
from tests.writes.test_concurrency import error_codes_of

HASHED = cheap_hash(PASSWORD)
VI_EMAIL = "vi@example.com"
NEW_PASSWORD = "another one, only here"


@pytest_asyncio.fixture
async def members(inviters):
    """Vi has a password, and so have users who get no mail; Ed has none yet."""
    for name in ("vi", "sue", "ida", "una", "wanda", "sam"):
        await update_user(inviters, name, password=HASHED, tfa_secret=None)
    await update_user(inviters, "sam", provider="github")
    return inviters


def resets(system, who: str | None = None):
    return PasswordReset(system.directory(caller(who)))


def reset_token(system, email=VI_EMAIL, password: str | None = HASHED, name: str | None = None):
    """Return the token of a reset link, with or without the user's id: Directus sends links without it."""
    return link_token(system, LinkPurpose.RESET, email, name and uid(name), password_fingerprint(password))


async def login(system, password, email=VI_EMAIL):
    return await LoginService(Directory(caller(None), system.services)).login(Credentials(email, password))


async def error_code_of(call) -> str:
    with pytest.raises(RollcallError) as caught:
        await call
    return caught.value.code


async def test_a_mail_goes_to_the_stored_email_and_links_to_urls_on_the_allow_list(members):
    for url in (*ALLOWED_URLS, "", None):
        await resets(members).request("VI@Example.com", url)

    data = {"user": uid("vi"), "password": password_fingerprint(HASHED)}
    assert await queued_mails(members) == [
        ("reset", VI_EMAIL, {**data, "url": url}) for url in (*ALLOWED_URLS, None, None)
    ]


async def test_a_mail_links_to_no_other_url(members):
    before = await snapshot(members)
    for url, email in product(REJECTED_URLS, (VI_EMAIL, "nobody@example.com")):
        with pytest.raises(InvalidPayload, match="can't be used to reset passwords"):
            await resets(members).request(email, url)
    assert await snapshot(members) == before


async def test_a_user_without_a_password_can_request_one(members):
    await resets(members).request("ed@example.com")
    [(kind, recipient, data)] = await queued_mails(members)
    assert (kind, recipient, data["password"]) == ("reset", "ed@example.com", password_fingerprint(None))

    token = reset_token(members, "ed@example.com", None, "ed")
    await resets(members).reset(token, NEW_PASSWORD)
    assert (await login(members, NEW_PASSWORD, "ed@example.com")).access
    with pytest.raises(Forbidden):
        await resets(members).reset(token, PASSWORD)


@pytest.mark.both_databases
async def test_no_other_email_gets_a_mail_and_the_response_does_not_reveal_it(members):
    before = await snapshot(members)
    names = ("nobody", "sue", "ida", "una", "wanda", "sam")
    for email in (*LOOKALIKE_EMAILS, *(f"{name}@example.com" for name in names)):
        await resets(members).request(email)
    assert await snapshot(members) == before


async def test_an_email_that_case_folds_to_a_stored_one_gets_no_mail_itself(members):
    await resets(members).request("\u212ait@example.com")  # the Kelvin sign is a k in lower case
    assert [recipient for _, recipient, _ in await queued_mails(members)] == ["kit@example.com"]


async def test_a_request_takes_equally_long_for_every_email(members, monkeypatch):
    delays = []

    async def sleep(seconds):
        delays.append(seconds)

    monkeypatch.setattr("app.flows.timing.asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr("app.flows.password_reset.MIN_REQUEST_DURATION", timedelta(seconds=60))
    for email in (VI_EMAIL, "nobody@example.com", "sue@example.com", "nope"):
        await resets(members).request(email)

    assert len(delays) == 4
    assert all(50 < seconds <= 60 for seconds in delays)


@pytest.mark.parametrize("name", ["vi", None])
async def test_a_link_sets_a_new_password_once(members, name):
    token = reset_token(members, "VI@example.com", name=name)
    await resets(members, "sam").reset(token, NEW_PASSWORD)

    assert (await login(members, NEW_PASSWORD)).access
    with pytest.raises(InvalidCredentials):
        await login(members, PASSWORD)
    before = await snapshot(members)
    for password in (PASSWORD, NEW_PASSWORD):
        with pytest.raises(Forbidden):
            await resets(members).reset(token, password)
    assert await snapshot(members) == before


async def test_one_of_two_concurrent_uses_of_a_link_succeeds(members, other):
    token = reset_token(members)
    results = await error_codes_of(
        *(resets(process).reset(token, f"{NEW_PASSWORD} {number}") for number, process in enumerate((members, other)))
    )

    assert sorted(results, key=str) == ["FORBIDDEN", None]
    assert (await login(members, f"{NEW_PASSWORD} {results.index(None)}")).access


async def test_a_reset_ends_all_sessions(members):
    await login(members, PASSWORD)
    await resets(members).reset(reset_token(members), NEW_PASSWORD)

    async with members.database.transaction() as connection:
        assert await connection.scalar(select(func.count()).select_from(Session)) == 0


async def test_a_reset_ends_the_lockout(members):
    await update_settings(members, auth_login_attempts=2)
    for _ in range(3):
        await asyncio.gather(login(members, "wrong"), return_exceptions=True)
    with pytest.raises(InvalidCredentials):
        await login(members, PASSWORD)

    await resets(members).reset(reset_token(members), NEW_PASSWORD)
    assert (await login(members, NEW_PASSWORD)).access


async def test_two_factor_authentication_stays_enabled(members):
    await update_user(members, "vi", tfa_secret="JBSWY3DPEHPK3PXP")
    await resets(members).reset(reset_token(members), NEW_PASSWORD)
    assert await error_code_of(login(members, NEW_PASSWORD)) == "INVALID_OTP"


async def test_an_invalid_link_is_rejected(members):
    before = await snapshot(members)
    for token, code in invalid_links(
        members, LinkPurpose.RESET, VI_EMAIL, user=uid("vi"), password=password_fingerprint(HASHED)
    ):
        assert await error_code_of(resets(members, "ada").reset(token, NEW_PASSWORD)) == code, token
    assert await snapshot(members) == before


async def test_a_link_bound_to_another_password_or_none_is_rejected(members):
    before = await snapshot(members)
    fingerprints = [
        None,
        "",
        password_fingerprint(None),
        password_fingerprint("another"),
        password_fingerprint(HASHED).upper() + "0",
        "ñ",
    ]
    for fingerprint in fingerprints:
        with pytest.raises(Forbidden):
            await resets(members).reset(
                link_token(members, LinkPurpose.RESET, VI_EMAIL, uid("vi"), fingerprint), NEW_PASSWORD
            )
    with pytest.raises(Forbidden):
        await resets(members).reset(reset_token(members, name="ed"), NEW_PASSWORD)
    assert await snapshot(members) == before


async def test_a_link_of_a_user_who_cannot_use_a_password_is_rejected(members):
    before = await snapshot(members)
    for name in ("sue", "ida", "una", "wanda", "sam", "nobody"):
        with pytest.raises(Forbidden):
            await resets(members).reset(reset_token(members, f"{name}@example.com"), NEW_PASSWORD)
    assert await snapshot(members) == before


async def test_a_link_is_invalid_while_its_user_is_suspended_or_has_another_email(members):
    for change in ({"status": "suspended"}, {"provider": "github"}, {"email": "moved@example.com"}):
        await update_user(members, "vi", **change)
        before = await snapshot(members)
        with pytest.raises(Forbidden):
            await resets(members).reset(reset_token(members), NEW_PASSWORD)
        assert await snapshot(members) == before
        await update_user(members, "vi", status="active", provider="default", email=VI_EMAIL)


@pytest.mark.parametrize(("password", "code"), INVALID_PASSWORDS)
async def test_an_invalid_password_leaves_the_link_valid(members, password, code):
    await update_settings(members, auth_password_policy="/^.{8,}$/")
    before = await snapshot(members)
    assert await error_code_of(resets(members).reset(reset_token(members), password)) == code
    assert await snapshot(members) == before

    await resets(members).reset(reset_token(members), " " * 8)
    assert (await login(members, " " * 8)).access


async def test_a_queued_mail_holds_what_its_link_is_bound_to(members):
    await resets(members).request(VI_EMAIL)
    [(_, recipient, data)] = await queued_mails(members)
    token = link_token(members, LinkPurpose.RESET, recipient, data["user"], data["password"])
    await resets(members).reset(token, NEW_PASSWORD)
    assert (await user_row(members, VI_EMAIL))["password"] != HASHED
