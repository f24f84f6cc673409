"""Passkeys are registered with a proof, listed, renamed and revoked."""

from typing import Any

import pytest
from sqlalchemy import select

from app.core.errors import APITokenRefused
from app.db.models import PASSKEYS, Activity
from app.flows.passkeys.own_passkeys import EXPIRED_MESSAGE, REGISTERED_MESSAGE, REJECTED_MESSAGE
from tests.api_tokens.tokens import create_token
from tests.base_data import cheap_hash, static_token, uid
from tests.http.clients import (
    FORBIDDEN,
    INVALID_CREDENTIALS,
    INVALID_PAYLOAD,
    PASSWORD,
    data_of,
    error_of,
    reason_of,
    totp_code,
)
from tests.http.test_graphql import bearer
from tests.passkeys.authenticator import BACKED_UP, BACKUP_ELIGIBLE, PRESENT, VERIFIED, Authenticator, decode
from tests.passkeys.conftest import OWN


async def test_a_registered_passkey_is_listed_with_what_its_authenticator_says(users):
    headers = await users.headers()
    flags = PRESENT | VERIFIED | BACKUP_ELIGIBLE | BACKED_UP
    _, key = await users.register(headers=headers, authenticator=Authenticator(flags=flags), label="  Phone ")
    (listed,) = await users.passkeys(headers)

    assert (listed.pop("created") is None, listed) == (
        False,
        {
            "id": key,
            "name": "Phone",
            "transports": ["hybrid", "internal"],
            "synced": True,
            "backed_up": True,
            "last_used": None,
            "counter_rejected": None,
        },
    )


