"""`flask register` and `flask unregister`, for the terminal."""

import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click

import app_config
from signin.authorities import B2C, EXTERNAL_ID, MANY_TENANTS, kind_of, tenant_in
from signin.configuration.contradictions import B2C_ONLY
from signin.oidc import Certificate, CredentialUnusable

from . import env_file
from .directory import Found, federated_credentials, look, named_by
from .errors import RegistrationError
from .graph import GRAPH_URL, Graph
from .plan import Plan, plan_registration, plan_removal
from .registrar import carry_out
from .sign_in import LOGIN_URL, Say, sign_in
from .wanted import DEFAULT_API_SCOPES, DEFAULT_NAME, SECRET_NAME, Wanted

ENV_FILE = app_config.HERE / ".env"
DEFAULT_REDIRECT_URI = "http://localhost:5000/getAToken"
OTHER_CREDENTIALS = ("FEDERATED_TOKEN_FILE", "MANAGED_IDENTITY_CLIENT_ID")
# Microsoft Learn, "National clouds" and "Microsoft Graph national cloud deployments": the hosts of the
# authority, each with the cloud's sign-in service and Microsoft Graph.
US_GOVERNMENT = ("https://login.microsoftonline.us", "https://graph.microsoft.us")
CHINA = ("https://login.partner.microsoftonline.cn", "https://microsoftgraph.chinacloudapi.cn")
NATIONAL_CLOUDS = {
    "login.microsoftonline.us": US_GOVERNMENT,
    "login.partner.microsoftonline.cn": CHINA,
    "login.chinacloudapi.cn": CHINA,
}
ONMICROSOFT = ".onmicrosoft.com"
B2C_LOGIN = ".b2clogin.com"
LONGEST_PLACE = 60  # characters; Microsoft Graph shortens the name of a secret after 90

Command = Callable[..., None]


def _https(_context: click.Context, _option: click.Parameter, url: str | None) -> str | None:
    """Access tokens go there, so it has to be https."""
    if url is not None and _parts("It", url).scheme != "https":
        raise click.BadParameter("It has to be an https URL.")
    return url


