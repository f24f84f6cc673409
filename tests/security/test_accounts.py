"""Published holes that tell who there is, or keep what was told.

Each test bears the number of the advisory it answers; those of these rows that are shown elsewhere: see test_rows.py.
"""

from datetime import timedelta

import pytest

from app.core.errors import InvalidPayload
from app.flows.password_reset import PasswordReset
from tests.flows.inviters import queued_mails, update_settings
from tests.http.test_graphql import ADA, bearer
from tests.security.entry_points import FLOWS, HASHED, PASSWORD, SECRET, ask, told, whole
from tests.world import static_token, uid

OUTSIDE = ("nobody", "nora", "sam", "sue", "ida", "una", "wanda")
"""Nobody, no password, another provider, suspended, invited, unverified, archived."""
SAME = {"x-request-id": "the-same", "user-agent": "the same"}
BAD_URL = "https://evil.example.com/accept"


def address(name):
    return f"{name}@example.com"


async def one_answer(asking):
    """What everybody is answered, headers and all."""
    return {repr(whole(await each)) for each in asking}


async def test_cve_2024_39896_who_may_not_sign_in_is_nobody(client, members, entry_point):
    """An account of another provider that was told by another error."""
    shown = [("vi", "wrong"), *((name, PASSWORD) for name in OUTSIDE)]
    refusals = await one_answer(
        ask(client, entry_point, "login", headers=SAME, email=address(name), password=password)
        for name, password in shown
    )

    assert len(refusals) == 1
    assert "Invalid user credentials" in refusals.pop()


async def test_cve_2024_39896_who_asks_for_a_mail_is_told_nothing(client, members, entry_point):
    names = ("vi", "ed", *OUTSIDE, "VI", "vi%", "vi\0")

    assert (
        len(await one_answer(ask(client, entry_point, "request", headers=SAME, email=address(n)) for n in names)) == 1
    )


async def test_cve_2024_39896_who_registers_an_address_of_somebodys_is_told_nothing(client, members, entry_point):
    names = ("new", "vi", "una")
    given = {"password": "a good one", "headers": SAME}

    assert len(await one_answer(ask(client, entry_point, "register", email=address(n), **given) for n in names)) == 1


async def test_cve_2024_39896_a_lock_out_tells_nobody_from_somebody(client, members, entry_point, monkeypatch):
    monkeypatch.setattr("app.flows.login.DELAY_PER_FAILURE", timedelta(0))
    await update_settings(members, auth_login_attempts=1)
    here, elsewhere = ({**SAME, "x-forwarded-for": ip} for ip in ("198.51.100.1", "198.51.100.2"))
    tries = [(name, password) for name in ("vi", "nobody", "sue") for password in ("wrong", PASSWORD)]
    refusals = await one_answer(
        ask(client, entry_point, "login", headers=here, email=address(name), password=password)
        for name, password in tries
    )

    assert len(refusals) == 1
    assert "access_token" in told(
        await ask(client, entry_point, "login", headers=elsewhere, email=address("vi"), password=PASSWORD)
    )


@pytest.mark.parametrize(
    ("flow", "given"),
    [
        ("request", {"reset_url": BAD_URL}),
        ("register", {"verification_url": BAD_URL, "password": "a good one"}),
        ("invite", {"invite_url": BAD_URL, "role": uid("role-Editor")}),
    ],
)
async def test_cve_2026_26185_a_bad_url_is_refused_whoever_there_is(client, members, entry_point, flow, given):
    """A reset with a bad URL, which took longer where there was somebody."""
    headers = SAME | (ADA if flow == "invite" else {})
    names = ("vi", "nobody", "sue", "ida")
    refusals = await one_answer(
        ask(client, entry_point, flow, headers=headers, email=address(name), **given) for name in names
    )

    assert len(refusals) == 1
    assert "evil.example.com" in refusals.pop()
    assert await queued_mails(members) == []


@pytest.mark.counting
async def test_cve_2026_26185_a_bad_url_is_refused_before_anybody_is_looked_for(members):
    asked = members.database.reader.statements
    for name in ("vi", "nobody"):
        with pytest.raises(InvalidPayload):
            await PasswordReset(members.directory()).request(address(name), BAD_URL)
    assert members.database.reader.statements == asked

    await PasswordReset(members.directory()).request(address("nobody"))
    assert members.database.reader.statements > asked


OWN = ("generate", "enable", "disable", "recovery")
GIVEN = {
    "login": {"email": "vi@example.com", "password": PASSWORD},
    "refresh": {"refresh_token": "nobodys"},
    "logout": {"refresh_token": "nobodys"},
    "request": {"email": "vi@example.com"},
    "reset": {"token": "garbage", "password": "x"},
    "invite": {"email": "new@example.com", "role": uid("role-Editor")},
    "accept": {"token": "garbage", "password": "x"},
    "register": {"email": "new@example.com", "password": "x"},
    "verify": {"token": "garbage"},
    "generate": {"password": PASSWORD},
    "enable": {"otp": "000000", "secret": SECRET},
    "disable": {"otp": "000000"},
    "recovery": {"otp": "000000"},
    "hash": {"string": "x"},
    "match": {"string": "x", "hash": HASHED},
}


async def test_cve_2024_45596_no_answer_of_a_flow_is_kept_anywhere(client, members, entry_point):
    """A sign-in's answer that caches kept: whether it goes well or not, whoever asks."""
    assert GIVEN.keys() == FLOWS.keys()
    for flow, given in [*GIVEN.items(), ("login", {"email": "vi@example.com", "password": "wrong"})]:
        headers = {"invite": ADA, **dict.fromkeys(OWN, bearer(static_token("vi")))}.get(flow)
        answer = await ask(client, entry_point, flow, headers=headers, **given)
        assert answer.headers["cache-control"] == "no-store", answer.text
