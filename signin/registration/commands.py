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
from functools import partial, wraps
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click

import app_config
from app_config import B2C, EXTERNAL_ID, MANY_TENANTS
from signin.oidc import Certificate, CredentialUnusable

from . import env_file
from .directory import Found, look, named_by
from .errors import RegistrationError
from .graph import GRAPH_URL, Graph
from .plan import Plan, plan_registration, plan_removal
from .registrar import carry_out
from .sign_in import LOGIN_URL, Say, sign_in
from .wanted import DEFAULT_API_SCOPES, DEFAULT_NAME, SECRET_NAME, Wanted

ENV_FILE = app_config.HERE / ".env"
DEFAULT_REDIRECT_URI = "http://localhost:5000/getAToken"
OTHER_CREDENTIALS = ("FEDERATED_TOKEN_FILE", "MANAGED_IDENTITY_CLIENT_ID")
LONGEST_PLACE = 60  # characters; Microsoft Graph shortens the name of a secret after 90

Command = Callable[..., None]


def _https(_context: click.Context, _option: click.Parameter, url: str) -> str:
    """Access tokens go there, so it has to be https."""
    if urlsplit(url).scheme != "https":
        raise click.BadParameter("It has to be an https URL.")
    return url


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
        default=LOGIN_URL,
        show_default=True,
        callback=_https,
        help="Sign-in service, for national clouds.",
    ),
    click.option(
        "--graph-url",
        default=GRAPH_URL,
        show_default=True,
        callback=_https,
        help="Microsoft Graph of that cloud.",
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
    wanted = _wanted(options, settings, there)
    if not options["dry_run"]:
        env_file.require_writable(ENV_FILE)
    graph = _graph(options, wanted, say)
    if not options["name"] and "CLIENT_ID" in there:
        wanted = named_by(graph, there["CLIENT_ID"], wanted)
    found = look(graph, wanted)
    plan = plan_registration(wanted, found)
    settings |= _registered_settings(wanted, plan.facts, {**there, **settings})
    changed = [name for name, value in settings.items() if there.get(name, "") != value]
    new_client = "web" not in plan.facts
    if plan.steps or changed:
        say("To do:")
    _show(plan, say)
    if changed or new_client:
        say(f"  - Write {', '.join([*changed, *(['CLIENT_ID'] if new_client else [])])} to {ENV_FILE}")
    if options["dry_run"]:
        click.echo(_requests(plan, options["graph_url"]))
        return
    if not plan.steps and not changed:
        say("The registration is up to date.")
    else:
        _ask(options)
        _carry_out(graph, wanted, plan, settings, there)
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
    wanted = _wanted(options, _settings(options, there), there)
    graph = _graph(options, wanted, say)
    if not options["name"] and "CLIENT_ID" in there:
        wanted = named_by(graph, there["CLIENT_ID"], wanted)
    found = look(graph, wanted)
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
    return Graph(operator.access_token, graph_url)


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
    other: tuple[str, ...] = ()
    if "B2C_TENANT_NAME" in settings:
        other = ("AUTHORITY", "AUTHORITY_KIND", "ALLOWED_TENANTS", "OIDC_AUTHORITY")
    elif "AUTHORITY" in settings:
        other = ("B2C_TENANT_NAME", "OIDC_AUTHORITY", *app_config.B2C_ONLY)
    if "CLIENT_CERTIFICATE_PATH" in settings:
        settings["CLIENT_CERTIFICATE_PATH"] = str(Path(settings["CLIENT_CERTIFICATE_PATH"]).resolve())
        other = (*other, "CLIENT_SECRET", *OTHER_CREDENTIALS)
    settings |= {name: "" for name in other if name in there}
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
    origin = urlsplit(redirect_uri)
    api_scopes = tuple(options.get("api_scopes") or DEFAULT_API_SCOPES) if options.get("api") else ()
    is_registering = "client_certificate_path" in options
    certificate = known.get("CLIENT_CERTIFICATE_PATH") if is_registering else None
    password = options.get("client_certificate_password") or known.get("CLIENT_CERTIFICATE_PASSWORD")
    return Wanted(
        kind=kind,
        tenant=tenant,
        name=options["name"] or DEFAULT_NAME,
        redirect_uri=redirect_uri,
        sign_out_uri=f"{origin.scheme}://{origin.netloc}/",
        logout_url=options.get("logout_url") or _logout_url(kind, origin),
        replace_logout_url=bool(options.get("logout_url")),
        personal_accounts=known.get("AUTHORITY", "").rstrip("/").endswith(("/common", "/consumers")),
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


def _logout_url(kind: str, origin: SplitResult) -> str | None:
    """The app's own page for front-channel sign-out, which Microsoft calls by https only."""
    if kind == B2C or origin.scheme != "https":
        return None
    return f"https://{origin.netloc}/frontchannel_logout"


def _authority(known: Mapping[str, str], tenant: str | None) -> tuple[str, str]:
    """The kind of authority, and the tenant to register in. Raises click.UsageError."""
    if known.get("B2C_TENANT_NAME"):
        return B2C, f"{known['B2C_TENANT_NAME']}.onmicrosoft.com"
    authority = known.get("AUTHORITY", "")
    url = urlsplit(authority)
    if url.scheme != "https" or not url.hostname:
        raise click.UsageError(
            "Say which tenant: --b2c-tenant-name contoso (Azure AD B2C), "
            "--authority https://contoso.ciamlogin.com (External ID), or "
            "--authority https://login.microsoftonline.com/TENANT_ID (Entra ID)."
        )
    kind = app_config.kind_of(authority, known.get("AUTHORITY_KIND"))
    segment = url.path.strip("/").split("/")[0]
    if kind == EXTERNAL_ID and not segment:
        segment = f"{url.hostname.split('.')[0]}.onmicrosoft.com"
    tenant = tenant or ("" if segment.lower() in MANY_TENANTS else segment)
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
        api = facts["api"]
        uris = api.get("identifierUris") or [wanted.api_identifier_uri(api["appId"])]
        scopes = [f"{uris[0]}/{scope}" for scope in wanted.api_scopes]
        if wanted.api_scopes == DEFAULT_API_SCOPES:
            more["SCOPE"], more["WRITE_SCOPE"] = scopes
        else:
            more["SCOPE"] = " ".join(scopes)
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
    graph: Graph, wanted: Wanted, plan: Plan, settings: dict[str, str], there: Mapping[str, str]
) -> None:
    """Send the requests, and write .env as soon as there is a client secret."""

    known = {**there, **settings}

    def save(facts: Mapping[str, Any], secret: str) -> None:
        registered = _registered_settings(wanted, facts, known)
        env_file.change(ENV_FILE, {**settings, **registered, "CLIENT_SECRET": secret})

    facts = carry_out(graph, plan, save=save, say=click.echo)
    env_file.change(ENV_FILE, settings | _registered_settings(wanted, facts, known))
    click.echo(f"{ENV_FILE} is written. Only you can read it.")


def _forget_client(found: Found, there: Mapping[str, str], say: Say) -> None:
    """Empty the client ID and secret of `.env` if they were the removed registration's."""
    backup = ENV_FILE.with_name(ENV_FILE.name + env_file.BACKUP_SUFFIX).name
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
    """The environment without what Flask read into it from the old `.env`, which would win over the new one."""
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
