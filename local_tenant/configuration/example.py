"""Writes the file that sets up a tenant as it is without one, with comments."""

import json
from collections.abc import Iterable

from ..invocation import program
from ..kept import Kept
from ..model.accounts import Account
from ..model.configuration import TenantConfiguration
from ..model.registrations import AppRegistration, UserFlow, WebApi

HEAD = """\
# Sets up the local tenant: {program} --config tenant.toml
# Leave out what you do not need: what is missing has a default. Each list of [[apps]], [[user_flows]],
# [[apis]] or [[users]] replaces the whole default list.
"""
TENANT = "# To stand in for a tenant of your own, write its name and ID here.\n"
APP_MEMBERS = """\
# An app can also have:
# logout_url = "http://localhost:5000/frontchannel_logout"
# id_tokens = true  # the implicit and hybrid flows may return ID tokens
# access_tokens = true  # and access tokens
# permissions = [...]  # scopes with the URI of their API; without it, all but those in admin_only
"""
USER_FLOW_MEMBERS = """\
# A user flow can also have:
# returns = ["name", "emails", "oid", "extension_LoyaltyId"]  # claims; without it, all that there are
# resets_password = true  # on the sign-in page, so that the app does not get AADB2C90118
# language = "fr"  # of the sign-in page, "en" or "fr"; without it, that of the browser
# single_sign_on = "application"  # or "user_flow", "disabled", "tenant" (the default)
# require_id_token_hint = true  # at sign-out
# userinfo = true  # the UserInfo endpoint, which custom policies can have
"""
OPTIONS = """\
# Lifetimes in seconds, and other behaviour: see Options in docs/control.md.
# [options]
# access_token_lifetime = 3600
# refresh_token_lifetime = 1209600
"""


def example(configuration: TenantConfiguration, kept: Kept) -> str:
    """A file with everything in the configuration, and with the secrets that the tenant keeps."""
    tenant = configuration
    is_b2c, is_entra_id = tenant.kind == "b2c", tenant.kind.startswith("entra-id")
    user_flows = [] if is_entra_id else tenant.user_flows
    parts = [
        HEAD.format(program=program()),
        '# "b2c", "entra-id", "entra-id-many-tenants" or "external-id"\n' + _member("kind", tenant.kind),
        TENANT + _table("[tenant]", _tenant_members(tenant, is_b2c=is_b2c)),
        *_after_first(
            [_table("[[apps]]", _app_members(app, kept)) for app in tenant.apps],
            APP_MEMBERS,
        ),
        *_after_first(
            [_table("[[user_flows]]", _user_flow_members(flow)) for flow in user_flows],
            USER_FLOW_MEMBERS if is_b2c else "",
        ),
        *(_table("[[apis]]", _api_members(api)) for api in tenant.apis),
        *(_table("[[users]]", _user_members(user, is_b2c=is_b2c)) for user in tenant.accounts),
        OPTIONS,
    ]
    return "\n".join(parts)


def _tenant_members(tenant: TenantConfiguration, *, is_b2c: bool) -> Iterable[str]:
    yield _member("name", tenant.name)
    if not is_b2c:
        yield _member("domain", tenant.domain)
    yield _member("id", tenant.tenant_id)


def _app_members(app: AppRegistration, kept: Kept) -> Iterable[str]:
    yield _member("name", app.name)
    yield _member("type", app.type)
    yield _member("client_id", app.client_id)
    if app.is_public:
        yield _member("redirect_uris", app.redirect_uris)
    else:
        yield _member("client_secret", app.client_secret or kept.client_secret(app.client_id))
        yield f"# {_member('redirect_uris', app.redirect_uris)}"  # it follows the port of the app


def _user_flow_members(flow: UserFlow) -> Iterable[str]:
    yield _member("name", flow.name)
    yield _member("kind", flow.kind)
    if flow.kind in ("sign_up_or_sign_in", "sign_up", "edit_profile"):
        yield _member("collects", flow.collects)


def _api_members(api: WebApi) -> Iterable[str]:
    yield _member("name", api.name)
    yield _member("client_id", api.client_id)
    yield _member("uri", api.uri)
    yield _member("scopes", sorted(api.scopes))
    if api.admin_only:
        yield _member("admin_only", sorted(api.admin_only))


def _user_members(user: Account, *, is_b2c: bool) -> Iterable[str]:
    names = ("email", "password", "sub", "display_name", "given_name", "surname", "city", "tenant")
    for name in names:
        if value := getattr(user, name):
            yield _member(name, value)
    yield '# claims = { extension_LoyaltyId = "A-17" }\n' if is_b2c else '# roles = ["admin"]\n'


def _after_first(tables: list[str], comment: str) -> list[str]:
    """The tables, with what is commented out behind the first one, which can have all of it."""
    first, others = tables[:1], tables[1:]
    return [*(table + comment for table in first), *others]


def _table(header: str, members: Iterable[str]) -> str:
    return "".join([f"{header}\n", *members])


def _member(name: str, value: object) -> str:
    return f"{name} = {_toml(value)}\n"


def _toml(value: object) -> str:
    if isinstance(value, (list, tuple)) and sum(map(len, value)) > 70:
        return "[\n" + "".join(f"    {_toml(item)},\n" for item in value) + "]"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)  # TOML writes texts in the same way