def _parts(name: str, url: str) -> SplitResult:
    """The parts of a URL. Raises click.UsageError."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # which is read only now
    except ValueError as error:
        raise click.UsageError(f"{name} is not a URL: {url}") from error
    return parts


COMMON_OPTIONS = (
    click.option(
        "--b2c-tenant-name", metavar="NAME", help="Azure AD B2C: contoso, of contoso.onmicrosoft.com."
    ),
    click.option("--authority", metavar="URL", help="Entra ID or External ID: https://contoso.ciamlogin.com"),
    click.option(
        "--tenant", metavar="ID", help="Where to register the app. Default: the authority's tenant."
    ),
    click.option("--name", help=f"Name of the registration. Default: {DEFAULT_NAME!r}, or the one in use."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    click.option("--dry-run", is_flag=True, help="Print the requests as JSON, and change nothing."),
    click.option("--device-code", is_flag=True, help="Sign in on another device, with a code."),
    # The local tenant's stand-in for both takes their place in development.
    click.option(
        "--login-url",
        callback=_https,
        help=f"Sign-in service. Default: {LOGIN_URL}, or that of the authority's national cloud.",
    ),
    click.option(
        "--graph-url",
        callback=_https,
        help=f"Microsoft Graph of that cloud. Default: {GRAPH_URL}, or that of the national cloud.",
    ),
)
# What .env calls them. An option that is not given comes from there.
SETTING_OPTIONS = (
    click.option("--signupsignin-user-flow", metavar="NAME", help="B2C user flow for sign-up and sign-in."),
    click.option("--editprofile-user-flow", metavar="NAME", help="B2C user flow for profile editing."),
    click.option("--resetpassword-user-flow", metavar="NAME", help="B2C user flow for password reset."),
    click.option("--allowed-tenants", metavar="IDS", help="With /organizations: tenants that may sign in."),
    click.option("--redirect-uri", metavar="URI", help=f"Default: {DEFAULT_REDIRECT_URI}"),
    click.option("--endpoint", metavar="URL", help="With --api: the address of the web API."),
    click.option(
        "--client-certificate-path", metavar="FILE", help="Use this certificate, and no client secret."
    ),
    click.option("--client-certificate-password", envvar="CLIENT_CERTIFICATE_PASSWORD", hidden=True),
)


def _with(*groups: tuple[Callable[[Command], Command], ...]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in reversed([option for group in groups for option in group]):
            command = option(command)
        return command

    return decorate


def _one_line_errors(command: Command) -> Command:
    """Show what went wrong as one line, and end with status 1."""

    @wraps(command)
    def run(**options: Any) -> None:
        try:
            command(**options)
        except (RegistrationError, CredentialUnusable) as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            raise click.ClickException(f"{error.filename or ENV_FILE}: {error.strerror or error}") from error

    return run


@click.command()
@_with(COMMON_OPTIONS, SETTING_OPTIONS)
@click.option(
    "--logout-url",
    metavar="URL",
    help="Front-channel logout URL. Default with https, except for B2C: the app's /frontchannel_logout.",
)
@click.option("--api", is_flag=True, help="Register a web API too, and let the app call it.")
@click.option(
    "--api-scope",
    "api_scopes",
    multiple=True,
    metavar="SCOPE",
    help=f"A scope of the web API. Can be repeated. Default: {' and '.join(DEFAULT_API_SCOPES)}.",
)
@click.option("--user-flow", metavar="NAME", help="External ID: the user flow to link, if there are several.")
@click.option("--restore", is_flag=True, help="Restore a deleted registration of this name.")
@_one_line_errors
def register(**options: Any) -> None:
    """Register the app in your tenant, and write .env.

    Shows what it will do, and asks. Run it again to bring the registration up to date: what is there stays,
    and what somebody added in the portal does too. Ends with flask check, and with its exit status.
    """
    say = partial(click.echo, err=options["dry_run"])
    there = env_file.read(ENV_FILE)
    before = env_file.read_raw(ENV_FILE)
    settings = _settings(options, there)
    options |= cloud_services(options, {**there, **settings})
    wanted = _wanted(options, settings, there)
    _require_good_settings(wanted, {**there, **settings, **_without(before)})
    if not options["dry_run"]:
        env_file.require_writable(ENV_FILE)
    graph = _graph(options, wanted, say)
    if not options["name"] and "CLIENT_ID" in there:
        wanted = named_by(graph, there["CLIENT_ID"], wanted)
    found = look(graph, wanted)
    app_in_use = (found.web or found.deleted_web or {}).get("appId")
    if app_in_use != there.get("CLIENT_ID"):
        wanted = replace(wanted, secret=None)  # it is another app's
    plan = plan_registration(wanted, found)
    settings |= _registered_settings(wanted, plan.facts, {**there, **settings})
    changed = [name for name, value in settings.items() if there.get(name, "") != value]
    new_client = "web" not in plan.facts
    if plan.steps or changed:
        say("To do:")
    _show(plan, say)
    for remark in _remarks_on_settings(wanted, plan.facts, {**there, **settings}):
        say(f"  Note: {remark}")
    if changed or new_client:
        say(f"  - Write {', '.join([*changed, *(['CLIENT_ID'] if new_client else [])])} to {ENV_FILE}")
    if options["dry_run"]:
        click.echo(_requests(plan, options["graph_url"]))
        return
    if not plan.steps and not changed:
        say("The registration is up to date.")
    else:
        _ask(options)
        _carry_out(graph, wanted, plan, settings, there, say)
    raise SystemExit(_check(before, say))


@click.command()
@_with(COMMON_OPTIONS)
@_one_line_errors
def unregister(**options: Any) -> None:
    """Remove what flask register has made, and nothing else.

    Shows what it will do, and asks.
    """
    say = partial(click.echo, err=options["dry_run"])
    there = env_file.read(ENV_FILE)
    settings = _settings(options, there)
    options |= cloud_services(options, {**there, **settings})
    wanted = _wanted(options, settings, there)
    if there and not options["dry_run"]:
        env_file.require_writable(ENV_FILE)
    graph = _graph(options, wanted, say)
    if not options["name"] and "CLIENT_ID" in there:
        wanted = named_by(graph, there["CLIENT_ID"], wanted)
    found = look(graph, wanted)
    found.federated_credentials = federated_credentials(graph, found)
    plan = plan_removal(wanted, found)
    if not plan.steps:
        say(f"There is no app registration {wanted.name} that flask register has made.")
    else:
        say("To do:")
    _show(plan, say)
    if options["dry_run"]:
        click.echo(_requests(plan, options["graph_url"]))
        return
    if plan.steps:
        _ask(options)
        carry_out(graph, plan, say=say)
    _forget_client(found, there, say)


def _graph(options: Mapping[str, Any], wanted: Wanted, say: Say) -> Graph:
    """Microsoft Graph, for the operator who signs in now."""
    graph_url = options["graph_url"]
    operator = sign_in(
        wanted.tenant,
        wanted.graph_permissions,
        graph_url=graph_url,
        login_url=options["login_url"],
        device_code=options["device_code"],
        say=say,
    )
    say(f"Signed in as {operator.username}, tenant {operator.tenant_id}.")
    return Graph(operator.access_token, graph_url, say=say)


def _settings(options: Mapping[str, Any], there: Mapping[str, str]) -> dict[str, str]:
    """The settings that the options name, and an empty one for each of `.env` that contradicts them."""
    names = (
        "b2c_tenant_name",
        "authority",
        "signupsignin_user_flow",
        "editprofile_user_flow",
        "resetpassword_user_flow",
        "allowed_tenants",
        "redirect_uri",
        "endpoint",
        "client_certificate_path",
        *(["client_certificate_password"] if options.get("client_certificate_path") else []),
    )
    settings = {name.upper(): str(options[name]) for name in names if options.get(name)}
    if settings.get("B2C_TENANT_NAME", "").lower().endswith(ONMICROSOFT):
        settings["B2C_TENANT_NAME"] = settings["B2C_TENANT_NAME"][: -len(ONMICROSOFT)]
    other: tuple[str, ...] = ()
    if "B2C_TENANT_NAME" in settings:
        other = (
            "AUTHORITY",
            "AUTHORITY_KIND",
            "ALLOWED_TENANTS",
            "OIDC_AUTHORITY",
            "PROFILE_SCOPE",
            "GRAPH_URL",
        )
        other += ("CLIENT_CERTIFICATE_PATH", "CLIENT_CERTIFICATE_PASSWORD", *OTHER_CREDENTIALS)
    elif "AUTHORITY" in settings:
        other = ("B2C_TENANT_NAME", "OIDC_AUTHORITY", *B2C_ONLY)
    if "CLIENT_CERTIFICATE_PATH" in settings:
        settings["CLIENT_CERTIFICATE_PATH"] = str(Path(settings["CLIENT_CERTIFICATE_PATH"]).resolve())
        other = (*other, "CLIENT_SECRET", *OTHER_CREDENTIALS)
    settings |= {name: "" for name in other if name in there and name not in settings}
    if "REDIRECT_URI" not in there:
        settings.setdefault("REDIRECT_URI", DEFAULT_REDIRECT_URI)
    if "SECRET_KEY" not in there:
        settings["SECRET_KEY"] = secrets.token_urlsafe(48)
    return settings


def _wanted(options: Mapping[str, Any], settings: Mapping[str, str], there: Mapping[str, str]) -> Wanted:
    """What the operator wants, from the options and from what `.env` says already."""
    known = {**there, **settings}
    kind, tenant = _authority(known, options["tenant"])
    redirect_uri = known["REDIRECT_URI"]
    origin = _parts("REDIRECT_URI", redirect_uri)
    if options.get("user_flow") and kind != EXTERNAL_ID:
        raise click.UsageError("--user-flow is for External ID.")
    api_scopes = tuple(options.get("api_scopes") or DEFAULT_API_SCOPES) if options.get("api") else ()
    is_registering = "client_certificate_path" in options
    certificate = known.get("CLIENT_CERTIFICATE_PATH") if is_registering else None
    if kind == B2C and certificate:
        raise click.UsageError("Azure AD B2C has a client secret. Leave out --client-certificate-path.")
    password = options.get("client_certificate_password") or known.get("CLIENT_CERTIFICATE_PASSWORD")
    return Wanted(
        kind=kind,
        tenant=tenant,
        name=options["name"] or DEFAULT_NAME,
        client_id=there.get("CLIENT_ID"),
        redirect_uri=redirect_uri,
        sign_out_uri=f"{origin.scheme}://{origin.netloc}/",
        logout_url=options.get("logout_url") or _logout_url(kind, origin),
        replace_logout_url=bool(options.get("logout_url")),
        personal_accounts=tenant_in(known.get("AUTHORITY", "")) in ("common", "consumers"),
        api_scopes=api_scopes,
        certificate=Certificate(certificate, password) if certificate else None,
        secret_name=_secret_name(),
        secret=there.get("CLIENT_SECRET"),
        needs_secret=not any(known.get(name) for name in OTHER_CREDENTIALS),
        user_flow=(known.get("SIGNUPSIGNIN_USER_FLOW") if kind == B2C else options.get("user_flow")) or None,
        restore=bool(options.get("restore")),
    )


def _secret_name() -> str:
    """The name of this clone's client secret, which no other clone's has. So a later run may remove it."""
    clone = hashlib.sha256(f"{uuid.getnode()} {app_config.HERE}".encode()).hexdigest()[:8]
    place = f"{socket.gethostname()}, folder {app_config.HERE.name}"
    return f"{SECRET_NAME} on {place[:LONGEST_PLACE]} ({clone})"


def cloud_services(options: Mapping[str, Any], known: Mapping[str, str]) -> dict[str, str]:
    """The sign-in service and Microsoft Graph: those of the options, or of the authority's cloud."""
    host = _parts("AUTHORITY", known.get("AUTHORITY", "")).hostname or ""
    login_url, graph_url = NATIONAL_CLOUDS.get(host, (LOGIN_URL, GRAPH_URL))
    return {
        "login_url": options["login_url"] or login_url,
        "graph_url": options["graph_url"] or graph_url,
    }


