"""Writes the file that sets up a tenant as it is without one, with comments."""

import json
from collections.abc import Iterable

from ..kept import Kept
from ..model.accounts import Account
from ..model.configuration import TenantConfiguration
from ..model.registrations import AppRegistration, UserFlow, WebApi

HEAD = """\
# Sets up the local tenant: python -m local_tenant --config tenant.toml
# It holds made-up accounts and secrets. Leave out what you do not need: what is missing has a default.
# Each list of [[apps]], [[user_flows]], [[apis]] and [[users]] replaces the whole list of that name.
"""
TENANT = """\
# The names by which clients know the tenant. Write those of your own tenant to stand in for it."""
OPTIONS = """\
# Lifetimes in seconds, and other behaviour: see Options in model/steering.py.
# [options]
# access_token_lifetime = 3600
# refresh_token_lifetime = 1209600
"""


def example(configuration: TenantConfiguration, kept: Kept) -> str:
    """A file with everything in the configuration, and with the secrets that the tenant keeps."""
    tenant = configuration
    is_b2c, is_entra_id = tenant.kind == "b2c", tenant.kind.startswith("entra-id")
    parts = [
        HEAD,
        '# "b2c", "entra-id", "entra-id-many-tenants" or "external-id"\n' + _member("kind", tenant.kind),
        _table("[tenant]", _tenant_members(tenant, is_b2c=is_b2c), TENANT),
        *(_table("[[apps]]", _app_members(app, kept)) for app in tenant.apps),
        *(
            _table("[[user_flows]]", _user_flow_members(flow, is_b2c=is_b2c))
            for flow in ([] if is_entra_id else tenant.user_flows)
        ),
        *(_table("[[apis]]", _api_members(api)) for api in tenant.apis),
        *(_table("[[users]]", _user_members(user, is_b2c=is_b2c)) for user in tenant.accounts),
        OPTIONS,
    ]
    return "\n".join(parts)


def _tenant_members(tenant: TenantConfiguration, *, is_b2c: bool) -> Iterable[str]:
    yield _member("name", tenant.name)
    yield _comment("domain", tenant.domain) if is_b2c else _member("domain", tenant.domain)
    yield _member("id", tenant.tenant_id)


def _app_members(app: AppRegistration, kept: Kept) -> Iterable[str]:
    yield _member("name", app.name)
    yield _member("type", app.type)
    yield _member("client_id", app.client_id)
    if not app.is_public:
        yield _member("client_secret", app.client_secret or kept.client_secret(app.client_id))
    yield _member("redirect_uris", app.redirect_uris)
    yield _comment("logout_url", app.logout_url or "http://localhost:5000/frontchannel_logout")
    yield _comment("id_tokens", app.id_tokens, "true: the implicit and hybrid flows may return ID tokens")
    yield _comment("access_tokens", app.access_tokens, "and access tokens")
    yield _comment("permissions", [], "scopes granted to this app; without it, all but those in admin_only")


def _user_flow_members(flow: UserFlow, *, is_b2c: bool) -> Iterable[str]:
    yield _member("name", flow.name)
    yield _member("kind", flow.kind)
    if flow.kind == "ropc":
        return
    if flow.kind in ("sign_up_or_sign_in", "sign_up", "edit_profile"):
        yield _member("collects", flow.collects)
    if is_b2c:
        yield _comment(
            "returns", ["name", "emails", "oid", "extension_LoyaltyId"], "without it, all that there is"
        )
    if is_b2c and flow.kind == "sign_up_or_sign_in":
        yield _comment("resets_password", flow.resets_password, "true: without the error AADB2C90118")
    if flow.kind == "sign_up_or_sign_in":
        yield _comment("language", "fr", 'of the sign-in page: "en" or "fr"; without it, the browser\'s')
    if is_b2c:
        yield _comment("single_sign_on", flow.single_sign_on, '"application", "user_flow" or "disabled"')
        yield _comment("require_id_token_hint", flow.require_id_token_hint, "at sign-out")


def _api_members(api: WebApi) -> Iterable[str]:
    yield _member("name", api.name)
    yield _member("client_id", api.client_id)
    yield _member("uri", api.uri)
    yield _member("scopes", sorted(api.scopes))
    yield _member("admin_only", sorted(api.admin_only))


def _user_members(user: Account, *, is_b2c: bool) -> Iterable[str]:
    names = ("email", "password", "sub", "display_name", "given_name", "surname", "city", "tenant")
    for name in names:
        if value := getattr(user, name):
            yield _member(name, value)
    if is_b2c:
        yield _comment(
            "claims", '{ extension_LoyaltyId = "A-17" }', "more claims of its tokens", is_toml=True
        )
    else:
        yield _comment("roles", ["admin"])


def _table(header: str, members: Iterable[str], comment: str = "") -> str:
    return "".join([f"{comment}\n" if comment else "", f"{header}\n", *members])


def _member(name: str, value: object) -> str:
    return f"{name} = {_toml(value)}\n"


def _comment(name: str, value: object, why: str = "", *, is_toml: bool = False) -> str:
    """A member that is left out, with a value that it could have."""
    text = value if is_toml else _toml(value)
    return f"# {name} = {text}{f'  # {why}' if why else ''}\n"


def _toml(value: object) -> str:
    if isinstance(value, (list, tuple)) and sum(map(len, value)) > 70:
        return "[\n" + "".join(f"    {_toml(item)},\n" for item in value) + "]"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)  # TOML writes texts, numbers and booleans in the same way
