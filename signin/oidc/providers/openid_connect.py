"""Any provider that publishes its metadata (OpenID Connect Discovery)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..errors import SetupFault
from .base import Provider


class OpenIDConnect(Provider):
    """The provider with this `issuer`, written exactly as it writes it itself. Raises ValueError."""

    has_userinfo = True
    has_front_channel_logout = True
    refreshes_granted_scopes_only = True  # Microsoft's kinds do not list offline_access as granted

    def __init__(self, issuer: str, insecure_origin: str | None = None):
        super().__init__(issuer, insecure_origin)
        self.issuer = issuer
        self.name = self.host

    def metadata_url(self, user_flow: str) -> str:
        return f"{self.authority_url}/.well-known/openid-configuration"

    def msal_arguments(self, user_flow: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        arguments = super().msal_arguments(user_flow, metadata)
        if not urlsplit(self.authority_url).path:  # MSAL wants a path, although it sends no request there
            arguments["authority"] += "/."
        supported = _scopes_supported(metadata)
        if supported:  # some providers refuse scopes that they do not know
            arguments["exclude_scopes"] = sorted({"profile", "offline_access"} - supported)
        return arguments

    def extra_scopes(self, metadata: Mapping[str, Any]) -> tuple[str, ...]:
        return ("email",) if "email" in _scopes_supported(metadata) else ()

    def endpoint_hosts(self, issuer: str) -> None:
        return None

    @property
    def browser_origins(self) -> tuple[str, ...]:
        # Endpoints may be on any host, and signing out may lead on to others.
        return ("https:", self.insecure_origin) if self.insecure_origin else ("https:",)

    def check_metadata_issuer(self, issuer: str) -> None:
        if issuer != self.issuer:
            raise SetupFault(f"the issuer is {issuer!r}, and not {self.issuer!r}")

    def user_id(self, claims: Mapping[str, Any]) -> str:
        return f"{claims['iss']} {claims['sub']}"


def _scopes_supported(metadata: Mapping[str, Any]) -> set[str]:
    supported = metadata.get("scopes_supported")
    return {scope for scope in supported if isinstance(scope, str)} if isinstance(supported, list) else set()
