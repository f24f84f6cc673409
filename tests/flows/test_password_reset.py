"""A forgotten password: who is sent a mail, and what its link is good for."""

import asyncio
from datetime import timedelta
from itertools import product

import pytest
import pytest_asyncio
from sqlalchemy import func, select

from app.core.email_links import LinkPurpose, password_fingerprint
from app.core.errors import Forbidden, InvalidCredentials, InvalidPayload, RollcallError
from app.db.models import Session
from app.flows.login import Credentials, LoginService
from app.flows.password_reset import PasswordReset
from app.repositories.directory import Directory
from tests.flows.inviters import (
    ALLOWED_URLS,
    LOOK_ALIKES,
    PASSWORD,
    REJECTED_URLS,
    bad_links,
    link_token,
    queued_mails,
    snapshot,
    update_settings,
    update_user,
    user_row,
)
from tests.world import caller, cheap_hash, uid
from tests.writes.test_concurrency import error_codes_of

HASHED = cheap_hash(PASSWORD)
VI = "vi@example.com"
ANOTHER = "another one, only here"


@pytest_asyncio.fixture
async def members(inviters):
    """Vi has a password, and so have those whom nobody sends a mail; Ed hasn't had one yet."""
    for name in ("vi", "sue", "ida", "una", "wanda", "sam"):
        await update_user(inviters, name, password=HASHED, tfa_secret=None)
    await update_user(inviters, "sam", provider="github")
    return inviters


def way_back(system, who: str | None = None):
    return PasswordReset(system.directory(caller(who)))


def reset_link(system, email=VI, password: str | None = HASHED, name: str | None = None):
    """The token of a link that replaces a password, as both we and a neighbour write it."""
    return link_token(system, LinkPurpose.RESET, email, name and uid(name), password_fingerprint(password))


async def sign_in(system, password, email=VI):
    return await LoginService(Directory(caller(None), system.services)).login(Credentials(email, password))


async def refused(doing) -> str:
    with pytest.raises(RollcallError) as caught:
        await doing
    return caught.value.code


async def test_a_mail_goes_to_the_stored_email_and_links_to_urls_on_the_allow_list(members):
    for url in (*ALLOWED_URLS, "", None):
        await way_back(members).request("VI@Example.com", url)

    said = {"user": uid("vi"), "password": password_fingerprint(HASHED)}
    assert await queued_mails(members) == [("reset", VI, {**said, "url": url}) for url in (*ALLOWED_URLS, None, None)]


async def test_a_mail_links_to_no_other_url(members):
    before = await snapshot(members)
    for url, email in product(REJECTED_URLS, (VI, "nobody@example.com")):
        with pytest.raises(InvalidPayload, match="can't be used to reset passwords"):
            await way_back(members).request(email, url)
    assert await snapshot(members) == before


async def test_a_user_without_a_password_can_request_one(members):
    await way_back(members).request("ed@example.com")
    [(kind, recipient, said)] = await queued_mails(members)
    assert (kind, recipient, said["password"]) == ("reset", "ed@example.com", password_fingerprint(None))

    token = reset_link(members, "ed@example.com", None, "ed")
    await way_back(members).reset(token, ANOTHER)
    assert (await sign_in(members, ANOTHER, "ed@example.com")).access
    with pytest.raises(Forbidden):
        await way_back(members).reset(token, PASSWORD)


async def test_no_other_email_gets_a_mail_and_the_response_does_not_reveal_it(members):
    before = await snapshot(members)
    names = ("nobody", "sue", "ida", "una", "wanda", "sam")
    for email in (*LOOK_ALIKES, *(f"{name}@example.com" for name in names)):
        await way_back(members).request(email)
    assert await snapshot(members) == before


async def test_an_email_that_case_folds_to_a_stored_one_gets_no_mail_itself(members):
    await way_back(members).request("\u212ait@example.com")  # the sign for kelvin is a k in lower case
    assert [recipient for _, recipient, _ in await queued_mails(members)] == ["kit@example.com"]


async def test_a_request_takes_equally_long_for_every_email(members, monkeypatch):
    waited = []

    async def sleep(seconds):
        waited.append(seconds)

    monkeypatch.setattr("app.flows.timing.asyncio.sleep", sleep)
    monkeypatch.setattr("app.flows.password_reset.MIN_REQUEST_DURATION", timedelta(seconds=60))
    for email in (VI, "nobody@example.com", "sue@example.com", "nope"):
        await way_back(members).request(email)

    assert len(waited) == 4
    assert all(50 < seconds <= 60 for seconds in waited)


