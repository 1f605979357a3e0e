"""Settings that are missing or that contradict each other, each as one message for the operator."""

import re
from typing import Any
from urllib.parse import urlsplit

from signin.authorities import (
    B2C_DOMAIN,
    ENTRA_ID,
    ENTRA_ID_HOSTS,
    ENTRA_ID_MANY_TENANTS,
    EXTERNAL_ID,
    EXTERNAL_ID_DOMAIN,
    GUID,
    PERSONAL_TENANT,
    kind_of,
    tenant_in,
)

AUTHORITIES = ("B2C_TENANT_NAME", "AUTHORITY", "OIDC_AUTHORITY")
CREDENTIALS = (
    "CLIENT_SECRET",
    "CLIENT_CERTIFICATE_PATH",
    "FEDERATED_TOKEN_FILE",
    "MANAGED_IDENTITY_CLIENT_ID",
)
B2C_ONLY = (
    "SIGNUPSIGNIN_USER_FLOW",
    "EDITPROFILE_USER_FLOW",
    "RESETPASSWORD_USER_FLOW",
    "AUTHORITY_TEMPLATE",
    "B2C_TENANT_ID",
)
# Settings that have an effect only with another one.
NEEDS = dict.fromkeys(B2C_ONLY, "B2C_TENANT_NAME") | {
    "AUTHORITY_KIND": "AUTHORITY",
    "PROFILE_SCOPE": "AUTHORITY",
    "GRAPH_URL": "PROFILE_SCOPE",
    "WRITE_SCOPE": "ENDPOINT",
    "CLIENT_CERTIFICATE_PASSWORD": "CLIENT_CERTIFICATE_PATH",
}


def contradictions(given: set[str], values: dict[str, Any]) -> list[str]:
    """One message for each fault.

    `given` are the names of the settings that are set, `values` those that are well-formed, by their names
    in lower case.
    """
    faults = _authority_faults(given, values) + _credential_faults(given) + _web_api_faults(given, values)
    for name, other in NEEDS.items():
        authority_missing = other in AUTHORITIES and not given & {*AUTHORITIES}  # said above
        if name in given and other not in given and not authority_missing:
            faults.append(f"{name} has an effect only with {other}")
    return faults


def _authority_faults(given: set[str], values: dict[str, Any]) -> list[str]:
    chosen = [name for name in AUTHORITIES if name in given]
    if not chosen:
        return [
            "The authority is missing. Set B2C_TENANT_NAME (Azure AD B2C), AUTHORITY (Entra ID, External ID) "
            "or OIDC_AUTHORITY (any OpenID Connect provider)"
        ]
    if len(chosen) > 1:
        return [f"{' and '.join(chosen)} each name an authority. Set one of them"]
    faults = []
    if chosen == ["B2C_TENANT_NAME"] and "SIGNUPSIGNIN_USER_FLOW" not in given:
        faults.append("SIGNUPSIGNIN_USER_FLOW is missing. It should be a user flow: B2C_1_signupsignin1")
    user_flows = [str(value).lower() for name, value in values.items() if name.endswith("_user_flow")]
    if len(set(user_flows)) < len(user_flows):
        faults.append("Two user-flow settings have the same value. Each needs a different flow")
    host = str(urlsplit(values.get("oidc_authority", "")).hostname)
    if host in ENTRA_ID_HOSTS or host.endswith((EXTERNAL_ID_DOMAIN, B2C_DOMAIN)):
        other = "B2C_TENANT_NAME" if host.endswith(B2C_DOMAIN) else "AUTHORITY"
        faults.append(f"OIDC_AUTHORITY is on a sign-in host of Microsoft. Set {other} instead")
    if "authority" in values:
        faults += _authority_url_faults(values["authority"], values.get("authority_kind"))
    return faults + _tenant_faults(given, values)


