"""The settings of an LDAP directory: one clear line for what is wrong."""

import pytest

from app.core.auth_providers import load_providers
from app.core.config import ConfigurationError, load_settings, setting_warnings
from app.core.ldap_settings import LdapSettings
from tests.readme.pages import page, snippets

VALID = {
    "PUBLIC_URL": "https://directory.example.com",
    "AUTH_PROVIDERS": "office",
    "AUTH_OFFICE_DRIVER": "ldap",
    "AUTH_OFFICE_CLIENT_URL": "ldaps://ldap.example.com",
    "AUTH_OFFICE_BIND_DN": "cn=searcher,dc=example,dc=com",
    "AUTH_OFFICE_BIND_PASSWORD": "a secret of the searcher",
    "AUTH_OFFICE_USER_DN": "dc=example,dc=com",
}
ROLE = "5a2f0c3e-6f0d-4b5c-9a53-0d7d5b1f2a11"
INVALID = [
    ("CLIENT_URL", "", "must be set"),
    ("CLIENT_URL", "https://ldap.example.com", "must be a URL such as ldaps://ldap.example.com"),
    ("CLIENT_URL", "ldap://user:password@ldap.example.com", "must be a URL such as"),
    ("CLIENT_URL", "ldap://ldap.example.com:99999", "must be a URL such as"),
    ("BIND_DN", "", "must be set"),
    ("BIND_PASSWORD", "", "must be set"),
    ("USER_DN", "", "must be set"),
    ("USER_ATTRIBUTE", "cn)(x=*", "must be the name of an attribute"),
    ("USER_SCOPE", "all", "Input should be 'base', 'one' or 'sub'"),
    ("DEFAULT_ROLE_ID", "Editor", "must be the id of a role"),
    ("CLIENT__TIMEOUT", "0", "Input should be greater than 0"),
    ("CLIENT__TIMEOUT", "60001", "Input should be less than or equal to 60000"),
    ("CLIENT__TLS_OPTIONS__CA", "no PEM", "holds no certificates as PEM text, or can't be read"),
    ("CLIENT__TLS_OPTIONS__CA_FILE", "missing.pem", "holds no certificates as PEM text, or can't be read"),
    ("START_TLS", "true", "needs a CLIENT_URL that starts with ldap://"),
    ("CLIENT_SECRET", "x", "is not a setting"),
    ("GROUPS_DN", "x", "is not a setting. Did you mean AUTH_OFFICE_GROUP_DN?"),
]


@pytest.fixture(autouse=True)
def no_env_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def load(monkeypatch, values):
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load_settings()


def ldap_settings(**changes):
    (settings,) = load_providers(["office"], {**VALID, **changes})
    assert isinstance(settings, LdapSettings)
    return settings


@pytest.mark.parametrize(("name", "value", "message"), INVALID)
def test_an_invalid_setting_is_named_without_its_value(monkeypatch, name, value, message):
    with pytest.raises(ConfigurationError) as raised:
        load(monkeypatch, {**VALID, f"AUTH_OFFICE_{name}": value})

    assert str(raised.value).startswith(f"AUTH_OFFICE_{name}: {message}")
    assert VALID["AUTH_OFFICE_BIND_PASSWORD"] not in str(raised.value)


def test_a_role_mapping_needs_groups(monkeypatch):
    with pytest.raises(ConfigurationError, match="AUTH_OFFICE_GROUP_DN: must be set, because ROLE_MAPPING is"):
        load(monkeypatch, {**VALID, "AUTH_OFFICE_ROLE_MAPPING": f'json:{{"editors": "{ROLE}"}}'})


def test_the_defaults_are_those_of_directus():
    settings = ldap_settings()

    assert (settings.user_attribute, settings.user_scope, settings.mail_attribute) == ("cn", "one", "mail")
    assert (settings.first_name_attribute, settings.last_name_attribute) == ("givenName", "sn")
    assert (settings.group_dn, settings.group_attribute, settings.group_scope) == (None, "member", "one")
    assert (settings.allow_public_registration, settings.sync_user_info) == (True, False)
    assert VALID["AUTH_OFFICE_BIND_PASSWORD"] not in repr(settings)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("ldaps://ldap.example.com", "ldap.example.com", 636),
        ("LDAP://ldap.example.com/", "ldap.example.com", 389),
        ("ldap://[::1]:1389", "::1", 1389),
    ],
)
def test_a_url_has_the_port_of_its_scheme(url, host, port):
    settings = ldap_settings(AUTH_OFFICE_CLIENT_URL=url)

    assert (settings.host, settings.port) == (host, port)


UNENCRYPTED = "AUTH_OFFICE_CLIENT_URL: should start with ldaps://, or AUTH_OFFICE_START_TLS should be true"
UNVERIFIED = "AUTH_OFFICE_CLIENT__TLS_OPTIONS__REJECT_UNAUTHORIZED: should be true"


@pytest.mark.parametrize(
    ("changes", "warnings"),
    [
        ({}, []),
        ({"CLIENT_URL": "ldap://ldap.example.com"}, [UNENCRYPTED]),
        ({"CLIENT_URL": "ldap://ldap.example.com", "START_TLS": "true"}, []),
        ({"CLIENT_URL": "ldap://127.0.0.1"}, []),
        ({"CLIENT__TLS_OPTIONS__REJECT_UNAUTHORIZED": "false"}, [UNVERIFIED]),
    ],
)
def test_passwords_without_verified_tls_are_a_warning(monkeypatch, changes, warnings):
    settings = load(monkeypatch, {**VALID, **{f"AUTH_OFFICE_{name}": value for name, value in changes.items()}})

    assert [line for line in setting_warnings(settings) if line.startswith("AUTH_")] == warnings


def test_the_examples_of_the_page_are_valid(tmp_path):
    examples = snippets("ini", page("operations/ldap.md"))
    for example in examples:
        (tmp_path / ".env").write_text(example)
        assert [each.driver for each in load_settings().auth_providers] == ["ldap"]
    assert len(examples) == 2
