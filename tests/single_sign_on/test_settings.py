"""The settings of providers: one clear line for what is wrong."""

import pytest

from app.core.auth_providers import load_providers
from app.core.config import ConfigurationError, load_settings, setting_warnings
from tests.readme.pages import page, snippets

VALID = {
    "PUBLIC_URL": "https://directory.example.com",
    "AUTH_PROVIDERS": "company",
    "AUTH_COMPANY_DRIVER": "openid",
    "AUTH_COMPANY_CLIENT_ID": "rollcall",
    "AUTH_COMPANY_CLIENT_SECRET": "a secret of the client",
    "AUTH_COMPANY_ISSUER_URL": "https://login.example.com",
}
ROLE = "5a2f0c3e-6f0d-4b5c-9a53-0d7d5b1f2a11"
INVALID = [
    ({"PUBLIC_URL": ""}, "PUBLIC_URL: must be set, because AUTH_PROVIDERS is and providers redirect to it"),
    ({"AUTH_COMPANY_DRIVER": ""}, "AUTH_COMPANY_DRIVER: must be set"),
    ({"AUTH_COMPANY_DRIVER": "saml"}, "AUTH_COMPANY_DRIVER: must be one of openid, oauth2, ldap"),
    ({"AUTH_COMPANY_CLIENT_SECRET": ""}, "AUTH_COMPANY_CLIENT_SECRET: must be set"),
    ({"AUTH_COMPANY_ISSUER_URL": ""}, "AUTH_COMPANY_ISSUER_URL: must be set, because the driver is openid"),
    ({"AUTH_COMPANY_DRIVER": "oauth2"}, "AUTH_COMPANY_AUTHORIZE_URL: must be set, because the driver is oauth2"),
    ({"AUTH_COMPANY_ISSUER_URL": "login.example.com"}, "must be a URL that starts with https:// or http://"),
    (
        {"AUTH_COMPANY_ISUER_URL": "x"},
        "AUTH_COMPANY_ISUER_URL: is not a setting. Did you mean AUTH_COMPANY_ISSUER_URL?",
    ),
    ({"AUTH_COMPANY_PLAIN_CODE_CHALLENGE": "true"}, "is not supported, because PKCE always uses S256; remove it"),
    ({"AUTH_COMPANY_SCOPE": "profile"}, "AUTH_COMPANY_SCOPE: must contain openid"),
    ({"AUTH_COMPANY_PARAMS": 'json:{"state": "x"}'}, "AUTH_COMPANY_PARAMS: must not contain state"),
    ({"AUTH_COMPANY_ROLE_MAPPING": "editors:x"}, "AUTH_COMPANY_ROLE_MAPPING: must be a JSON object such as"),
    ({"AUTH_COMPANY_ROLE_MAPPING": 'json:{"editors": "x"}'}, "AUTH_COMPANY_ROLE_MAPPING: must be the id of a role"),
    ({"AUTH_COMPANY_DEFAULT_ROLE_ID": "Editor"}, "AUTH_COMPANY_DEFAULT_ROLE_ID: must be the id of a role"),
    ({"AUTH_COMPANY_MODE": "tokens"}, "AUTH_COMPANY_MODE: Input should be"),
    ({"AUTH_COMPANY_LOGIN_TIMEOUT": "soon"}, "AUTH_COMPANY_LOGIN_TIMEOUT: "),
    ({"AUTH_PROVIDERS": "company,COMPANY"}, "AUTH_PROVIDERS: must not contain a name twice"),
    ({"AUTH_PROVIDERS": "default"}, "AUTH_PROVIDERS: must be names of letters"),
    ({"AUTH_PROVIDERS": "a/b"}, "AUTH_PROVIDERS: must be names of letters"),
]


@pytest.fixture(autouse=True)
def no_env_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(monkeypatch, values):
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.mark.parametrize(("changes", "message"), INVALID, ids=lambda value: str(value)[:40])
def test_an_invalid_setting_is_named_without_its_value(monkeypatch, changes, message):
    with pytest.raises(ConfigurationError) as raised:
        load(monkeypatch, {**VALID, **changes})

    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert VALID["AUTH_COMPANY_CLIENT_SECRET"] not in str(raised.value)


def test_the_settings_of_a_provider_have_the_types_of_directus(monkeypatch):
    texts = {
        "ROLE_MAPPING": f'json:{{"b": "{ROLE}", "a": "{ROLE}"}}',
        "PARAMS": '{"prompt": "login"}',
        "REDIRECT_ALLOW_LIST": "https://a.example.com/x, https://b.example.com",
        "SYNC_USER_INFO": "true",
    }
    named = {f"AUTH_COMPANY_{name}": text for name, text in texts.items()}
    (provider,) = load(monkeypatch, {**VALID, **named, "AUTH_COMPANY_LABEL": ""}).auth_providers

    assert list(provider.role_mapping) == ["b", "a"]
    assert provider.params == {"prompt": "login"}
    assert provider.redirect_allow_list == ("https://a.example.com/x", "https://b.example.com")
    assert (provider.sync_user_info, provider.label, provider.mode) == (True, None, "session")
    assert VALID["AUTH_COMPANY_CLIENT_SECRET"] not in repr(provider)


def test_a_variable_belongs_to_the_provider_with_the_longest_name():
    names, settings = ("company", "company_b"), {"DRIVER": "openid", "CLIENT_ID": "x", "CLIENT_SECRET": "y"}
    variables = {
        f"AUTH_{name.upper()}_{key}": value
        for name in names
        for key, value in {**settings, "ISSUER_URL": f"https://{name}.example"}.items()
    }

    assert [getattr(each, "issuer_url", None) for each in load_providers(names, variables)] == [
        "https://company.example",
        "https://company_b.example",
    ]


def test_without_providers_variables_of_other_programs_are_ignored(monkeypatch):
    assert load(monkeypatch, {"AUTH_COMPANY_DRIVER": "openid", "AUTH_TOKEN": "x"}).auth_providers == ()


@pytest.mark.parametrize(("url", "warns"), [("http://login.example.com", True), ("http://127.0.0.1:80", False)])
def test_a_provider_without_tls_is_a_warning(monkeypatch, url, warns):
    settings = load(monkeypatch, {**VALID, "AUTH_COMPANY_ISSUER_URL": url})

    assert ("AUTH_COMPANY_ISSUER_URL: should start with https://" in setting_warnings(settings)) is warns


def test_settings_of_providers_are_read_from_the_env_file(tmp_path):
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in VALID.items()))

    assert [each.name for each in load_settings().auth_providers] == ["company"]


def test_the_examples_of_the_page_are_valid(tmp_path):
    examples = snippets("ini", page("operations/single-sign-on.md"))
    for example in examples:
        (tmp_path / ".env").write_text(example)
        assert len(load_settings().auth_providers) == 1
    assert len(examples) == 2
