"""The list of active sessions, and ending them."""

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select

from app.core.caller import PUBLIC, Caller, ClientInfo
from app.core.errors import Forbidden, InvalidCredentials
from app.core.tokens import sign_access_token
from app.db.models import Session
from app.flows.session import SessionService
from app.flows.session_list import SessionListService
from app.flows.tokens import TokenMode
from app.repositories.directory import Directory
from tests.base_data import static_token, uid
from tests.flows.clock import AccountHarness, FrozenClock

NOW = datetime(2100, 1, 1, tzinfo=UTC)
CURRENT, PHONE, OFFICE = "current-session", "session-on-a-phone", "session-at-work"
EXPIRED, OF_SAM = "expired-session", "session-of-sam"


def session_row(token, days=1, name="vi", **columns):
    return {"token": token, "user": uid(name), "expires": (NOW + timedelta(days=days)).isoformat(), **columns}


@pytest_asyncio.fixture
async def accounts(inviters):
    """Vi has three active sessions and an expired one, Sam has one."""
    harness = AccountHarness(inviters, FrozenClock(NOW))
    rows = [
        session_row(CURRENT, 2, ip="192.0.2.1", user_agent="a browser", origin="https://app.example.com"),
        session_row(PHONE, 3, ip="2001:db8::1", user_agent="a phone"),
        session_row(OFFICE, 1),
        session_row(EXPIRED, -1),
        session_row(OF_SAM, name="sam"),
    ]
    await inviters.load({"directus_sessions": rows})
    return harness


def sessions(accounts, name="vi", **caller):
    return SessionListService(accounts.directory_as(name, **caller))


async def stored_tokens(accounts):
    async with accounts.system.database.transaction() as connection:
        return set((await connection.execute(select(Session.token))).scalars())


def public_id(token):
    return hashlib.sha256(token.encode()).hexdigest()[:16]


async def test_a_user_sees_all_active_sessions(accounts):
    phone, current, office = await sessions(accounts, session=CURRENT).all()

    assert (current.id, current.ip, current.user_agent) == (public_id(CURRENT), "192.0.2.1", "a browser")
    assert (current.origin, current.expires) == ("https://app.example.com", NOW + timedelta(days=2))
    assert [(session.id, session.current) for session in (phone, current, office)] == [
        (public_id(PHONE), False),
        (public_id(CURRENT), True),
        (public_id(OFFICE), False),
    ]
    assert (office.ip, office.user_agent, office.origin) == (None, None, None)


async def test_the_list_reveals_no_session_token(accounts):
    output = repr(await sessions(accounts, session=CURRENT).all())

    assert not any(token in output for token in await stored_tokens(accounts))


async def test_only_a_session_cookie_identifies_the_current_session(accounts):
    by_token = SessionListService(Directory(Caller(token=static_token("vi")), accounts.services))
    for service in (sessions(accounts), by_token):
        assert [session.current for session in await service.all()] == [False] * 3


async def test_anonymous_callers_have_no_sessions(accounts):
    for call in (
        SessionListService(Directory(PUBLIC, accounts.services)).all(),
        SessionListService(accounts.directory_as()).revoke(public_id(CURRENT)),
    ):
        with pytest.raises(InvalidCredentials):
            await call


@pytest.mark.both_databases
async def test_a_session_is_ended_by_its_id_and_its_token_is_rejected_at_once(accounts):
    assert await sessions(accounts, session=CURRENT).revoke(public_id(PHONE)) == 1

    assert await stored_tokens(accounts) == {CURRENT, OFFICE, EXPIRED, OF_SAM}
    with pytest.raises(InvalidCredentials):
        await accounts.directory_as("vi", session=PHONE).fresh_access()
    assert await sessions(accounts, session=CURRENT).revoke(public_id(PHONE)) == 0


async def test_an_id_of_no_own_active_session_ends_nothing(accounts):
    for unknown in (public_id(OF_SAM), public_id(EXPIRED), CURRENT, "", "x" * 10_000, "\0"):
        assert await sessions(accounts, session=CURRENT).revoke(unknown) == 0

    assert await stored_tokens(accounts) == {CURRENT, PHONE, OFFICE, EXPIRED, OF_SAM}


async def test_all_sessions_except_the_current_one_are_ended(accounts):
    assert await sessions(accounts, session=CURRENT).revoke() == 2

    assert await stored_tokens(accounts) == {CURRENT, OF_SAM}
    assert [session.current for session in await sessions(accounts, session=CURRENT).all()] == [True]


async def test_a_caller_without_a_session_ends_all_sessions(accounts):
    assert await sessions(accounts).revoke() == 3

    assert await stored_tokens(accounts) == {OF_SAM}


async def test_an_admin_lists_and_ends_the_sessions_of_any_user(accounts):
    ada = sessions(accounts, "ada")
    expected = {public_id(token) for token in (CURRENT, PHONE, OFFICE)}
    assert {session.id for session in await ada.all(uid("vi"))} == expected
    assert await ada.revoke(public_id(OF_SAM), uid("vi")) == 0
    assert await ada.revoke(public_id(OF_SAM), uid("sam")) == 1
    assert await ada.revoke(user=uid("vi").upper()) == 3

    assert await stored_tokens(accounts) == set()
    assert await ada.all(uid("nobody at all")) == []


async def test_other_callers_access_only_their_own_sessions(accounts):
    sam = sessions(accounts, "sam")
    for user in (uid("vi"), uid("nobody at all"), "vi", ""):
        for call in (sam.all(user), sam.revoke(public_id(CURRENT), user), sam.revoke(user=user)):
            with pytest.raises(Forbidden):
                await call

    assert [session.id for session in await sam.all(uid("sam"))] == [public_id(OF_SAM)]
    assert await stored_tokens(accounts) == {CURRENT, PHONE, OFFICE, EXPIRED, OF_SAM}


async def refresh_current(accounts):
    """Refresh CURRENT, which stays valid for the grace period, and return its successor."""
    secret = accounts.services.settings.secret.get_secret_value()
    cookie = sign_access_token(secret, uid("vi"), session=CURRENT, ttl=timedelta(days=1))
    client_info = ClientInfo(cookies={accounts.services.settings.session_cookie_name: cookie})
    await SessionService(Directory(PUBLIC, accounts.services, lambda: client_info)).refresh(None, TokenMode.SESSION)
    return (await stored_tokens(accounts) - {CURRENT, PHONE, OFFICE, EXPIRED, OF_SAM}).pop()


async def test_a_refreshed_session_is_listed_once(accounts):
    successor = await refresh_current(accounts)

    for caller_session in (CURRENT, successor):
        listed = await sessions(accounts, session=caller_session).all()
        assert {(session.id, session.current) for session in listed} == {
            (public_id(successor), True),
            (public_id(PHONE), False),
            (public_id(OFFICE), False),
        }


async def test_a_refreshed_session_is_the_current_one_with_either_of_its_tokens(accounts):
    successor = await refresh_current(accounts)
    assert await sessions(accounts, session=CURRENT).revoke() == 2
    assert await stored_tokens(accounts) == {CURRENT, successor, OF_SAM}
    assert await sessions(accounts, session=successor).revoke() == 0
    assert await stored_tokens(accounts) == {CURRENT, successor, OF_SAM}


async def test_ending_a_refreshed_session_ends_its_previous_token(accounts):
    successor = await refresh_current(accounts)
    assert await sessions(accounts).revoke(public_id(successor)) == 1

    assert await stored_tokens(accounts) == {PHONE, OFFICE, EXPIRED, OF_SAM}
