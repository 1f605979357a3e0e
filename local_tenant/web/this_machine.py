"""Guards by address: which host names the tenant answers to, and what is for this machine only."""

from ipaddress import IPv6Address, ip_address

from flask import abort, request

from ..model.redirect_uris import split_address
from ..state import TenantState


def refuse_other_hosts(tenant: TenantState) -> None:
    """End a request for another host, as DNS rebinding makes browsers send.

    Flask's own list of trusted hosts cannot hold an IPv6 address.
    """
    address = split_address(request.host_url)
    if not address or address.hostname not in tenant.authority.origins.hosts:
        abort(400)


def is_from_this_machine() -> bool:
    """Whether a program on this machine sends the request, although --listen may let others in."""
    peer = ip_address(request.remote_addr or "")
    if isinstance(peer, IPv6Address) and peer.ipv4_mapped:
        peer = peer.ipv4_mapped
    return peer.is_loopback
