"""Where a request comes from, and whether a policy is in force there."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
MAPPED_PREFIX_BITS = 96
CLIENT_PREFIX_BITS = 64
ProxyTrust = bool | int | tuple[Network, ...]
"""Whose word on the client's address is taken: nobody's, everybody's, that of so many proxies, or that of networks."""


def parse_proxy_trust(text: str) -> ProxyTrust:
    """`false`, `true`, a number of proxies, or networks divided by commas; ValueError says what is wrong."""
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
    """The client's address out of the connection's `peer` and the X-Forwarded-For header.

    With True the leftmost address is taken, as Directus does; with a number that many proxies are believed, with
    networks those within them. What can't be read ends the belief: the last address that could be trusted counts.
    """
    own = _parse_peer(peer)
    if trust is False or not forwarded:
        return str(own) if own else None
    chain = [_parse_address(part) for part in forwarded.split(",")]
    if trust is True:
        return str(chain[0] or own)
    return _last_trusted_hop(own, chain, trust)


@lru_cache(maxsize=1024)
def _parse_peer(text: str | None) -> Address | None:
    return _parse_address(text)  # the same few ask again and again


def _last_trusted_hop(
    own: Address | None, chain: Sequence[Address | None], trust: int | tuple[Network, ...]
) -> str | None:
    last = own
    for hop, told in enumerate(reversed(chain)):
        believed = hop < trust if isinstance(trust, int) else _is_in_networks(last, trust)
        if not believed or told is None:
            break
        last = told
    return str(last) if last else None


def ip_matches(ip: str | None, entries: Iterable[str]) -> bool:
    """Whether an address stands in a list of addresses, networks and ranges (`10.0.0.1-10.0.0.9`).

    An entry that can't be read matches nothing, and so does an address that isn't known.
    """
    address = _parse_address(ip)
    return address is not None and any(_matches_rule(address, entry.strip()) for entry in entries)


def is_ip_rule(text: str) -> bool:
    """Whether a text is an address, a network or a range, as such a list holds them."""
    first, dash, last = text.strip().partition("-")
    if dash:
        low, high = _parse_address(first), _parse_address(last)
        return low is not None and high is not None and low.version == high.version
    try:
        _parse_network(first)
    except ValueError:
        return False
    return True


def _matches_rule(address: Address, entry: str) -> bool:
    first, dash, last = entry.partition("-")
    if dash:
        low, high = _parse_address(first), _parse_address(last)
        same = low is not None and high is not None and low.version == high.version == address.version
        return same and int(low) <= int(address) <= int(high)  # type: ignore[arg-type]  # same says they are there
    try:
        return address in _parse_network(entry)
    except ValueError:
        return False


def _is_in_networks(address: Address | None, networks: Iterable[Network]) -> bool:
    return address is not None and any(address in network for network in networks)


def _parse_network(text: str) -> Network:
    """A network, also of one address; IPv4 networks dressed as IPv6 are IPv4 networks. ValueError for anything else."""
    network = ip_network(text, strict=False)
    inner = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    dressed = inner is not None and network.prefixlen >= MAPPED_PREFIX_BITS
    return IPv4Network((inner, network.prefixlen - MAPPED_PREFIX_BITS)) if dressed else network


def _parse_address(text: str | None) -> Address | None:
    """An address without its port; an IPv4 address dressed as IPv6 is an IPv4 address."""
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
    """What counts as one address: itself, or of IPv6 the network of 64 bits that one client has to itself."""
    try:
        address = ip_address(ip or "")
    except ValueError:
        return ip
    if isinstance(address, IPv6Address):
        return str(ip_network((address, CLIENT_PREFIX_BITS), strict=False))
    return str(address)
