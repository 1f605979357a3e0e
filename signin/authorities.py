"""The kinds of authority, and how their addresses tell them apart. Imports nothing of the app."""

import re
from urllib.parse import urlsplit

B2C, ENTRA_ID, ENTRA_ID_MANY_TENANTS = "b2c", "entra-id", "entra-id-many-tenants"
EXTERNAL_ID, OPENID_CONNECT = "external-id", "openid-connect"
# Microsoft Learn, "National clouds", and the older names that still answer.
ENTRA_ID_HOSTS = {
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.partner.microsoftonline.cn",
    "login.chinacloudapi.cn",
    "login.microsoft.com",
    "login.windows.net",
    "sts.windows.net",
}
EXTERNAL_ID_DOMAIN, B2C_DOMAIN = ".ciamlogin.com", ".b2clogin.com"
MANY_TENANTS = frozenset({"organizations", "common", "consumers"})
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"  # of all personal Microsoft accounts
GUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"


def kind_of(authority: str, authority_kind: str | None) -> str:
    """The kind of AUTHORITY: what AUTHORITY_KIND says, or what the host name tells."""
    kind = authority_kind or (ENTRA_ID if urlsplit(authority).hostname in ENTRA_ID_HOSTS else EXTERNAL_ID)
    if kind == ENTRA_ID and tenant_in(authority) in MANY_TENANTS:
        return ENTRA_ID_MANY_TENANTS
    return kind


def tenant_in(authority: str) -> str:
    """What AUTHORITY has after its host, in lower case. It may end with the /v2.0 of its endpoints."""
    return urlsplit(re.sub(r"(/v2\.0)?/*$", "", authority)).path.strip("/").lower()