def _require_good_settings(wanted: Wanted, settings: Mapping[str, str]) -> None:
    """Check the settings that the app will have. Raises click.ClickException, before the cloud is changed."""
    scope = wanted.api_identifier_uri("client-id") + "/scope"
    placeholders = {"CLIENT_ID": "client-id"}
    if wanted.needs_secret and not wanted.certificate:
        placeholders["CLIENT_SECRET"] = "placeholder"  # noqa: S105
    if wanted.kind == B2C and not wanted.user_flow:  # a remark says how to create one
        placeholders["SIGNUPSIGNIN_USER_FLOW"] = "B2C_1_placeholder"
    if wanted.api_scopes and settings.get("ENDPOINT"):
        placeholders |= {name: scope for name in ("SCOPE", "WRITE_SCOPE") if not settings.get(name)}
    try:
        app_config.read({**settings, **placeholders})
    except app_config.ConfigError as error:
        raise click.ClickException(str(error)) from error


def _remarks_on_settings(
    wanted: Wanted, facts: Mapping[str, Any], known: Mapping[str, str]
) -> tuple[str, ...]:
    """What the operator may not expect of the settings in .env."""
    remarks = []
    client_id = known.get("CLIENT_ID")
    if client_id and client_id != facts.get("web", {}).get("appId"):
        remarks.append(
            f"CLIENT_ID in {ENV_FILE.name} is {client_id}, another app registration. From now on, it will be "
            f"that of {wanted.name}. The other registration stays."
        )
    if wanted.api_scopes and not known.get("ENDPOINT"):
        remarks.append("ENDPOINT is missing, so SCOPE is not set. Add --endpoint with the web API's URL.")
    elif wanted.api_scopes:
        own = _own_scope_prefixes(wanted, facts)
        remarks += [
            f"{name} in {ENV_FILE.name} stays as it is: {known[name]}. To let the app call "
            f"{wanted.api_name}, empty it and run the command again."
            for name in ("SCOPE", "WRITE_SCOPE")
            if not _may_set_scope(known.get(name, ""), own)
        ]
    return tuple(remarks)


