"""A directory that is away, slow or answers nonsense: a clear error, no session, no changed user, no blocked loop."""

import asyncio
import time

import pytest

from app.core.auth_providers import load_providers
from app.core.ldap_settings import LdapSettings
from app.flows.single_sign_on import failures
from app.identity_providers.base import IdentityRejected, ProviderUnavailable
from app.identity_providers.ldap import ldap_connection
from app.identity_providers.ldap import provider as provider_module
from app.identity_providers.ldap.account_state import is_disabled
from app.identity_providers.ldap.messages import LdapEntry
from app.identity_providers.ldap.provider import LdapProvider
from tests.http.clients import data_of, error_of
from tests.ldap import misbehaving, slapd
from tests.ldap.conftest import NAME, values_of
from tests.logs import captured_logs
from tests.single_sign_on.conftest import counts

UNAVAILABLE = (503, "SERVICE_UNAVAILABLE")
TIMEOUT = {"client__timeout": "150"}
GROUPS = {"group_dn": slapd.GROUPS}


def provider(url, **variables):
    values = {f"AUTH_OFFICE_{name.upper()}": value for name, value in values_of(url, variables).items()}
    (settings,) = load_providers(["office"], values)
    assert isinstance(settings, LdapSettings)
    return LdapProvider(settings)


def failures_in(events):
    """Return what is logged of providers that failed."""
    found = [event for event in events if event["event"] == "provider_failed"]
    return [{name: value for name, value in event.items() if name not in ("event", "log_level")} for event in found]


@pytest.mark.parametrize("step", misbehaving.STEPS)
async def test_nonsense_at_any_step_is_an_error_with_a_reason(fake, step):
    directory = provider(fake.url, **TIMEOUT, **GROUPS)
    for name, response in misbehaving.nonsense(step).items():
        fake.responses = [*misbehaving.GOOD[:step], response]
        with pytest.raises(ProviderUnavailable) as raised:
            await directory.identify("kim", slapd.PASSWORD)
        assert str(raised.value), name
        assert "secret" not in str(raised.value), name


@pytest.mark.parametrize(
    ("attribute", "value", "disabled"),
    [
        ("userAccountControl", "512", False),
        ("userAccountControl", "66048", False),
        ("userAccountControl", "514", True),
        ("userAccountControl", "no number", True),
        ("msDS-User-Account-Control-Computed", str(0x10), True),
        ("msDS-User-Account-Control-Computed", str(0x800000), True),
        ("nsAccountLock", "FALSE", False),
        ("nsAccountLock", "true", True),
        ("pwdAccountLockedTime", "20200101000000Z", False),
        ("pwdAccountLockedTime", "000001010000Z", True),
    ],
)
def test_the_state_of_an_account_is_read_from_its_attributes(attribute, value, disabled):
    assert is_disabled(LdapEntry("cn=kim", {attribute.lower(): [value]})) is disabled


async def test_good_responses_are_a_sign_in(fake):
    fake.responses = list(misbehaving.GOOD)
    identity = await provider(fake.url, **GROUPS).identify("kim", slapd.PASSWORD)

    assert identity.claims["sub"] == misbehaving.DN.decode()
    assert identity.claims["email"] == "kim@example.com"


async def test_an_entry_without_a_dn_is_nobody(fake):
    fake.responses = [misbehaving.GOOD[0], misbehaving.found(2, b""), *misbehaving.GOOD[2:]]

    with pytest.raises(IdentityRejected):
        await provider(fake.url).identify("kim", slapd.PASSWORD)


async def test_pages_without_an_end_are_given_up(fake, monkeypatch):
    monkeypatch.setattr(provider_module, "MAX_GROUPS", 1)
    fake.responses = [*misbehaving.GOOD[:4], misbehaving.entry(5) * 2 + misbehaving.result(5, misbehaving.SEARCH_DONE)]

    with pytest.raises(ProviderUnavailable, match="more than 1 entries match"):
        await provider(fake.url, **GROUPS).identify("kim", slapd.PASSWORD)


