"""From where a duty is in force: some are tied to the networks of the school or the board.

A person who signs in elsewhere is still that person, only without those duties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import msgspec

from warning_service.access.principals import Duty, Principal
from warning_service.access.roles import Role

Networks = Mapping[Role, Sequence[IPv4Network | IPv6Network]]


def seen_from(who: Principal, address: str, networks: Networks) -> Principal:
    """`who` with those duties only that are in force from that address.

    A role that is not in `networks` is in force everywhere; an address that is none counts as
    elsewhere.
    """
    if not networks:
        return who
    found = _parsed(address)

    def in_force(duty: Duty) -> bool:
        allowed = networks.get(duty.role)
        return allowed is None or (found is not None and any(found in n for n in allowed))

    return msgspec.structs.replace(
        who,
        duties=tuple(filter(in_force, who.duties)),
        waiting=tuple(filter(in_force, who.waiting)),
    )


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(address)
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
