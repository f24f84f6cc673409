"""An address gets one mail of each kind per interval, however many are requested; no response shows that."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import select

from app.core.errors import RollcallError
from app.db.models import ATTEMPTS
from app.flows.invitations import Invitations
from app.flows.password_reset import PasswordReset
from app.flows.registration import Registration
from app.testing import TestSystem
from tests.base_data import caller, static_token, uid
from tests.flows.clock import FrozenClock
from tests.flows.inviters import PASSWORD, queued_mails, update_settings, update_user, user_row
from tests.http.test_graphql import bearer, served
from tests.security.entry_points import ENTRY_POINTS, call_flow, error_code

INTERVAL = timedelta(minutes=1)
VI, IDA, UNA, NEW = "vi@example.com", "ida@example.com", "una@example.com", "new@example.com"
ADA = bearer(static_token("ada"))


@pytest.fixture
def clock():
    return FrozenClock()


@pytest_asyncio.fixture
async def limited(inviters, clock):
    """The database of `inviters` with the interval, where registration is enabled."""
    await update_settings(inviters, public_registration=True)
    settings = inviters.settings.model_copy(update={"email_min_interval": INTERVAL})
    return TestSystem(inviters.database, settings, clock)


async def request_reset(system, email=VI):
    await PasswordReset(system.directory(caller(None))).request(email)


async def invite(system, *emails, role=None):
    await Invitations(system.directory(caller("ada"))).invite(emails, role)


async def register(system, email=UNA):
    await Registration(system.directory(caller(None))).register(email, PASSWORD)


async def recipients(system):
    return [(kind, recipient) for kind, recipient, _ in await queued_mails(system)]


@pytest.mark.parametrize(
    ("send", "mail"),
    [
        (request_reset, ("reset", VI)),
        (lambda system: request_reset(system, "VI@Example.com"), ("reset", VI)),
        (lambda system: invite(system, IDA), ("invite", IDA)),
        (lambda system: invite(system, NEW), ("invite", NEW)),
        (register, ("verify", UNA)),
        (lambda system: register(system, NEW), ("verify", NEW)),
    ],
)
async def test_one_mail_of_each_kind_is_sent_per_interval(limited, clock, send, mail):
    for expected in ([mail], [mail], [mail]):
        await send(limited)
        clock.advance(INTERVAL / 4)
        assert await recipients(limited) == expected
    clock.advance(INTERVAL / 2)
    await send(limited)
    await send(limited)

    assert await recipients(limited) == [mail] * 2


async def test_of_many_concurrent_requests_to_two_processes_one_sends_a_mail(limited, other, clock):
    second = TestSystem(other.database, limited.settings, clock)
    for send in (request_reset, lambda system: invite(system, IDA), register):
        await asyncio.gather(*(send(system) for system in (limited, second) * 10))

    assert await recipients(limited) == [("reset", VI), ("invite", IDA), ("verify", UNA)]


async def test_each_address_and_each_kind_has_its_own_interval(limited):
    await request_reset(limited)
    await request_reset(limited, "ada@example.com")
    await update_user(limited, "vi", status="unverified")
    await register(limited, VI)

    assert await recipients(limited) == [("reset", VI), ("reset", "ada@example.com"), ("verify", VI)]


async def test_a_mail_that_was_not_queued_does_not_count(limited):
    with pytest.raises(RollcallError):
        await invite(limited, IDA, "not an email address")
    assert await recipients(limited) == []
    await invite(limited, IDA)

    assert await recipients(limited) == [("invite", IDA)]


async def test_an_invitation_without_a_mail_takes_effect(limited):
    await invite(limited, IDA)
    await invite(limited, NEW, IDA, role=uid("role-Editor"))

    assert (await user_row(limited, IDA))["role"] == (await user_row(limited, NEW))["role"] == uid("role-Editor")
    assert await recipients(limited) == [("invite", IDA), ("invite", NEW)]


async def test_the_interval_can_be_disabled(limited):
    settings = limited.settings.model_copy(update={"email_min_interval": timedelta(0)})
    for _ in range(3):
        await request_reset(TestSystem(limited.database, settings))

    assert await recipients(limited) == [("reset", VI)] * 3


@pytest.mark.parametrize("entry_point", ENTRY_POINTS)
async def test_responses_do_not_show_whether_a_mail_was_sent(limited, entry_point):
    flows: tuple[tuple[str, Any, list[str], dict[str, str]], ...] = (
        ("request", None, [VI, VI, "nobody@example.com", VI], {}),
        ("register", None, [UNA, UNA, "ada@example.com", UNA], {"password": PASSWORD}),
        ("invite", ADA, [IDA, IDA, "ada@example.com", IDA], {"role": uid("role-Editor")}),
    )
    async with served(limited.settings) as client:
        for flow, headers, emails, arguments in flows:
            responses = [
                await call_flow(client, entry_point, flow, headers=headers, email=email, **arguments)
                for email in emails
            ]
            assert error_code(responses[0]) is None, responses[0].text
            assert len({(response.status_code, response.content) for response in responses}) == 1

    async with limited.database.transaction() as connection:
        assert (await connection.execute(select(ATTEMPTS.c.count))).scalars().all() == [3, 3, 3]
