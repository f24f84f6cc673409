"""IP addresses: the client's address behind proxies, and rules that match addresses."""

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
MAPPED_PREFIX_BITS = 96
"""Length of the IPv6 prefix of IPv4-mapped addresses."""
CLIENT_PREFIX_BITS = 64
"""Length of the IPv6 prefix that belongs to one client."""


class Interval(NamedTuple):
    """All addresses from `low` to `high`, of one version."""

    low: Address
    high: Address


ProxyTrust = bool | int | tuple[Network, ...]
"""Which proxies' X-Forwarded-For is trusted: none, all, the last n, or those within networks."""


def parse_proxy_trust(text: str) -> ProxyTrust:
    """Parse `false`, `true`, a number of proxies, or comma-separated networks.

    Raises:
        ValueError: The text is none of these.
    """
    word = text.strip().lower()
    if word in ("true", "false"):
        return word == "true"
    if word.isdecimal():
        return int(word)
    try:
        return tuple(_parse_network(part.strip()) for part in text.split(","))
    except ValueError:
        raise ValueError(f'"{text}" is neither true, false, a number of proxies nor a list of networks') from None


def client_address(peer: str | None, forwarded: str | None, trust: ProxyTrust) -> str | None:
    """Return the client's address from the connection's `peer` and the X-Forwarded-For header.

    If `trust` is True, the leftmost address is the client's, as in Directus. If it is a number, that many proxies are
    trusted; if it is networks, the proxies within them. An address that cannot be parsed ends the chain of trust: the
    last trusted address before it is the client's.
    """
    peer_address = _parse_peer(peer)
    if trust is False or not forwarded:
        return str(peer_address) if peer_address else None
    chain = [_parse_address(part) for part in forwarded.split(",")]
    if trust is True:
        return str(chain[0] or peer_address)
    return _last_trusted_hop(peer_address, chain, trust)


@lru_cache(maxsize=1024)
def _parse_peer(text: str | None) -> Address | None:
    return _parse_address(text)  # cached because few proxies send most requests


def _last_trusted_hop(
    peer: Address | None, chain: Sequence[Address | None], trust: int | tuple[Network, ...]
) -> str | None:
    last = peer
    for hop, address in enumerate(reversed(chain)):
        is_trusted = hop < trust if isinstance(trust, int) else _is_in_networks(last, trust)
        if not is_trusted or address is None:
            break
        last = address
    return str(last) if last else None


def ip_matches(ip: str | None, rules: Iterable[str]) -> bool:
    """Return whether an address matches one of `rules`: addresses, networks and ranges (`10.0.0.1-10.0.0.9`).

    A rule that cannot be parsed matches nothing, and an unknown address matches no rule.
    """
    address = _parse_address(ip)
    return address is not None and any(_matches_rule(address, rule.strip()) for rule in rules)


def ip_rules_within(inner: Collection[str], outer: Collection[str]) -> bool:
    """Return whether every address that matches `inner` certainly matches `outer`; no rules match every address.

    Each rule of `inner` must be within a single one of `outer`.
    """
    if not outer:
        return True
    allowed = [interval for interval in map(_parse_rule, outer) if interval is not None]
    required = [interval for interval in map(_parse_rule, inner) if interval is not None]
    return bool(inner) and all(any(_is_within(interval, one) for one in allowed) for interval in required)


def is_ip_rule(text: str) -> bool:
    """Return whether a text is an address, a network or a range, as `ip_matches` accepts them."""
    return _parse_rule(text) is not None


def _matches_rule(address: Address, rule: str) -> bool:
    interval = _parse_rule(rule)
    return interval is not None and _is_within(Interval(address, address), interval)


def _is_within(inner: Interval, outer: Interval) -> bool:
    return (
        inner.low.version == outer.low.version
        and int(outer.low) <= int(inner.low)
        and int(inner.high) <= int(outer.high)
    )


def _parse_rule(rule: str) -> Interval | None:
    """Return the addresses that match a rule, None if it is none."""
    first, dash, last = rule.strip().partition("-")
    if dash:
        low, high = _parse_address(first), _parse_address(last)
        comparable = low is not None and high is not None and low.version == high.version
        return Interval(low, high) if comparable else None  # type: ignore[arg-type]  # neither is None
    try:
        network = _parse_network(first)
    except ValueError:
        return None
    return Interval(network.network_address, network.broadcast_address)


def _is_in_networks(address: Address | None, networks: Iterable[Network]) -> bool:
    return address is not None and any(address in network for network in networks)


def _parse_network(text: str) -> Network:
    """Parse a network or a single address; an IPv4-mapped IPv6 network becomes an IPv4 network.

    Raises:
        ValueError: The text is neither.
    """
    network = ip_network(text, strict=False)
    ipv4 = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    is_mapped = ipv4 is not None and network.prefixlen >= MAPPED_PREFIX_BITS
    return IPv4Network((ipv4, network.prefixlen - MAPPED_PREFIX_BITS)) if is_mapped else network


def _parse_address(text: str | None) -> Address | None:
    """Parse an address and drop its port; an IPv4-mapped IPv6 address becomes an IPv4 address. None if invalid."""
    text = (text or "").strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def rate_limit_network(ip: str | None) -> str | None:
    """Return what rate limits count as one client: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        address = ip_address(ip or "")
    except ValueError:
        return ip
    if isinstance(address, IPv6Address):
        return str(ip_network((address, CLIENT_PREFIX_BITS), strict=False))
    return str(address)
