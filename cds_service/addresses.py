"""Addresses of servers: what they are, and which are never asked whoever names them."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

Address = IPv4Address | IPv6Address

_THIS_NETWORK: Final = IPv4Network("0.0.0.0/8")
_NAT64: Final = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)
_IPV4_COMPATIBLE: Final = IPv6Network("::/96")


def is_loopback(host: str) -> bool:
    """Whether a host, as a URL names it (without brackets), is this machine: `localhost` or a loopback address."""
    literal = literal_of(host)
    return host == "localhost" or (literal is not None and literal.is_loopback)


def is_never_asked(address: Address) -> bool:
    """Whether an address is refused whoever registers it.

    That are link-local (where clouds keep credentials), site-local, multicast, unspecified and reserved addresses, and
    the IPv6 forms of IPv4 addresses (mapped, compatible, 6to4, Teredo, NAT64, ISATAP) that are not public.
    """
    if isinstance(address, IPv4Address):
        special = address.is_multicast or address.is_reserved or address.is_link_local
        return special or address in _THIS_NETWORK
    if address.is_loopback:
        return False
    if address.is_multicast or address.is_link_local or address.is_site_local or address.is_unspecified:
        return True
    embedded, tunnelled = embedded_address(address), _isatap(address)
    if any(one is not None and (is_never_asked(one) or not one.is_global) for one in (embedded, tunnelled)):
        return True
    return embedded is None and address.is_reserved


def embedded_address(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for, when it is of a form that stands for one."""
    if isinstance(address, IPv4Address) or address.is_loopback:
        return None
    if address in _IPV4_COMPATIBLE or any(address in network for network in _NAT64):
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _isatap(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address to which a packet for an IPv6 address, in whatever network, is sent on (RFC 5214)."""
    prefix, within = (int(address) >> 32) & 0xFFFF_FFFF, int(address) & 0xFFFF_FFFF
    return IPv4Address(within) if prefix in _ISATAP else None


def addresses_of(host: str, port: int) -> list[str]:
    """The IP addresses of a host name, as this machine looks them up. Raises OSError when it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[0]) for *_, place in found))


def literal_of(host: str) -> Address | None:
    """The address that a host, as a URL names it (without brackets), spells; None for a name."""
    try:
        return ip_address(host)
    except ValueError:
        return None
