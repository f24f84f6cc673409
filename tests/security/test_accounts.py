"""Known vulnerabilities that disclose which accounts exist, or that leave responses in caches.

Each test is named after the advisory. `test_advisories.py` lists the tests that cover the other advisories.
"""

from datetime import timedelta

import pytest

from app.core.errors import InvalidPayload
from app.flows.password_reset import PasswordReset
from tests.base_data import static_token, uid
from tests.flows.inviters import queued_mails, update_settings
from tests.http.test_graphql import ADA, bearer
from tests.security.entry_points import (
    FLOWS,
    PASSWORD,
    PASSWORD_HASH,
    TFA_SECRET,
    call_flow,
    comparable_response,
    response_data,
)

UNABLE_TO_LOG_IN = ("nobody", "nora", "sam", "sue", "ida", "una", "wanda")
"""Unknown, without a password, another provider, suspended, invited, unverified, archived."""
SAME_HEADERS = {"x-request-id": "the-same", "user-agent": "the same"}
BAD_URL = "https://evil.example.com/accept"


def email_of(name):
    return f"{name}@example.com"


async def distinct_responses(calls):
    """Return the distinct responses, headers included."""
    return {repr(comparable_response(await call)) for call in calls}


async def test_cve_2024_39896_all_failed_logins_get_the_same_response(client, members, entry_point):
    """Accounts of another provider were recognizable by a different error."""
    credentials = [("vi", "wrong"), *((name, PASSWORD) for name in UNABLE_TO_LOG_IN)]
    responses = await distinct_responses(
        call_flow(client, entry_point, "login", headers=SAME_HEADERS, email=email_of(name), password=password)
        for name, password in credentials
    )

    assert len(responses) == 1
    assert "Invalid user credentials" in responses.pop()


async def test_cve_2024_39896_password_requests_for_all_emails_get_the_same_response(client, members, entry_point):
    names = ("vi", "ed", *UNABLE_TO_LOG_IN, "VI", "vi%", "vi\0")

    assert (
        len(
            await distinct_responses(
                call_flow(client, entry_point, "request", headers=SAME_HEADERS, email=email_of(n)) for n in names
            )
        )
        == 1
    )


async def test_cve_2024_39896_registration_with_a_taken_email_gets_the_same_response(client, members, entry_point):
    names = ("new", "vi", "una")
    arguments = {"password": "a good one", "headers": SAME_HEADERS}

    assert (
        len(
            await distinct_responses(
                call_flow(client, entry_point, "register", email=email_of(n), **arguments) for n in names
            )
        )
        == 1
    )


async def test_cve_2024_39896_a_lockout_looks_the_same_for_unknown_emails(client, members, entry_point, monkeypatch):
    monkeypatch.setattr("app.flows.login_lockout.DELAY_PER_FAILURE", timedelta(0))
    await update_settings(members, auth_login_attempts=1)
    locked_out, other_ip = ({**SAME_HEADERS, "x-forwarded-for": ip} for ip in ("198.51.100.1", "198.51.100.2"))
    attempts = [(name, password) for name in ("vi", "nobody", "sue") for password in ("wrong", PASSWORD)]
    responses = await distinct_responses(
        call_flow(client, entry_point, "login", headers=locked_out, email=email_of(name), password=password)
        for name, password in attempts
    )

    assert len(responses) == 1
    assert "access_token" in response_data(
        await call_flow(client, entry_point, "login", headers=other_ip, email=email_of("vi"), password=PASSWORD)
    )


@pytest.mark.parametrize(
    ("flow", "arguments"),
    [
        ("request", {"reset_url": BAD_URL}),
        ("register", {"verification_url": BAD_URL, "password": "a good one"}),
        ("invite", {"invite_url": BAD_URL, "role": uid("role-Editor")}),
    ],
)
async def test_cve_2026_26185_a_url_not_allowed_is_rejected_for_all_emails_alike(
    client, members, entry_point, flow, arguments
):
    """Password requests with such a URL took longer for existing accounts."""
    headers = SAME_HEADERS | (ADA if flow == "invite" else {})
    names = ("vi", "nobody", "sue", "ida")
    responses = await distinct_responses(
        call_flow(client, entry_point, flow, headers=headers, email=email_of(name), **arguments) for name in names
    )

    assert len(responses) == 1
    assert "evil.example.com" in responses.pop()
    assert await queued_mails(members) == []


@pytest.mark.counting
async def test_cve_2026_26185_a_url_not_allowed_is_rejected_before_any_query(members):
    before = members.database.reader.statements
    for name in ("vi", "nobody"):
        with pytest.raises(InvalidPayload):
            await PasswordReset(members.directory()).request(email_of(name), BAD_URL)
    assert members.database.reader.statements == before

    await PasswordReset(members.directory()).request(email_of("nobody"))
    assert members.database.reader.statements > before


OWN_ACCOUNT_FLOWS = ("generate", "enable", "disable", "recovery")
FLOW_ARGUMENTS = {
    "login": {"email": "vi@example.com", "password": PASSWORD},
    "refresh": {"refresh_token": "unknown"},
    "logout": {"refresh_token": "unknown"},
    "request": {"email": "vi@example.com"},
    "reset": {"token": "garbage", "password": "x"},
    "invite": {"email": "new@example.com", "role": uid("role-Editor")},
    "accept": {"token": "garbage", "password": "x"},
    "register": {"email": "new@example.com", "password": "x"},
    "verify": {"token": "garbage"},
    "generate": {"password": PASSWORD},
    "enable": {"otp": "000000", "secret": TFA_SECRET},
    "disable": {"otp": "000000"},
    "recovery": {"otp": "000000"},
    "hash": {"string": "x"},
    "match": {"string": "x", "hash": PASSWORD_HASH},
}


async def test_cve_2024_45596_no_response_of_a_flow_may_be_stored(client, members, entry_point):
    """Caches stored login responses; checked for successful and failed calls, anonymous and authenticated."""
    assert FLOW_ARGUMENTS.keys() == FLOWS.keys()
    for flow, arguments in [*FLOW_ARGUMENTS.items(), ("login", {"email": "vi@example.com", "password": "wrong"})]:
        headers = {"invite": ADA, **dict.fromkeys(OWN_ACCOUNT_FLOWS, bearer(static_token("vi")))}.get(flow)
        response = await call_flow(client, entry_point, flow, headers=headers, **arguments)
        assert response.headers["cache-control"] == "no-store", response.text
