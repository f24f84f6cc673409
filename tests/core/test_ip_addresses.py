"""The client's address behind proxies, and rules that match addresses."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.ip_addresses import client_address, ip_matches, parse_proxy_trust

ADDRESSES = st.ip_addresses()
INTERNAL = parse_proxy_trust("10.0.0.0/8, ::1")

CLIENTS = [  # peer, X-Forwarded-For, trust, client
    ("10.0.0.1", "1.1.1.1", False, "10.0.0.1"),
    ("10.0.0.1", "1.1.1.1, 2.2.2.2", True, "1.1.1.1"),
    ("10.0.0.1", None, True, "10.0.0.1"),
    ("10.0.0.1", "junk, 2.2.2.2", True, "10.0.0.1"),
    ("10.0.0.1", "1.1.1.1, 2.2.2.2", 0, "10.0.0.1"),
    ("10.0.0.1", "1.1.1.1, 2.2.2.2", 1, "2.2.2.2"),
    ("10.0.0.1", "1.1.1.1, 2.2.2.2", 2, "1.1.1.1"),
    ("10.0.0.1", "1.1.1.1, 2.2.2.2", 9, "1.1.1.1"),
    ("10.0.0.1", "1.1.1.1, junk, 2.2.2.2", 3, "2.2.2.2"),
    ("10.0.0.1", "1.1.1.1, 2.2.2.2, 10.0.0.2", INTERNAL, "2.2.2.2"),
    ("10.0.0.1", "10.0.0.3, 10.0.0.2", INTERNAL, "10.0.0.3"),
    ("10.0.0.1", "1.1.1.1, junk", INTERNAL, "10.0.0.1"),
    ("8.8.8.8", "1.1.1.1", INTERNAL, "8.8.8.8"),
    ("::1", "[2001:db8::1]:443", INTERNAL, "2001:db8::1"),
    ("::ffff:10.0.0.1", "::ffff:1.1.1.1", INTERNAL, "1.1.1.1"),
    ("10.0.0.1", "1.1.1.1:4711", 1, "1.1.1.1"),
    ("10.0.0.1", "", 1, "10.0.0.1"),
    (None, None, True, None),
    (None, "1.1.1.1", INTERNAL, None),
]
MATCHES = [  # address, rules, whether one matches
    ("10.1.2.3", ["10.1.2.3"], True),
    ("10.1.2.3", ["10.1.2.4"], False),
    ("10.1.2.3", ["192.168.0.1", "10.0.0.0/8"], True),
    ("10.1.2.3", ["10.1.2.9/24"], True),
    ("10.1.2.3", ["10.1.2.1-10.1.2.3"], True),
    ("10.1.2.3", ["10.1.2.1 - 10.1.2.9"], True),
    ("10.1.2.3", ["10.1.2.9-10.1.2.1"], False),
    ("10.1.2.3", ["::-ffff::"], False),
    ("10.1.2.3", ["::/0"], False),
    ("::ffff:10.1.2.3", ["10.0.0.0/8"], True),
    ("10.1.2.3", ["::ffff:10.1.2.3"], True),
    ("10.1.2.3", ["::ffff:10.0.0.0/104"], True),
    ("10.1.2.3", ["::ffff:11.0.0.0/104"], False),
    ("2001:db8::7", ["2001:db8::/32"], True),
    ("2001:db8::7", ["2001:db8::1-2001:db8::9"], True),
    ("10.1.2.3", ["", "junk", "10.1.2", "10.1.2.3/99", "10", "-", "10.1.2.3-"], False),
    ("10.1.2.3", [], False),
    ("junk", ["0.0.0.0/0", "::/0"], False),
    (None, ["0.0.0.0/0", "::/0"], False),
]


@pytest.mark.parametrize(("peer", "forwarded", "trust", "client"), CLIENTS)
def test_the_client_is_the_address_that_the_last_trusted_proxy_reports(peer, forwarded, trust, client):
    assert client_address(peer, forwarded, trust) == client


@given(ADDRESSES, st.text(max_size=60), st.sampled_from([False, 0]))
def test_without_trust_the_header_is_ignored(peer, forwarded, trust):
    assert client_address(str(peer), forwarded, trust) == client_address(str(peer), None, trust)


@given(st.text(max_size=60), st.sampled_from([1, 2, INTERNAL]))
def test_a_client_cannot_forge_what_a_trusted_proxy_appends(forged, trust):
    assert client_address("10.0.0.1", f"{forged},1.1.1.1", 1) == "1.1.1.1"
    assert client_address("10.0.0.1", f"{forged},1.1.1.1", INTERNAL) == "1.1.1.1"


@given(ADDRESSES, st.text(max_size=60), st.sampled_from([True, 1, 5, INTERNAL]))
def test_the_client_address_is_valid_or_none(peer, forwarded, trust):
    assert ip_address(client_address(str(peer), forwarded, trust) or "invalid")


@pytest.mark.parametrize(
    ("text", "trust"), [("false", False), (" True ", True), ("0", 0), ("2", 2), ("10.0.0.0/8, ::1", INTERNAL)]
)
def test_trust_is_a_boolean_a_number_of_proxies_or_networks(text, trust):
    assert parse_proxy_trust(text) == trust
    assert type(parse_proxy_trust(text)) is type(trust)


@pytest.mark.parametrize("text", ["", "maybe", "-1", "1.5", "10.0.0.0/99", "10.0.0.1,,"])
def test_any_other_trust_is_rejected(text):
    with pytest.raises(ValueError, match="neither true, false, a number of proxies nor a list of networks"):
        parse_proxy_trust(text)


@pytest.mark.parametrize(("address", "rules", "expected"), MATCHES)
def test_an_address_matches_rules_that_include_it(address, rules, expected):
    assert ip_matches(address, rules) is expected


@given(ADDRESSES, st.text(max_size=40))
def test_an_invalid_rule_matches_nothing_and_raises_nothing(address, rule):
    assert ip_matches(str(address), [rule]) in (True, False)
    assert ip_matches(str(address), [rule, str(address)])


@given(ADDRESSES, ADDRESSES, ADDRESSES)
def test_a_range_matches_the_addresses_between_its_ends(low, address, high):
    same_version = low.version == address.version == high.version
    between = same_version and int(low) <= int(address) <= int(high)
    mapped = any(part.version == 6 and part.ipv4_mapped for part in (low, address, high))

    assert mapped or ip_matches(str(address), [f"{low}-{high}"]) is between