async def test_the_options_require_a_discoverable_passkey_that_verifies_its_user(users):
    headers = await users.headers()
    authenticator, _ = await users.register(headers=headers)
    options = (await users.registration_options(headers))["public_key"]

    assert options["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert (options["rp"]["id"], options["attestation"]) == ("directory.example.com", "none")
    assert decode(options["user"]["id"]).hex() == uid("vi").replace("-", "")
    assert [decode(one["id"]) for one in options["excludeCredentials"]] == [authenticator.credential_id]


async def test_a_user_has_several_passkeys_and_renames_them(users):
    headers = await users.headers()
    keys = [(await users.register(headers=headers, label=label))[1] for label in ("One", "Two")]
    renamed = data_of(await users.send("PATCH", f"{OWN}/{keys[0]}", {"name": "Three"}, headers))

    assert renamed["name"] == "Three"
    assert {one["id"]: one["name"] for one in await users.passkeys(headers)} == {keys[0]: "Three", keys[1]: "Two"}


async def test_changes_are_recorded_without_the_credential(users):
    headers = await users.headers()
    _, key = await users.register(headers=headers)
    await users.send("PATCH", f"{OWN}/{key}", {"name": "Other"}, headers)
    await users.send("DELETE", f"{OWN}/{key}", {"password": PASSWORD}, headers)
    async with users.system.database.transaction() as connection:
        query = select(Activity.action, Activity.user_id).where(Activity.item == key).order_by(Activity.id)
        recorded = [(action, str(user)) for action, user in await connection.execute(query)]

    assert recorded == [(action, uid("vi")) for action in ("create", "update", "delete")]


async def test_without_the_password_nothing_is_registered_or_revoked(users):
    headers = await users.headers()
    _, key = await users.register(headers=headers)

    for proof in ({}, {"password": "wrong"}, {"otp": "123456"}):
        assert error_of(await users.send("POST", f"{OWN}/options", proof, headers)) == INVALID_CREDENTIALS
        assert error_of(await users.send("DELETE", f"{OWN}/{key}", proof, headers)) == INVALID_CREDENTIALS
    assert len(await users.passkeys(headers)) == 1


async def test_with_one_time_passwords_the_proof_is_one_and_the_password(users):
    headers = await users.headers("ed", otp=totp_code())
    refused = await users.send("POST", f"{OWN}/options", {"password": PASSWORD}, headers)
    used = await users.send("POST", f"{OWN}/options", {"password": PASSWORD, "otp": totp_code()}, headers)
    await users.forget_used_codes()
    await users.register(headers=headers, proof={"password": PASSWORD, "otp": totp_code()})

    assert error_of(refused) == error_of(used) == (401, "INVALID_OTP")


async def test_one_time_passwords_that_a_session_sets_up_are_no_proof(users):
    """A session is enough to enable them; it must not become a passkey, which outlives it and needs no password."""
    headers, secret = await users.headers(), "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
    body = {"secret": secret, "otp": totp_code(secret)}
    assert (await users.send("POST", "/users/me/tfa/enable", body, headers)).status_code == 204
    await users.forget_used_codes()
    for proof in ({"otp": totp_code(secret)}, {"otp": totp_code(secret), "password": "wrong"}):
        assert error_of(await users.send("POST", f"{OWN}/options", proof, headers)) == INVALID_CREDENTIALS


async def test_a_change_of_the_password_ends_the_registration_that_the_old_one_began(users):
    headers = await users.headers()  # its access token outlives the change
    options = await users.registration_options(headers)
    await users.system.load({"directus_users": [{"id": uid("vi"), "password": cheap_hash("another password")}]})
    body = {"name": "x", "challenge_token": options["challenge_token"]}
    body["credential"] = Authenticator().create(options["public_key"])

    assert reason_of(await users.send("POST", OWN, body, headers)) == EXPIRED_MESSAGE


async def test_a_passkey_is_a_proof(users):
    headers = await users.headers()
    authenticator, key = await users.register(headers=headers)
    await users.register(headers=headers, proof=await users.prove(authenticator, "confirmation"))
    response = await users.send("DELETE", f"{OWN}/{key}", await users.prove(authenticator, "confirmation"), headers)

    assert response.status_code == 204
    assert len(await users.passkeys(headers)) == 1


async def test_a_passkey_of_another_user_is_no_proof(users):
    other, _ = await users.register("ada")
    headers = await users.headers()
    refused = await users.send("POST", f"{OWN}/options", await users.prove(other, "confirmation"), headers)

    assert error_of(refused) == INVALID_CREDENTIALS


async def test_a_response_for_another_purpose_is_no_proof(users):
    headers = await users.headers()
    authenticator, _ = await users.register(headers=headers)

    for use in ("sign_in", "second_factor"):
        refused = await users.send("POST", f"{OWN}/options", await users.prove(authenticator, use), headers)
        assert error_of(refused) == INVALID_CREDENTIALS


async def test_if_a_policy_enforces_two_factor_authentication_the_password_is_no_proof(users):
    headers = await users.headers()
    authenticator, key = await users.register(headers=headers)
    await users.enforce_tfa()

    for response in (
        await users.send("POST", f"{OWN}/options", {"password": PASSWORD}, headers),
        await users.send("DELETE", f"{OWN}/{key}", {"password": PASSWORD}, headers),
    ):
        assert error_of(response) == (401, "INVALID_OTP")
    await users.register(headers=headers, proof=await users.prove(authenticator, "confirmation"))


FORGERIES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another origin": ({"origin": "https://evil.example"}, {}),
    "another relying party": ({"rp_id": "evil.example"}, {}),
    "no verification of the user": ({"flags": PRESENT}, {}),
    "another challenge": ({}, {"client_data": {"challenge": "AAAA"}}),
    "a response to a sign-in": ({}, {"client_data": {"type": "webauthn.get"}}),
    "a frame of another origin": ({}, {"client_data": {"crossOrigin": True}}),
    "an attestation of another kind": ({}, {"attestation": {"fmt": "fido-u2f"}}),
    "no attestation": ({}, {"attestationObject": ""}),
    "no client data": ({}, {"clientDataJSON": "e30"}),
    "too large": ({}, {"more": "x" * 20_000}),
}


async def test_a_forged_registration_is_rejected(users):
    headers = await users.headers()
    for name, (attributes, changes) in FORGERIES.items():
        options = await users.registration_options(headers)
        credential = Authenticator(**attributes).create(options["public_key"], **dict(changes))
        body = {"name": "x", "challenge_token": options["challenge_token"], "credential": credential}
        assert reason_of(await users.send("POST", OWN, body, headers)) == REJECTED_MESSAGE, name

    assert await users.passkeys(headers) == []


async def test_options_are_used_once_and_only_by_their_user(users):
    headers, other = await users.headers(), await users.headers("ada")
    options = await users.registration_options(headers)
    body = {"name": "x", "challenge_token": options["challenge_token"]}
    body["credential"] = Authenticator().create(options["public_key"])

    assert reason_of(await users.send("POST", OWN, body, other)) == EXPIRED_MESSAGE
    assert (await users.send("POST", OWN, body, headers)).status_code == 200
    assert reason_of(await users.send("POST", OWN, body, headers)) == EXPIRED_MESSAGE


async def test_options_are_used_only_in_their_session(users):
    cookies = []
    for _ in range(2):
        response = await users.send(
            "POST", "/auth/login", {"email": "vi@example.com", "password": PASSWORD, "mode": "session"}
        )
        cookies.append({"cookie": response.headers["set-cookie"].partition(";")[0]})
    options = await users.registration_options(cookies[0])
    body = {"name": "x", "challenge_token": options["challenge_token"]}
    body["credential"] = Authenticator().create(options["public_key"])

    assert reason_of(await users.send("POST", OWN, body, cookies[1])) == EXPIRED_MESSAGE
    assert (await users.send("POST", OWN, body, cookies[0])).status_code == 200


