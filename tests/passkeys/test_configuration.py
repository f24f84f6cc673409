"""Where passkeys are available, and that the configuration of the page works."""

import pytest

from app.core.config import ConfigurationError, load_settings
from app.core.passkey_settings import passkey_settings
from app.flows.user_admin import UserAdmin
from tests.base_data import uid
from tests.http.clients import PASSWORD, data_of, error_of, login
from tests.http.test_graphql import served
from tests.passkeys.authenticator import Authenticator
from tests.passkeys.conftest import OPTIONS, OWN, Users
from tests.readme.pages import page, snippets

UNAVAILABLE = 503, "INVALID_PROVIDER_CONFIG"


@pytest.mark.parametrize(
    ("url", "rp_id", "expected"),
    [
        ("https://users.example.com", None, ("users.example.com", "https://users.example.com")),
        ("https://Users.Example.com:443/base/", None, ("users.example.com", "https://users.example.com")),
        ("https://users.example.com:8443", "example.com", ("example.com", "https://users.example.com:8443")),
        ("http://localhost:8055", None, ("localhost", "http://localhost:8055")),
        ("http://users.example.com", None, None),
        ("https://192.0.2.1", None, None),
        ("https://[2001:db8::1]", None, None),
        ("http://127.0.0.1:8055", None, None),
        ("https://users.example.com:99999", None, None),
        ("https://[users.example.com", None, None),
        (None, None, None),
    ],
)
def test_the_public_url_says_where_passkeys_are_available(url, rp_id, expected):
    found = passkey_settings(url, rp_id, ())

    assert (found and (found.rp_id, *found.origins)) == expected


@pytest.mark.parametrize("rp_id", ["example.org", "com", "ample.com", "other.users.example.com", "https://example.com"])
def test_passkeys_belong_to_the_host_or_a_domain_above_it(tmp_path, monkeypatch, rp_id):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PUBLIC_URL", "https://users.example.com")
    monkeypatch.setenv("PASSKEY_RP_ID", rp_id)
    with pytest.raises(ConfigurationError, match="PASSKEY_RP_ID: must be the host of PUBLIC_URL"):
        load_settings()


def test_an_origin_is_no_url(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSKEY_ORIGINS", "https://app.example.com/path")
    with pytest.raises(ConfigurationError, match="PASSKEY_ORIGINS: must be origins"):
        load_settings()


async def test_users_sign_in_with_the_configuration_of_the_page(tmp_path, monkeypatch, members):
    (example,) = snippets("ini", page("operations/passkeys.md"))
    monkeypatch.chdir(tmp_path)
    for line in example.splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    names = ("public_url", "passkey_rp_id", "passkey_origins")
    changes = {name: getattr(load_settings(), name) for name in names}
    async with served(members.settings.model_copy(update=changes)) as client:
        users = Users(client, members)
        for origin in ("https://users.example.com", "https://app.example.com"):
            authenticator, _ = await users.register(authenticator=Authenticator(rp_id="example.com", origin=origin))
            assert data_of(await users.sign_in(authenticator))


async def test_if_they_are_disabled_they_sign_nobody_in_but_can_be_revoked(members, users):
    authenticator, key = await users.register()
    await users.enforce_tfa()
    proof = await users.prove(authenticator)
    both = {"email": "vi@example.com", "password": PASSWORD, **await users.prove(authenticator, "second_factor")}
    settings = members.settings.model_copy(update={"public_url": "https://directory.example.com"})
    async with served(settings.model_copy(update={"passkeys_enabled": False})) as client:
        headers = await Users(client, members).headers("ada")
        for path, body in ((OPTIONS, {}), ("/auth/passkey/login", proof), ("/auth/passkey/login", both)):
            assert error_of(await client.post(path, json=body)) == UNAVAILABLE
        registration = await client.post(f"{OWN}/options", json={"password": PASSWORD}, headers=headers)
        assert error_of(registration) == UNAVAILABLE
        assert error_of(await login(client)) == (401, "INVALID_OTP")
        revocation = await client.delete(f"/users/{uid('vi')}/passkeys/{key}", headers=headers)
        assert revocation.status_code == 204
        assert data_of(await login(client))


async def test_the_command_revokes_all_passkeys_of_a_user(members, users):
    headers = await users.headers()
    authenticators = [(await users.register(headers=headers))[0] for _ in range(2)]
    other, _ = await users.register("ada")
    await UserAdmin(members.services).disable_passkeys("vi@example.com")

    assert await users.passkeys(headers) == []
    assert [(await users.sign_in(one)).status_code for one in (*authenticators, other)] == [401, 401, 200]