def _authority_url_faults(authority: str, authority_kind: str | None) -> list[str]:
    """What the providers of Entra ID and External ID would not accept as their authority."""
    host, tenant = str(urlsplit(authority).hostname), tenant_in(authority)
    on_external_id = host.endswith(EXTERNAL_ID_DOMAIN)
    kind = kind_of(authority, authority_kind)
    if host.endswith(B2C_DOMAIN):
        return [
            "AUTHORITY is on a host of Azure AD B2C. Set B2C_TENANT_NAME and SIGNUPSIGNIN_USER_FLOW instead "
            "and, if you have these user flows, EDITPROFILE_USER_FLOW and RESETPASSWORD_USER_FLOW"
        ]
    if kind == EXTERNAL_ID and host in ENTRA_ID_HOSTS:
        return ["AUTHORITY_KIND is external-id, and AUTHORITY is on a host of Entra ID"]
    if kind != EXTERNAL_ID and on_external_id:
        return ["AUTHORITY_KIND is entra-id, and AUTHORITY is on a host of External ID"]
    if kind == EXTERNAL_ID and not on_external_id:
        if re.fullmatch(GUID, tenant):
            return []
        return ["AUTHORITY on your own domain needs the tenant ID: https://login.contoso.com/TENANT_ID"]
    if not tenant and kind == ENTRA_ID:
        return ["AUTHORITY names no tenant. Add the tenant's ID or domain as its path"]
    if not re.fullmatch(r"[a-z0-9.-]*", tenant):
        return [f"AUTHORITY has more than a tenant after its host. It should be https://{host}/TENANT_ID"]
    return []


def _tenant_faults(given: set[str], values: dict[str, Any]) -> list[str]:
    authority, allowed = values.get("authority"), set(values.get("allowed_tenants", ()))
    if "AUTHORITY" in given and not authority:  # malformed
        return []
    kind = kind_of(authority, values.get("authority_kind")) if authority else ""
    if kind != ENTRA_ID_MANY_TENANTS:
        if "ALLOWED_TENANTS" not in given:
            return []
        return [
            "ALLOWED_TENANTS has an effect only with "
            "AUTHORITY=https://login.microsoftonline.com/organizations, /common or /consumers"
        ]
    if "ALLOWED_TENANTS" not in given:
        return [
            "ALLOWED_TENANTS is missing: AUTHORITY lets users of any tenant try to sign in. "
            "List the tenant IDs to accept, or set * to accept all organizations"
        ]
    tenant = tenant_in(str(authority))
    if allowed and tenant == "consumers" and allowed != {PERSONAL_TENANT}:
        return [f"AUTHORITY is for personal accounts, so ALLOWED_TENANTS should be {PERSONAL_TENANT}"]
    if tenant == "organizations" and allowed == {PERSONAL_TENANT}:
        return [
            "AUTHORITY is for organizations, and ALLOWED_TENANTS lists only the tenant of personal accounts. "
            "Set AUTHORITY to https://login.microsoftonline.com/consumers"
        ]
    return []


def _credential_faults(given: set[str]) -> list[str]:
    chosen = [name for name in CREDENTIALS if name in given]
    if not chosen:
        return [
            "CLIENT_SECRET is missing. It should be the Value (not the Secret ID) of a client secret; or set "
            "CLIENT_CERTIFICATE_PATH, FEDERATED_TOKEN_FILE or MANAGED_IDENTITY_CLIENT_ID instead"
        ]
    if len(chosen) > 1:
        both = "both" if len(chosen) == 2 else "all"
        return [f"{' and '.join(chosen)} are {both} set. Set exactly one credential"]
    if "B2C_TENANT_NAME" in given and chosen != ["CLIENT_SECRET"]:
        return [f"{chosen[0]} is not for Azure AD B2C. Set CLIENT_SECRET instead"]
    return []


def _web_api_faults(given: set[str], values: dict[str, Any]) -> list[str]:
    faults = []
    if ("ENDPOINT" in given) != ("SCOPE" in given):
        faults.append("ENDPOINT and SCOPE belong together. Set both, or neither")
    names = ["SCOPE", "WRITE_SCOPE"] + ["PROFILE_SCOPE"] * ("AUTHORITY" in given)
    for name in names:
        faults += _scope_faults(name, values.get(name.lower(), ()), given)
    return faults


def _scope_faults(name: str, scopes: tuple[str, ...], given: set[str]) -> list[str]:
    full_uri = re.compile(rf"[a-z][a-z0-9+.-]*://[^/]+/.*[^/]|{GUID}")
    if "B2C_TENANT_NAME" in given and not all(full_uri.fullmatch(scope) for scope in scopes):
        return [
            f"{name} is malformed. It should be full scope URIs: "
            "https://contoso.onmicrosoft.com/tasks-api/tasks.read"
        ]
    if "OIDC_AUTHORITY" not in given and len({scope.rpartition("/")[0] for scope in scopes}) > 1:
        # Microsoft issues an access token for one API, named by the part before the last slash.
        return [f"{name} names scopes of more than one API. An access token is for one API"]
    return []
