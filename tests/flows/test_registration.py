"""Registration: when it is allowed, what its response reveals, and email verification."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import product
from types import SimpleNamespace

import pytest
import pytest_asyncio
import structlog
from sqlalchemy import func, select
from structlog.testing import capture_logs

from app.core.caller import PUBLIC
from app.core.email_links import LinkPurpose
from app.core.errors import Forbidden, InvalidPayload, RequestsExceeded, RollcallError
from app.db.models import User
from app.flows.login import Credentials, LoginService
from app.flows.registration import Registration
from app.policy import unreadable_rules
from app.ratelimit.limiter import RateLimiter
from app.repositories.directory import Directory
from tests.base_data import caller, uid
from tests.flows.inviters import (
    ALLOWED_URLS,
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

NEW = "new@example.com"


@pytest_asyncio.fixture
async def open_registration(inviters):
    """The database of `inviters`, where registration is enabled."""
    await update_settings(inviters, public_registration=True, public_registration_role=uid("role-Self"))
    return inviters


def registration(system, who: str | None = None):
    return Registration(system.directory(caller(who)))


def verification_token(system, email="una@example.com", name: str | None = "una"):
    """Return the token of a verification link."""
    return link_token(system, LinkPurpose.REGISTRATION, email, name and uid(name))


async def login(system, email, password=PASSWORD):
    return await LoginService(Directory(PUBLIC, system.services)).login(Credentials(email, password))


async def error_code_of(call) -> str:
    with pytest.raises(RollcallError) as caught:
        await call
    return caught.value.code


async def test_a_visitor_becomes_an_unverified_user_and_is_verified_by_mail(open_registration):
    await registration(open_registration).register(NEW, PASSWORD, None, "New", "Comer")

    row = await user_row(open_registration, NEW)
    assert (row["status"], row["role"]) == ("unverified", uid("role-Self"))
    assert (row["first_name"], row["last_name"]) == ("New", "Comer")
    assert await queued_mails(open_registration) == [("verify", NEW, {"user": row["id"], "url": None})]
    assert await error_code_of(login(open_registration, NEW)) == "INVALID_CREDENTIALS"

    token = link_token(open_registration, LinkPurpose.REGISTRATION, NEW, row["id"])
    assert await registration(open_registration).verify(token) == row["id"]
    assert (await login(open_registration, NEW)).access


async def test_without_verification_a_registered_user_can_log_in_at_once(open_registration):
    await update_settings(open_registration, public_registration_verify_email=False, public_registration_role=None)
    await registration(open_registration, "ada").register(NEW, PASSWORD)  # also with a session

    row = await user_row(open_registration, NEW)
    assert (row["status"], row["role"], row["first_name"]) == ("active", None, None)
    assert await queued_mails(open_registration) == []
    assert (await login(open_registration, NEW)).access


async def test_registration_is_rejected_unless_the_project_allows_it(inviters):
    for has_settings in (False, True):  # without settings, registration is disabled too
        if has_settings:
            await update_settings(inviters, public_registration=False)
        before = await snapshot(inviters)
        for email, url in product((NEW, "nope", "vi@example.com"), (None, REJECTED_URLS[0])):
            with pytest.raises(Forbidden):
                await registration(inviters, "ada").register(email, PASSWORD, url)
        assert await snapshot(inviters) == before


async def test_a_mail_links_to_urls_on_the_allow_list(open_registration):
    for url in (*ALLOWED_URLS, "", None):
        await registration(open_registration).register("una@example.com", PASSWORD, url)
    assert [data["url"] for _, _, data in await queued_mails(open_registration)] == [*ALLOWED_URLS, None, None]


async def test_a_mail_links_to_no_other_url(open_registration):
    before = await snapshot(open_registration)
    for url, email in product(REJECTED_URLS, (NEW, "vi@example.com", "una@example.com", "nope")):
        with pytest.raises(InvalidPayload, match="can't be used to verify registered users"):
            await registration(open_registration).register(email, PASSWORD, url)
    assert await snapshot(open_registration) == before


@pytest.mark.parametrize(
    ("email", "password", "code"),
    [
        ("nope", PASSWORD, "FAILED_VALIDATION"),
        ("", PASSWORD, "FAILED_VALIDATION"),
        ("vi\u0301@example.com", PASSWORD, "FAILED_VALIDATION"),
        ("vi@example.com ", PASSWORD, "FAILED_VALIDATION"),
        ("vi@example.com\0", PASSWORD, "INVALID_PAYLOAD"),
        ("x" * 10_000 + "@example.com", PASSWORD, "VALUE_TOO_LONG"),
        (None, "", "FAILED_VALIDATION"),
        (None, "short", "FAILED_VALIDATION"),
        (None, "*" * 10, "INVALID_PAYLOAD"),
        (None, "with a \0 in it", "INVALID_PAYLOAD"),
        (None, "x" * 1024**2, "VALUE_TOO_LONG"),
    ],
)
async def test_invalid_values_get_the_same_error_for_every_email(open_registration, email, password, code):
    await update_settings(open_registration, auth_password_policy="/^.{8,}$/")
    before = await snapshot(open_registration)
    errors = []
    for used_email in (email,) if email is not None else (NEW, "vi@example.com", "una@example.com", "ida@example.com"):
        with pytest.raises(RollcallError) as caught:
            await registration(open_registration).register(used_email, password)
        errors.append(caught.value.as_dict())
    assert errors[0]["extensions"]["code"] == code
    assert all(error == errors[0] for error in errors)
    assert await snapshot(open_registration) == before


async def test_a_name_that_is_too_long_gets_the_same_error_for_every_email(open_registration):
    before = await snapshot(open_registration)
    for email in (NEW, "vi@example.com"):
        assert (
            await error_code_of(registration(open_registration).register(email, PASSWORD, None, "x" * 51))
            == "VALUE_TOO_LONG"
        )
    assert await snapshot(open_registration) == before


@pytest.mark.parametrize(
    ("email_filter", "accepted", "rejected"),
    [
        ({"email": {"_ends_with": "@example.com"}}, [NEW], ["new@elsewhere.example", "new@example.com.evil.example"]),
        ({"email": {"_ends_with": "@example.com"}}, [], ["new@exаmple.com"]),  # noqa: RUF001 - a Cyrillic letter
        ({"email": {"_nin": ["new@example.com"]}}, ["other@example.com"], [NEW]),
        ({"_or": [{"email": {"_contains": "+"}}, {"email": {"_starts_with": "n"}}]}, [NEW], ["other@example.com"]),
        ({"email": {"_eq": "$CURRENT_USER"}}, [], [NEW]),
        ({"no_such_field": {"_eq": 1}}, [], [NEW]),
        ({"email": {"_no_such_operator": 1}}, [], [NEW]),
        ([], [], [NEW]),
        (False, [], [NEW]),
        ('"a text"', [], [NEW]),
        ({}, [NEW, "new@elsewhere.example"], []),
    ],
)
async def test_an_email_must_match_the_filter_of_the_project(open_registration, email_filter, accepted, rejected):
    await update_settings(open_registration, public_registration_email_filter=email_filter)
    before = await snapshot(open_registration)
    for email in rejected:
        with pytest.raises(Forbidden):
            await registration(open_registration).register(email, PASSWORD)
    assert await snapshot(open_registration) == before
    for email in accepted:
        await registration(open_registration).register(email, PASSWORD)
        assert await user_row(open_registration, email)


@pytest.mark.parametrize(
    ("email_filter", "reason"),
    [
        ({"no_such_field": {"_eq": 1}}, '"directus_users" has no field "no_such_field"'),
        (
            {"email": {"_no_such_operator": NEW}},
            '"string" field type does not contain the "_no_such_operator" filter operator',
        ),
        (f'"{NEW}"', "Invalid filter object"),
    ],
)
async def test_a_registration_filter_that_is_unreadable_accepts_no_email_and_is_logged_once(
    open_registration, monkeypatch, email_filter, reason
):
    monkeypatch.setattr(unreadable_rules, "log", structlog.get_logger())  # a used logger keeps its configuration
    await update_settings(open_registration, public_registration_email_filter=email_filter)
    with capture_logs() as logs:
        for email in (NEW, "other@example.com"):
            with pytest.raises(Forbidden):
                await registration(open_registration).register(email, PASSWORD)

    assert [entry for entry in logs if entry["event"] == "permission_rule_unreadable"] == [
        {
            "event": "permission_rule_unreadable",
            "log_level": "warning",
            "permission": "registration filter",
            "collection": "directus_users",
            "action": "create",
            "reason": reason,
        }
    ]


async def test_existing_users_are_not_changed(open_registration):
    for verified in (True, False):
        await update_settings(open_registration, public_registration_verify_email=verified)
        before = await snapshot(open_registration)
        for email in ("ada@example.com", "VI@Example.COM", "ida@example.com", "SUE@example.com", "wanda@example.com"):
            await registration(open_registration).register(email, PASSWORD, None, "Another", "Name")
        assert await snapshot(open_registration) == before


async def test_an_unverified_user_gets_another_mail_at_the_stored_email(open_registration):
    rows, _, _ = await snapshot(open_registration)
    await registration(open_registration).register("UNA@Example.com", PASSWORD, ALLOWED_URLS[0], "Another", "Name")

    assert (await snapshot(open_registration))[0] == rows
    assert await queued_mails(open_registration) == [
        ("verify", "una@example.com", {"user": uid("una"), "url": ALLOWED_URLS[0]})
    ]


async def test_a_homoglyph_email_is_another_user(open_registration):
    await update_user(open_registration, "vi", status="unverified")
    for email in LOOKALIKE_EMAILS:
        with suppress(RollcallError):
            await registration(open_registration).register(email, PASSWORD)
    mails = await queued_mails(open_registration)
    assert mails
    assert not [mail for mail in mails if mail[1] == "vi@example.com" or mail[2]["user"] == uid("vi")]


async def test_two_concurrent_registrations_of_one_email_create_one_user_and_look_alike(open_registration, other):
    for number in range(3):
        email = f"{number}{NEW}"
        results = await error_codes_of(
            registration(open_registration).register(email, PASSWORD),
            registration(other).register(email.upper(), PASSWORD),
        )
        assert results == [None, None]
        async with open_registration.database.transaction() as connection:
            users = select(func.count()).select_from(User).where(func.lower(User.email) == email)
            assert await connection.scalar(users) == 1
        assert {recipient.lower() for _, recipient, _ in await queued_mails(open_registration)} == {
            f"{earlier}{NEW}" for earlier in range(number + 1)
        }


async def test_every_registration_hashes_a_password_and_takes_equally_long(open_registration, monkeypatch):
    delays, hashed = [], []
    hash_password = open_registration.services.passwords.hash

    async def sleep(seconds):
        delays.append(seconds)

    async def record(password):
        hashed.append(password)
        return await hash_password(password)

    monkeypatch.setattr("app.flows.timing.asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(open_registration.services.passwords, "hash", record)
    settings = open_registration.settings.model_copy(update={"register_stall_time": timedelta(seconds=60)})
    flow = Registration(Directory(PUBLIC, replace(open_registration.services, settings=settings)))
    for email in (NEW, "vi@example.com", "una@example.com", "ida@example.com"):
        await flow.register(email, PASSWORD)
    assert hashed == [PASSWORD] * 4
    for email, url in (("nope", None), (NEW, REJECTED_URLS[0])):
        with suppress(RollcallError):
            await flow.register(email, PASSWORD, url)

    assert len(delays) == 6
    assert all(50 < seconds <= 60 for seconds in delays)


async def test_registrations_are_rate_limited_per_ip(open_registration):
    settings = open_registration.settings.model_copy(update={"rate_limiter_registration_enabled": True})
    services = replace(open_registration.services, settings=settings, rates=RateLimiter.from_settings(settings))
    flow = Registration(Directory(caller(None), services))
    for _ in range(settings.rate_limiter_registration_points):
        await error_code_of(flow.register("nope", PASSWORD))  # rejected registrations count too
    before = await snapshot(open_registration)
    with pytest.raises(RequestsExceeded):
        await flow.register(NEW, PASSWORD)
    assert await snapshot(open_registration) == before

    await Registration(Directory(caller(None, "192.0.2.2"), services)).register(NEW, PASSWORD)
    assert await user_row(open_registration, NEW)


async def test_an_email_is_verified_once(inviters):
    assert await registration(inviters).verify(verification_token(inviters)) == uid("una")
    assert (await user_row(inviters, "una@example.com"))["status"] == "active"

    before = await snapshot(inviters)
    with pytest.raises(InvalidPayload, match="Invalid verification code"):
        await registration(inviters).verify(verification_token(inviters))
    assert await snapshot(inviters) == before


async def test_a_directus_link_with_only_an_email_is_accepted(inviters):
    assert await registration(inviters).verify(verification_token(inviters, "UNA@example.com", None)) == uid("una")


async def test_one_of_two_concurrent_verifications_succeeds(inviters, other):
    results = await asyncio.gather(
        *(registration(process).verify(verification_token(inviters)) for process in (inviters, other)),
        return_exceptions=True,
    )
    error = next(result for result in results if isinstance(result, BaseException))
    assert isinstance(error, InvalidPayload)
    assert uid("una") in results


async def test_an_invalid_link_is_rejected(inviters):
    before = await snapshot(inviters)
    for token, code in invalid_links(inviters, LinkPurpose.REGISTRATION, "una@example.com", user=uid("una")):
        assert await error_code_of(registration(inviters, "ada").verify(token)) == code, token
    assert await snapshot(inviters) == before


async def test_only_an_unverified_user_can_be_verified(inviters):
    before = await snapshot(inviters)
    names = ("vi", "ida", "sue", "wanda", "nobody")
    for name, bound_name in (*zip(names, names, strict=True), *((name, None) for name in names)):
        token = verification_token(inviters, f"{name}@example.com", bound_name)
        assert await error_code_of(registration(inviters).verify(token)) == "INVALID_PAYLOAD"
    assert await snapshot(inviters) == before


async def test_a_link_is_bound_to_its_user(inviters):
    before = await snapshot(inviters)
    assert (
        await error_code_of(registration(inviters).verify(verification_token(inviters, name="vi"))) == "INVALID_PAYLOAD"
    )
    assert await snapshot(inviters) == before
