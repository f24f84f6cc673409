"""Sessions of one's own: where one is signed in, and how one signs out there from here."""

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
from tests.flows.clock import AccountHarness, FrozenClock
from tests.world import static_token, uid

BEGUN = datetime(2100, 1, 1, tzinfo=UTC)
HERE, PHONE, OFFICE, GONE, HIS = "a-session-here", "one-on-a-phone", "one-at-work", "one-that-is-over", "one-of-sams"


def session(token, days=1, name="vi", **more):
    return {"token": token, "user": uid(name), "expires": (BEGUN + timedelta(days=days)).isoformat(), **more}


@pytest_asyncio.fixture
async def place(inviters):
    """Vi is signed in three times, and was a fourth; Sam is once."""
    place = AccountHarness(inviters, FrozenClock(BEGUN))
    sessions = [
        session(HERE, 2, ip="192.0.2.1", user_agent="a browser", origin="https://app.example.com"),
        session(PHONE, 3, ip="2001:db8::1", user_agent="a phone"),
        session(OFFICE, 1),
        session(GONE, -1),
        session(HIS, name="sam"),
    ]
    await inviters.load({"directus_sessions": sessions})
    return place


def sessions(place, name="vi", **claims):
    return SessionListService(place.as_(name, **claims))


async def stored(place):
    async with place.system.database.transaction() as connection:
        return set((await connection.execute(select(Session.token))).scalars())


def handle(token):
    return hashlib.sha256(token.encode()).hexdigest()[:16]


async def test_a_user_sees_all_active_sessions(place):
    phone, here, work = await sessions(place, session=HERE).all()

    assert (here.id, here.ip, here.user_agent) == (handle(HERE), "192.0.2.1", "a browser")
    assert (here.origin, here.expires) == ("https://app.example.com", BEGUN + timedelta(days=2))
    assert [(one.id, one.current) for one in (phone, here, work)] == [
        (handle(PHONE), False),
        (handle(HERE), True),
        (handle(OFFICE), False),
    ]
    assert (work.ip, work.user_agent, work.origin) == (None, None, None)


async def test_the_list_reveals_no_session_token(place):
    told = repr(await sessions(place, session=HERE).all())

    assert not any(token in told for token in await stored(place))


async def test_only_a_session_cookie_identifies_the_current_session(place):
    by_token = SessionListService(Directory(Caller(token=static_token("vi")), place.services))
    for asking in (sessions(place), by_token):
        assert [one.current for one in await asking.all()] == [False] * 3


async def test_anonymous_callers_have_no_sessions(place):
    for doing in (
        SessionListService(Directory(PUBLIC, place.services)).all(),
        SessionListService(place.as_()).revoke(handle(HERE)),
    ):
        with pytest.raises(InvalidCredentials):
            await doing


async def test_a_session_is_ended_by_its_id_and_its_token_is_rejected_at_once(place):
    assert await sessions(place, session=HERE).revoke(handle(PHONE)) == 1

    assert await stored(place) == {HERE, OFFICE, GONE, HIS}
    with pytest.raises(InvalidCredentials):
        await place.as_("vi", session=PHONE).fresh_access()
    assert await sessions(place, session=HERE).revoke(handle(PHONE)) == 0


async def test_an_id_of_no_own_active_session_ends_nothing(place):
    for wrong in (handle(HIS), handle(GONE), HERE, "", "x" * 10_000, "\0"):
        assert await sessions(place, session=HERE).revoke(wrong) == 0

    assert await stored(place) == {HERE, PHONE, OFFICE, GONE, HIS}


async def test_all_sessions_except_the_current_one_are_ended(place):
    assert await sessions(place, session=HERE).revoke() == 2

    assert await stored(place) == {HERE, HIS}
    assert [one.current for one in await sessions(place, session=HERE).all()] == [True]


async def test_a_caller_without_a_session_ends_all_sessions(place):
    assert await sessions(place).revoke() == 3

    assert await stored(place) == {HIS}


async def test_an_admin_lists_and_ends_the_sessions_of_any_user(place):
    ada = sessions(place, "ada")
    assert {one.id for one in await ada.all(uid("vi"))} == {handle(HERE), handle(PHONE), handle(OFFICE)}
    assert await ada.revoke(handle(HIS), uid("vi")) == 0
    assert await ada.revoke(handle(HIS), uid("sam")) == 1
    assert await ada.revoke(user=uid("vi").upper()) == 3

    assert await stored(place) == set()
    assert await ada.all(uid("nobody at all")) == []


async def test_other_callers_access_only_their_own_sessions(place):
    sam = sessions(place, "sam")
    for user in (uid("vi"), uid("nobody at all"), "vi", ""):
        for doing in (sam.all(user), sam.revoke(handle(HERE), user), sam.revoke(user=user)):
            with pytest.raises(Forbidden):
                await doing

    assert [one.id for one in await sam.all(uid("sam"))] == [handle(HIS)]
    assert await stored(place) == {HERE, PHONE, OFFICE, GONE, HIS}


async def refreshed(place):
    """The session after HERE, which stays good for some seconds."""
    secret = place.services.settings.secret.get_secret_value()
    cookie = sign_access_token(secret, uid("vi"), session=HERE, ttl=timedelta(days=1))
    via = ClientInfo(cookies={place.services.settings.session_cookie_name: cookie})
    await SessionService(Directory(PUBLIC, place.services, lambda: via)).refresh(None, TokenMode.SESSION)
    return (await stored(place) - {HERE, PHONE, OFFICE, GONE, HIS}).pop()


async def test_a_refreshed_session_is_listed_once(place):
    after = await refreshed(place)

    for asking in (HERE, after):
        told = await sessions(place, session=asking).all()
        assert {(one.id, one.current) for one in told} == {
            (handle(after), True),
            (handle(PHONE), False),
            (handle(OFFICE), False),
        }


async def test_a_refreshed_session_is_the_current_one_with_either_of_its_tokens(place):
    after = await refreshed(place)
    assert await sessions(place, session=HERE).revoke() == 2
    assert await stored(place) == {HERE, after, HIS}
    assert await sessions(place, session=after).revoke() == 0
    assert await stored(place) == {HERE, after, HIS}


async def test_ending_a_refreshed_session_ends_its_previous_token(place):
    after = await refreshed(place)
    assert await sessions(place).revoke(handle(after)) == 1

    assert await stored(place) == {PHONE, OFFICE, GONE, HIS}