@pytest.mark.parametrize("name", ["vi", None])
async def test_a_link_sets_a_new_password_once(members, name):
    token = reset_link(members, "VI@example.com", name=name)
    await way_back(members, "sam").reset(token, ANOTHER)

    assert (await sign_in(members, ANOTHER)).access
    with pytest.raises(InvalidCredentials):
        await sign_in(members, PASSWORD)
    before = await snapshot(members)
    for password in (PASSWORD, ANOTHER):
        with pytest.raises(Forbidden):
            await way_back(members).reset(token, password)
    assert await snapshot(members) == before


async def test_one_of_two_concurrent_uses_of_a_link_succeeds(members, other):
    token = reset_link(members)
    told = await error_codes_of(
        *(way_back(one).reset(token, f"{ANOTHER} {at}") for at, one in enumerate((members, other)))
    )

    assert sorted(told, key=str) == ["FORBIDDEN", None]
    assert (await sign_in(members, f"{ANOTHER} {told.index(None)}")).access


async def test_a_reset_ends_all_sessions(members):
    await sign_in(members, PASSWORD)
    await way_back(members).reset(reset_link(members), ANOTHER)

    async with members.database.transaction() as connection:
        assert await connection.scalar(select(func.count()).select_from(Session)) == 0


async def test_a_reset_ends_the_lockout(members):
    await update_settings(members, auth_login_attempts=2)
    for _ in range(3):
        await asyncio.gather(sign_in(members, "wrong"), return_exceptions=True)
    with pytest.raises(InvalidCredentials):
        await sign_in(members, PASSWORD)

    await way_back(members).reset(reset_link(members), ANOTHER)
    assert (await sign_in(members, ANOTHER)).access


async def test_two_factor_authentication_stays_enabled(members):
    await update_user(members, "vi", tfa_secret="JBSWY3DPEHPK3PXP")
    await way_back(members).reset(reset_link(members), ANOTHER)
    assert await refused(sign_in(members, ANOTHER)) == "INVALID_OTP"


async def test_an_invalid_link_is_rejected(members):
    before = await snapshot(members)
    for token, code in bad_links(members, LinkPurpose.RESET, VI, user=uid("vi"), password=password_fingerprint(HASHED)):
        assert await refused(way_back(members, "ada").reset(token, ANOTHER)) == code, token
    assert await snapshot(members) == before


async def test_a_link_bound_to_another_password_or_none_is_rejected(members):
    before = await snapshot(members)
    bound = [
        None,
        "",
        password_fingerprint(None),
        password_fingerprint("another"),
        password_fingerprint(HASHED).upper() + "0",
        "ñ",
    ]
    for password in bound:
        with pytest.raises(Forbidden):
            await way_back(members).reset(link_token(members, LinkPurpose.RESET, VI, uid("vi"), password), ANOTHER)
    with pytest.raises(Forbidden):
        await way_back(members).reset(reset_link(members, name="ed"), ANOTHER)
    assert await snapshot(members) == before


async def test_a_link_of_a_user_who_cannot_use_a_password_is_rejected(members):
    before = await snapshot(members)
    for name in ("sue", "ida", "una", "wanda", "sam", "nobody"):
        with pytest.raises(Forbidden):
            await way_back(members).reset(reset_link(members, f"{name}@example.com"), ANOTHER)
    assert await snapshot(members) == before


async def test_a_link_is_invalid_while_its_user_is_suspended_or_has_another_email(members):
    for change in ({"status": "suspended"}, {"provider": "github"}, {"email": "moved@example.com"}):
        await update_user(members, "vi", **change)
        before = await snapshot(members)
        with pytest.raises(Forbidden):
            await way_back(members).reset(reset_link(members), ANOTHER)
        assert await snapshot(members) == before
        await update_user(members, "vi", status="active", provider="default", email=VI)


@pytest.mark.parametrize(
    ("password", "code"),
    [
        ("", "FAILED_VALIDATION"),
        ("short", "FAILED_VALIDATION"),
        ("with a \0 in it", "INVALID_PAYLOAD"),
        ("*" * 10, "INVALID_PAYLOAD"),
        ("x" * 1024**2, "VALUE_TOO_LONG"),
    ],
)
async def test_an_invalid_password_leaves_the_link_valid(members, password, code):
    await update_settings(members, auth_password_policy="/^.{8,}$/")
    before = await snapshot(members)
    assert await refused(way_back(members).reset(reset_link(members), password)) == code
    assert await snapshot(members) == before

    await way_back(members).reset(reset_link(members), " " * 8)
    assert (await sign_in(members, " " * 8)).access


async def test_a_queued_mail_holds_what_its_link_is_bound_to(members):
    await way_back(members).request(VI)
    [(_, recipient, said)] = await queued_mails(members)
    token = link_token(members, LinkPurpose.RESET, recipient, said["user"], said["password"])
    await way_back(members).reset(token, ANOTHER)
    assert (await user_row(members, VI))["password"] != HASHED
