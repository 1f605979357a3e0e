"""The guard of what only programs on this machine may see, although --listen may let others in."""

from ipaddress import IPv6Address, ip_address

from flask import request


def is_from_this_machine() -> bool:
    peer = ip_address(request.remote_addr or "")
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    return peer.is_loopback