def _own_scope_prefixes(wanted: Wanted, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """How the full names of the web API's scopes begin."""
    api = facts.get("api", {})
    uris = api.get("identifierUris") or [wanted.api_identifier_uri(api.get("appId", "client-id"))]
    return tuple(f"{uri}/" for uri in uris)


def _may_set_scope(scopes: str, own: tuple[str, ...]) -> bool:
    """Whether a setting is empty, or names scopes of the web API that this command registers."""
    return all(scope.startswith(own) for scope in scopes.split())


def _logout_url(kind: str, origin: SplitResult) -> str | None:
    """The app's own page for front-channel sign-out, which Microsoft calls by https only."""
    if kind == B2C or origin.scheme != "https":
        return None
    return f"https://{origin.netloc}/frontchannel_logout"


def _authority(known: Mapping[str, str], tenant: str | None) -> tuple[str, str]:
    """The kind of authority, and the tenant to register in. Raises click.UsageError."""
    if known.get("B2C_TENANT_NAME"):
        return B2C, f"{known['B2C_TENANT_NAME']}{ONMICROSOFT}"
    authority = known.get("AUTHORITY", "")
    url = _parts("AUTHORITY", authority)
    host = url.hostname or ""
    if host.endswith(B2C_LOGIN):
        name = host.removesuffix(B2C_LOGIN)
        raise click.UsageError(
            f"{host} is Azure AD B2C. Use --b2c-tenant-name {name} instead of --authority."
        )
    if url.scheme != "https" or not url.hostname:
        raise click.UsageError(
            "Say which tenant: --b2c-tenant-name contoso (Azure AD B2C), "
            "--authority https://contoso.ciamlogin.com (External ID), or "
            "--authority https://login.microsoftonline.com/TENANT_ID (Entra ID)."
        )
    kind = kind_of(authority, known.get("AUTHORITY_KIND"))
    segment = tenant_in(authority).split("/")[0]
    if kind == EXTERNAL_ID and not segment:
        segment = f"{host.split('.')[0]}{ONMICROSOFT}"
    tenant = tenant or ("" if segment in MANY_TENANTS else segment)
    if not tenant:
        raise click.UsageError("Say with --tenant in which tenant to register the app: its ID or domain.")
    return kind, tenant


def _registered_settings(
    wanted: Wanted, facts: Mapping[str, Any], known: Mapping[str, str]
) -> dict[str, str]:
    """The settings that follow from the registration, as far as it is there."""
    more: dict[str, str] = {}
    if "web" in facts:
        more["CLIENT_ID"] = facts["web"]["appId"]
    if wanted.api_scopes and known.get("ENDPOINT") and "api" in facts:
        own = _own_scope_prefixes(wanted, facts)
        scopes = [f"{own[0]}{scope}" for scope in wanted.api_scopes]
        if wanted.api_scopes == DEFAULT_API_SCOPES:
            names = dict(zip(("SCOPE", "WRITE_SCOPE"), scopes, strict=True))
        else:
            names = {"SCOPE": " ".join(scopes)}
        more |= {name: value for name, value in names.items() if _may_set_scope(known.get(name, ""), own)}
    return more


def _show(plan: Plan, say: Say) -> None:
    for step in plan.steps:
        say(f"  - {step.what}")
    for remark in plan.remarks:
        say(f"  Note: {remark}")


def _requests(plan: Plan, graph_url: str) -> str:
    """The plan's requests as JSON. `{web.appId}` and the like stand for what an earlier request answers."""
    requests = [
        {
            "what": step.what,
            "method": step.method,
            "url": f"{graph_url.rstrip('/')}/v1.0{step.path}",
            "headers": step.headers,
            "body": step.body,
        }
        for step in plan.steps
    ]
    return json.dumps(requests, indent=2, ensure_ascii=False)


def _ask(options: Mapping[str, Any]) -> None:
    if not options["yes"]:
        click.confirm("Go on?", abort=True)


def _carry_out(
    graph: Graph,
    wanted: Wanted,
    plan: Plan,
    settings: dict[str, str],
    there: Mapping[str, str],
    say: Say,
) -> None:
    """Send the requests, and write .env as soon as there is a client secret."""
    known = {**there, **settings}
    changed: list[str] = []

    def save(facts: Mapping[str, Any], secret: str | None) -> None:
        registered = _registered_settings(wanted, facts, known)
        new_secret = {"CLIENT_SECRET": secret} if secret else {}
        changed.extend(env_file.change(ENV_FILE, settings | registered | new_secret))

    save(carry_out(graph, plan, save=save, say=say), None)
    if changed:
        say(f"{ENV_FILE} is written. Only you can read it.")


def _forget_client(found: Found, there: Mapping[str, str], say: Say) -> None:
    """Empty the client ID and secret of `.env` if they were the removed registration's."""
    backup = env_file.backup_of(ENV_FILE)
    removed = found.web or found.deleted_web or {}
    if removed and there.get("CLIENT_ID") == removed["appId"]:
        env_file.change(ENV_FILE, {"CLIENT_ID": "", "CLIENT_SECRET": ""})
        say(
            f"CLIENT_ID and CLIENT_SECRET in {ENV_FILE.name} are emptied. Its other settings stay, "
            f"and so does {backup}."
        )
    elif there:
        say(f"{ENV_FILE.name} stays as it is.")


def _without(before: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The environment without what Flask read into it from the old `.env`: that would win over the new."""
    return {name: value for name, value in os.environ.items() if value not in before.get(name, ())}


def _check(before: Mapping[str, tuple[str, ...]], say: Say) -> int:
    """Run flask check with the new .env. Returns its exit status."""
    say("\nflask check")
    environ = _without(before)
    for name, value in env_file.read(ENV_FILE).items():
        if environ.get(name, value) != value:
            say(f"Note: {name} in the environment wins over {ENV_FILE.name}.")
    command = [sys.executable, "-m", "flask", "check"]
    status = subprocess.run(command, cwd=app_config.HERE, env=environ, check=False).returncode  # noqa: S603
    if status:
        say("It can take some minutes until a new registration works everywhere. Then run flask check again.")
    return status