async def test_a_challenge_of_a_sign_in_registers_nothing(users):
    headers, options = await users.headers(), await users.options()
    public_key = {**options["public_key"], "user": {"id": "AAAA"}}
    body = {
        "name": "x",
        "challenge_token": options["challenge_token"],
        "credential": Authenticator().create(public_key),
    }

    assert reason_of(await users.send("POST", OWN, body, headers)) == EXPIRED_MESSAGE


async def test_a_credential_is_registered_once(users):
    authenticator, _ = await users.register()
    headers = await users.headers("ada")
    options = await users.registration_options(headers)
    body = {"name": "x", "challenge_token": options["challenge_token"]}
    body["credential"] = authenticator.create(options["public_key"])

    assert reason_of(await users.send("POST", OWN, body, headers)) == REGISTERED_MESSAGE


async def test_a_passkey_needs_a_name(users):
    headers = await users.headers()
    options = await users.registration_options(headers)
    body = {"challenge_token": options["challenge_token"]}
    body["credential"] = Authenticator().create(options["public_key"])

    for name in ("", " ", "x" * 256, "\0", 5, None):
        assert error_of(await users.send("POST", OWN, {**body, "name": name}, headers)) == INVALID_PAYLOAD


async def test_an_api_token_manages_no_passkeys(users):
    _, key = await users.register()
    headers = bearer((await create_token(users.system, "vi")).secret)
    requests: list[tuple[str, str, Any]] = [("GET", OWN, None), ("POST", f"{OWN}/options", {"password": PASSWORD})]
    requests += [("PATCH", f"{OWN}/{key}", {"name": "x"}), ("DELETE", f"{OWN}/{key}", {"password": PASSWORD})]
    options = await users.registration_options(await users.headers())
    credential = Authenticator().create(options["public_key"])
    requests += [("POST", OWN, {"name": "x", "challenge_token": options["challenge_token"], "credential": credential})]
    for method, path, body in requests:
        response = await users.send(method, path, body, headers)
        assert response.json() == {"errors": [APITokenRefused().as_dict()]}, path


async def test_another_users_passkeys_are_for_admins_only(users):
    _, key = await users.register()
    path, ada = f"/users/{uid('vi')}/passkeys", bearer(static_token("ada"))

    for headers in (await users.headers("ed", otp=totp_code()), bearer(static_token("gil"))):
        assert error_of(await users.send("GET", path, headers=headers)) == FORBIDDEN
        assert error_of(await users.send("DELETE", f"{path}/{key}", headers=headers)) == FORBIDDEN
    assert [one["id"] for one in data_of(await users.send("GET", path, headers=ada))] == [key]
    assert (await users.send("DELETE", f"{path}/{key}", headers=ada)).status_code == 204
    assert error_of(await users.send("DELETE", f"{path}/{key}", headers=ada)) == FORBIDDEN
    assert error_of(await users.send("DELETE", f"/users/{uid('ada')}/passkeys/{key}", headers=ada)) == INVALID_PAYLOAD


@pytest.mark.both_databases
async def test_a_user_revokes_no_passkey_of_another_user(users):
    _, key = await users.register("ada")
    headers = await users.headers()

    for unknown in (key, uid("nobody"), "x"):
        for method, body in (("DELETE", {"password": PASSWORD}), ("PATCH", {"name": "x"})):
            assert error_of(await users.send(method, f"{OWN}/{unknown}", body, headers)) == FORBIDDEN


async def test_anonymous_callers_have_no_passkeys(users):
    for method, path in (("GET", OWN), ("POST", OWN), ("POST", f"{OWN}/options"), ("PATCH", f"{OWN}/x")):
        assert error_of(await users.send(method, path, {} if method != "GET" else None)) == INVALID_CREDENTIALS


async def test_the_user_of_a_provider_registers_none(users):
    headers = bearer(static_token("sam"))
    response = await users.send("POST", f"{OWN}/options", {"password": PASSWORD}, headers)

    assert error_of(response) == FORBIDDEN


async def test_deleting_a_user_deletes_the_passkeys(users):
    await users.register()
    await users.send("DELETE", f"/users/{uid('vi')}", headers=bearer(static_token("ada")))
    async with users.system.database.transaction() as connection:
        assert (await connection.execute(select(PASSKEYS.c.id))).all() == []
