"""Users sign in with passkeys: alone, or as the second factor; and with nothing that is not theirs or not fresh."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from jose import jwt
from sqlalchemy import select, update

from app.core.config import signing_secret
from app.db.models import PASSKEYS, Activity, User
from app.flows.passkeys import assertions
from tests.base_data import static_token, uid
from tests.http.clients import (
    INVALID_CREDENTIALS,
    INVALID_PAYLOAD,
    PASSWORD,
    REFRESH,
    SESSION,
    cookies_of,
    data_of,
    error_of,
    login,
    totp_code,
)
from tests.http.test_graphql import bearer
from tests.logs import captured_logs
from tests.passkeys.authenticator import PRESENT, Authenticator, encode
from tests.passkeys.conftest import LOGIN, OPTIONS, OWN

INVALID_OTP = 401, "INVALID_OTP"


async def test_a_passkey_signs_in_without_a_password(users):
    authenticator, key = await users.register()
    tokens = data_of(await users.sign_in(authenticator))
    me = await users.send("GET", "/users/me?fields=id", headers=bearer(tokens["access_token"]))
    (listed,) = await users.passkeys(bearer(tokens["access_token"]))

    assert data_of(me)["id"] == uid("vi")
    assert tokens["refresh_token"]
    assert (listed["id"], listed["last_used"] is None) == (key, False)


async def test_the_mode_says_which_cookie_is_set(users):
    authenticator, _ = await users.register()
    for mode, cookie in (("session", SESSION), ("cookie", REFRESH)):
        assert cookies_of(await users.sign_in(authenticator, mode=mode)).keys() == {cookie}


async def test_a_sign_in_is_recorded_like_one_with_a_password(users):
    authenticator, _ = await users.register()
    await users.sign_in(authenticator)
    async with users.system.database.transaction() as connection:
        query = select(Activity.action).where(Activity.item == uid("vi")).order_by(Activity.id)
        actions = (await connection.scalars(query)).all()

    assert actions == ["login", "login"]


async def test_the_options_are_the_same_for_everybody_and_name_no_passkey(users):
    await users.register()
    options = (await users.options())["public_key"]
    second = (await users.options("second_factor"))["public_key"]

    assert options.pop("challenge") != second.pop("challenge")
    assert options == {
        "timeout": 300_000,
        "rpId": "directory.example.com",
        "allowCredentials": [],
        "userVerification": "required",
    }
    assert second == {**options, "userVerification": "preferred"}
    assert error_of(await users.send("POST", OPTIONS, {"email": "vi@example.com"})) == INVALID_PAYLOAD
    assert error_of(await users.send("POST", OPTIONS, {"use": "registration"})) == INVALID_PAYLOAD


FORGERIES: dict[str, Callable[[Authenticator], tuple[Authenticator, dict[str, Any]]]] = {
    "another key": lambda one: (one.copy(key=Authenticator().key), {}),
    "an unknown passkey": lambda _: (Authenticator(), {}),
    "another origin": lambda one: (one.copy(origin="https://evil.example"), {}),
    "the origin without TLS": lambda one: (one.copy(origin="http://directory.example.com"), {}),
    "another relying party": lambda one: (one.copy(rp_id="evil.example"), {}),
    "no verification of the user": lambda one: (one.copy(flags=PRESENT), {}),
    "nobody present": lambda one: (one.copy(flags=0), {}),
    "another user": lambda one: (one.copy(user_handle=bytes(16)), {}),
    "another challenge": lambda one: (one, {"client_data": {"challenge": "AAAA"}}),
    "a response to a registration": lambda one: (one, {"client_data": {"type": "webauthn.create"}}),
    "a frame of another origin": lambda one: (one, {"client_data": {"crossOrigin": True}}),
    "a crossOrigin that is no boolean": lambda one: (one, {"client_data": {"crossOrigin": "yes"}}),
    "an empty signature": lambda one: (one, {"signature": ""}),
    "no authenticator data": lambda one: (one, {"authenticatorData": None}),
    "client data that is no JSON": lambda one: (one, {"clientDataJSON": encode(b"\xff")}),
    "client data that is no object": lambda one: (one, {"clientDataJSON": encode(b"[]")}),
    "too large": lambda one: (one, {"more": "x" * 20_000}),
}


async def test_forgeries_get_one_and_the_same_response(users):
    authenticator, _ = await users.register()
    before, texts = await users.count_sessions(), set()
    for name, forge in FORGERIES.items():
        forged, changes = forge(authenticator)
        response = await users.send("POST", LOGIN, await users.prove(forged, **changes))
        assert error_of(response) == INVALID_CREDENTIALS, name
        texts.add(response.text)

    assert len(texts) == 1
    assert await users.count_sessions() == before
    assert data_of(await users.sign_in(authenticator))


async def test_only_active_users_sign_in(users):
    authenticator, _ = await users.register()
    unknown = await users.sign_in(Authenticator())
    for status in ("suspended", "invited", "draft", "archived"):
        async with users.system.database.transaction() as connection:
            await connection.execute(update(User).where(User.id == uid("vi")).values(status=status))
        response = await users.sign_in(authenticator)
        assert (response.status_code, response.text) == (unknown.status_code, unknown.text)


async def test_the_user_of_a_provider_does_not_sign_in_with_a_passkey(users):
    authenticator, _ = await users.register()
    async with users.system.database.transaction() as connection:
        await connection.execute(update(User).where(User.id == uid("vi")).values(provider="github"))

    assert error_of(await users.sign_in(authenticator)) == INVALID_CREDENTIALS


@pytest.mark.both_databases
async def test_a_revoked_passkey_does_not_sign_in(users):
    headers = await users.headers()
    authenticator, key = await users.register(headers=headers)
    proof = await users.prove(authenticator)
    await users.send("DELETE", f"{OWN}/{key}", {"password": PASSWORD}, headers)

    assert error_of(await users.send("POST", LOGIN, proof)) == INVALID_CREDENTIALS
    assert error_of(await users.sign_in(authenticator)) == INVALID_CREDENTIALS


async def test_a_response_is_accepted_once(users):
    authenticator, _ = await users.register()
    proof = await users.prove(authenticator)
    responses = [await users.send("POST", LOGIN, proof) for _ in range(2)]

    assert data_of(responses[0])
    assert error_of(responses[1]) == INVALID_CREDENTIALS


async def test_a_wrong_response_uses_the_challenge_up(users):
    authenticator, _ = await users.register()
    proof = await users.prove(authenticator)
    wrong = {**proof, "credential": {**proof["credential"], "response": {}}}

    assert error_of(await users.send("POST", LOGIN, wrong)) == INVALID_CREDENTIALS
    assert error_of(await users.send("POST", LOGIN, proof)) == INVALID_CREDENTIALS


async def test_a_challenge_must_be_ours_and_for_this_purpose(users):
    authenticator, _ = await users.register()
    proof, secret = await users.prove(authenticator), signing_secret(users.system.settings)
    claims = jwt.get_unverified_claims(proof["challenge_token"])
    headers = await users.headers()
    others = [
        jwt.encode({**claims, "scope": "passkey-second-factor"}, secret),
        jwt.encode({**claims, "exp": 1}, secret),
        jwt.encode(claims, "another secret"),
        jwt.encode({**claims, "challenge": 5}, secret),
        (await users.options("confirmation"))["challenge_token"],
        (await users.registration_options(headers))["challenge_token"],
        headers["Authorization"].removeprefix("Bearer "),
        "x" * 10_000,
    ]
    for token in others:
        response = await users.send("POST", LOGIN, {**proof, "challenge_token": token})
        assert error_of(response) == INVALID_CREDENTIALS
    assert data_of(await users.send("POST", LOGIN, proof))


async def test_the_token_of_a_challenge_gives_no_access(users):
    await users.register()
    token = (await users.options())["challenge_token"]

    assert (await users.send("GET", "/users/me", headers=bearer(token))).status_code == 403


async def test_a_counter_that_does_not_increase_is_refused_and_noted(users):
    authenticator, key = await users.register(authenticator=Authenticator(count=5))
    assert data_of(await users.sign_in(authenticator))
    for count in (authenticator.count, 3, 0):
        with captured_logs(assertions) as logs:
            response = await users.sign_in(authenticator.copy(count=count, step=0))
        assert error_of(response) == INVALID_CREDENTIALS
        assert {"event": "passkey_counter_rejected", "log_level": "warning", "user": uid("vi"), "passkey": key} in logs
    headers = bearer(data_of(await users.sign_in(authenticator))["access_token"])

    assert [one["counter_rejected"] is None for one in await users.passkeys(headers)] == [False]


async def test_an_authenticator_without_a_counter_always_sends_zero(users):
    authenticator, _ = await users.register(authenticator=Authenticator(step=0))
    for _ in range(2):
        assert data_of(await users.sign_in(authenticator))


async def test_a_forged_signature_does_not_move_the_counter(users):
    authenticator, _ = await users.register()
    forged = authenticator.copy(count=1000, key=Authenticator().key)
    await users.sign_in(forged)

    assert data_of(await users.sign_in(authenticator))


async def test_a_passkey_is_the_second_factor_instead_of_a_one_time_password(users):
    headers = await users.headers("ed", otp=totp_code())
    await users.forget_used_codes()
    authenticator, _ = await users.register("ed", headers=headers, proof={"password": PASSWORD, "otp": totp_code()})
    authenticator.flags = PRESENT

    assert error_of(await login(users.client, "ed@example.com")) == INVALID_OTP
    assert data_of(await users.log_in_with_both(authenticator, "ed"))
    assert error_of(await users.log_in_with_both(authenticator, "ed", "wrong")) == INVALID_CREDENTIALS


async def test_the_second_factor_is_a_passkey_of_the_same_user_for_this_purpose(users):
    headers = await users.headers("ed", otp=totp_code())
    await users.forget_used_codes()
    own, _ = await users.register("ed", headers=headers, proof={"password": PASSWORD, "otp": totp_code()})
    other, _ = await users.register("vi")
    both = {"email": "ed@example.com", "password": PASSWORD}

    assert error_of(await users.log_in_with_both(other, "ed")) == INVALID_OTP
    assert error_of(await users.log_in_with_both(own.copy(key=other.key), "ed")) == INVALID_OTP
    assert data_of(await users.log_in_with_both(own, "ed"))
    assert error_of(await users.log_in_with_both(own.copy(step=0), "ed")) == INVALID_OTP
    assert error_of(await users.send("POST", LOGIN, {**await users.prove(own), **both})) == INVALID_OTP
    assert error_of(await users.send("POST", LOGIN, await users.prove(own, "second_factor"))) == INVALID_CREDENTIALS


async def test_email_and_password_belong_together(users):
    body = await users.prove(Authenticator(), "second_factor")
    for part in ({"email": "vi@example.com"}, {"password": PASSWORD}):
        assert error_of(await users.send("POST", LOGIN, {**body, **part})) == INVALID_PAYLOAD


async def test_a_passkey_changes_nothing_for_the_password_unless_a_policy_enforces_tfa(users):
    await users.register()
    assert data_of(await login(users.client))
    await users.enforce_tfa()
    assert error_of(await login(users.client)) == INVALID_OTP
    assert error_of(await login(users.client, otp="123456")) == INVALID_OTP


async def test_a_policy_that_enforces_tfa_elsewhere_counts_too(users):
    authenticator, _ = await users.register()
    await users.system.load(
        {"directus_policies": [{"id": uid("policy-Viewers"), "enforce_tfa": True, "ip_access": ["203.0.113.9"]}]}
    )

    assert error_of(await login(users.client)) == INVALID_OTP
    assert data_of(await users.log_in_with_both(authenticator))


async def test_a_passkey_satisfies_a_policy_that_enforces_two_factor_authentication(users):
    await users.enforce_tfa()
    pending = await users.headers()
    assert error_of(await users.send("GET", "/users/me", headers=pending)) == (403, "FORBIDDEN")
    assert error_of(await users.send("GET", OWN, headers=pending)) == (403, "FORBIDDEN")

    authenticator, _ = await users.register(headers=pending)
    assert data_of(await users.send("GET", "/users/me", headers=pending))["id"] == uid("vi")
    for response in (await users.sign_in(authenticator), await users.log_in_with_both(authenticator)):
        tokens = data_of(response)
        assert "enforce_tfa" not in jwt.get_unverified_claims(tokens["access_token"])
        refreshed = await users.send("POST", "/auth/refresh", {"refresh_token": tokens["refresh_token"]})
        assert "enforce_tfa" not in jwt.get_unverified_claims(data_of(refreshed)["access_token"])


async def test_without_the_last_passkey_two_factor_authentication_has_to_be_set_up_again(users):
    await users.enforce_tfa()
    pending = await users.headers()
    _, key = await users.register(headers=pending)
    path = f"/users/{uid('vi')}/passkeys/{key}"
    await users.send("DELETE", path, headers=bearer(static_token("ada")))

    assert error_of(await users.send("GET", "/users/me", headers=pending)) == (403, "FORBIDDEN")
    assert jwt.get_unverified_claims(data_of(await login(users.client))["access_token"])["enforce_tfa"] is True


async def test_a_password_reset_leaves_the_passkeys(users):
    authenticator, _ = await users.register()
    body = {"password": "another password, as good"}
    await users.send("PATCH", f"/users/{uid('vi')}", body, headers=bearer(static_token("ada")))

    assert data_of(await users.sign_in(authenticator))


async def test_concurrent_sign_ins_with_one_response_start_one_session(users):
    authenticator, _ = await users.register()
    proof, before = await users.prove(authenticator), await users.count_sessions()
    responses = await asyncio.gather(*(users.send("POST", LOGIN, proof) for _ in range(4)))

    assert sorted(response.status_code for response in responses) == [200, 401, 401, 401]
    assert await users.count_sessions() == before + 1


async def test_the_public_key_is_stored_and_nothing_secret(users):
    authenticator, _ = await users.register()
    async with users.system.database.transaction() as connection:
        row = (await connection.execute(select(PASSKEYS))).mappings().one()

    assert row["credential_id"] == encode(authenticator.credential_id)
    assert row["public_key"] == encode(authenticator.cose_key())