async def test_plain_text_before_tls_is_dropped(fake):
    """What an attacker adds to the response to StartTLS must not count as the directory's (CVE-2021-38371)."""
    start_tls = misbehaving.result(1, b"\x78")
    forged = b"".join([misbehaving.result(2), misbehaving.found(3), misbehaving.result(4)])
    fake.responses, fake.closes = [start_tls + forged], True

    with pytest.raises(ProviderUnavailable):
        await provider(fake.url, start_tls="true", **TIMEOUT).identify("kim", slapd.PASSWORD)


@pytest.mark.parametrize("more", [{}, {"start_tls": "true"}])
async def test_connecting_has_a_time_limit_of_its_own(fake, more):
    fake.responses = [None]
    url = fake.url if more else fake.url.replace("ldap:", "ldaps:")

    with pytest.raises(ProviderUnavailable, match="Timeout"):
        await provider(url, client__connect_timeout="100", **more).identify("kim", slapd.PASSWORD)


async def test_only_so_many_sign_ins_use_a_directory_and_waiting_has_a_limit(monkeypatch):
    monkeypatch.setattr(provider_module, "MAX_CONNECTIONS", 2)
    with misbehaving.running() as server:
        server.responses = [None]
        directory = provider(server.url, client__timeout="1000")
        attempts = [asyncio.create_task(directory.identify("kim", slapd.PASSWORD)) for _ in range(6)]
        await asyncio.sleep(0.4)
        assert server.connections == 2
        results = await asyncio.gather(*attempts, return_exceptions=True)

    assert [type(each) for each in results] == [ProviderUnavailable] * 6


async def test_a_sign_in_with_a_thousand_groups_does_not_block_the_loop(directory):
    """No callback takes so long that the loop in debug mode would report it."""
    callbacks = []
    task = asyncio.create_task(provider(directory.url, **GROUPS).identify("many", slapd.PASSWORD))
    while not task.done():
        started = time.thread_time()  # not the time of other threads and processes
        await asyncio.sleep(0)
        callbacks.append(time.thread_time() - started)

    assert len((await task).claims["groups"]) == slapd.GROUP_COUNT + 1
    assert max(callbacks) < asyncio.get_running_loop().slow_callback_duration


async def test_an_empty_password_or_dn_is_never_sent(directory):
    """The directory of the tests accepts such a bind as anonymous."""
    found = provider(directory.url)
    async with ldap_connection.connect(found.settings, found.settings.tls_context()) as connection:
        for dn, password in ((slapd.KIM, ""), ("", slapd.PASSWORD), ("", "")):
            with pytest.raises(ValueError, match="needs a DN and a password"):
                await connection.bind(dn, password)


async def test_an_unavailable_directory_changes_nothing_and_the_log_has_the_reason(connect, fake):
    server = await connect(fake.url, **TIMEOUT)
    before = await counts(server.system)
    responses = {
        "Timeout": [None],
        "IncompleteReadError": [b""],
        "bind: the response is no valid LDAP message": [b"HTTP"],
        "bind: the server answers with an error (80)": [misbehaving.result(1, code=80)],
        "the directory rejects BIND_DN or BIND_PASSWORD": [misbehaving.result(1, code=49)],
        "search for the user: noSuchObject (32)": [misbehaving.GOOD[0], misbehaving.result(2, b"\x65", 32)],
    }
    for reason, fake.responses in responses.items():
        with captured_logs(failures) as events:
            response = await server.sign_in("kim")
        assert error_of(response) == UNAVAILABLE
        assert failures_in(events) == [{"provider": NAME, "reason": reason}]
    assert await counts(server.system) == before


async def test_a_directory_that_is_away_is_reported(connect):
    server = await connect(misbehaving.unused_url())
    with captured_logs(failures) as events:
        assert error_of(await server.sign_in("kim")) == UNAVAILABLE

    assert failures_in(events) == [{"provider": NAME, "reason": "ConnectionRefusedError"}]


async def test_incomplete_groups_assign_no_role(connect, directory):
    server = await connect(directory.url, bind_dn=slapd.LIMITED_DN, **GROUPS)
    before = await counts(server.system)

    assert error_of(await server.sign_in("many")) == UNAVAILABLE
    assert await counts(server.system) == before
    data_of(await server.sign_in("kim"))
