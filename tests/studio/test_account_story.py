"""The story of an account in the pages of the Studio, with the links of the mails of the outbox."""

import asyncio
import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from app.mail.transport import LogTransport
from tests.base_data import uid
from tests.flows.clock import FrozenClock
from tests.http.test_graphql import ADA, PATH, served
from tests.studio.visitors import Visitor

EMAIL = "ines@example.com"
FIRST_PASSWORD, SECOND_PASSWORD = "the first password", "the second password"
LINK = re.compile(r"https?://\S+/admin/\S+")


@pytest.fixture
def mails(monkeypatch):
    """The texts of sent mails, whichever server of this database sends them."""
    texts = []

    async def send(_, mail):
        texts.append(mail.content.text)

    monkeypatch.setattr(LogTransport, "send", send)
    return texts


async def mailed_path(mails):
    """Wait for the next mail and return the path of its link below the Studio's root."""
    async with asyncio.timeout(10):
        while not mails:  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)
    (link,) = set(LINK.findall(mails.pop()))
    parts = urlsplit(link)
    return f"{parts.path.removeprefix('/admin')}?{parts.query}"


async def test_a_user_is_invited_sets_up_two_factors_signs_in_with_a_recovery_code_and_recovers_the_password(
    members, mails
):
    clock = FrozenClock()
    async with served(members.settings, clock) as client:
        ines = Visitor(client, members)

        # Ada invites Ines, whose mail leads to the page where she sets her first password; then she is signed in.
        invite = f'mutation {{ users_invite(email: "{EMAIL}", role: "{uid("role-Writer")}") }}'
        assert (await client.post(PATH, json={"query": invite}, headers=ADA)).json() == {"data": {"users_invite": True}}
        invitation = await ines.get(await mailed_path(mails))
        assert invitation.attribute_at("input[autocomplete=username]", "value") == EMAIL
        overview = await ines.follow(await ines.submit(invitation, {"password": FIRST_PASSWORD}))
        assert "Your password is saved and your account is active." in overview.text

        # She sets up two-factor authentication with the key of the QR code, and receives recovery codes.
        setup = await ines.submit(await ines.get("/account/two-factor"), {"password": FIRST_PASSWORD})
        assert setup.html.select_one("svg.qr-code path")
        secret = setup.text_at("code.secret").replace(" ", "")
        recovery = await ines.submit(setup, {"otp": clock.code(secret)})
        codes = recovery.text_at("#recovery-codes").split()
        assert len(set(codes)) == 10

        # On another device, the password is not enough, but a recovery code is.
        other = Visitor(client, members)
        form = await other.get("/sign-in")
        asked = await other.submit(form, {"email": EMAIL, "password": FIRST_PASSWORD})
        assert asked.status == 401
        assert "recovery code" in asked.text
        assert asked.errors == []
        signed_in = await other.submit(asked, {"email": EMAIL, "password": FIRST_PASSWORD, "otp": codes[0]})
        assert (await other.follow(signed_in)).status == 200

        # She forgets the password. The mail leads to the page for a new one; all devices are signed out.
        lost = Visitor(client, members)
        sent = await lost.follow(await lost.submit(await lost.get("/forgot-password"), {"email": EMAIL}))
        assert "on its way" in sent.text
        path = await mailed_path(mails)
        clock.advance(timedelta(minutes=1))
        ready = await lost.submit(await lost.get(path), {"password": SECOND_PASSWORD})
        for browser in (ines, other):
            assert (await browser.get("/account")).location.startswith("/admin/sign-in")

        # The new password is saved, but the second factor is still needed: her address is filled in already.
        assert "Your new password is saved." in ready.text
        assert ready.attribute_at("#field-email", "value") == EMAIL
        done = await lost.submit(
            ready, {"email": EMAIL, "password": SECOND_PASSWORD, "otp": clock.code(secret)}, "/sign-in"
        )
        assert (await lost.follow(done)).status == 200
        used = await lost.get(path)
        assert used.status == 400
        assert used.has_link("/admin/forgot-password")
        assert parse_qs(urlsplit(path).query)["token"][0] not in used.response.text
